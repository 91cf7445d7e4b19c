"""What a release is made of, as a copy with a version of its own."""

import re
import shutil
from pathlib import Path

from machine import ROOT


def copy_release(folder: Path, version: str, more: str = "", module: str = "api/__init__") -> Path:
    """Copy it into a folder, with more in one of its modules; give it for helfy_release_project."""
    project = folder / version
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app/helfy", project / "app/helfy", ignore=skip)
    shutil.copytree(ROOT / "client", project / "client")
    (project / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/app.txt", project / "requirements")
    settings = (ROOT / "pyproject.toml").read_text()
    settings = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', settings)
    (project / "pyproject.toml").write_text(settings)
    with (project / f"app/helfy/{module}.py").open("a") as file:
        file.write(more)
    return project
