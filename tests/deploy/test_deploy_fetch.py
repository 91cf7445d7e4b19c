"""What the control machine fetches, by the real roles: out of reach, or with another checksum."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from machine import ROOT
from plays import environment

NOBODY = "http://127.0.0.1:1"


def include(folder: Path, role: dict[str, str], variables: dict[str, Any], **more: str) -> str:
    """Run a role on this machine alone; give what was said. It has to fail."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": True,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"ansible.builtin.include_role": role, "vars": variables}],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [str(program), "-i", "localhost,", str(folder / "play.yml")],
        env=environment() | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")} | more,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 2, said[-4000:]
    return " ".join(said.split())


def kept(cache: Path) -> list[Path]:
    """Give the files below a cache."""
    return [path for path in cache.rglob("*") if path.is_file()]


def maven(folder: Path, sums: Path, **more: str) -> str:
    """Let the role of Maven's artifacts fetch Debezium."""
    variables = {
        "maven_artifacts_pom": str(ROOT / "roles/debezium/files/maven/pom.xml"),
        "maven_artifacts_sha256": str(sums),
        "maven_artifacts_cache": str(folder / "cache"),
        "maven_artifacts_folder": "debezium",
    }
    return include(folder, {"name": "maven_artifacts"}, variables, **more)


@pytest.fixture
def real_sums() -> Path:
    [sums] = (ROOT / "roles/debezium/files/maven").glob("*.sha256")
    return sums


def test_a_maven_repository_out_of_reach(tmp_path: Path, real_sums: Path) -> None:
    settings = tmp_path / ".m2/settings.xml"
    settings.parent.mkdir()
    settings.write_text(
        "<settings><mirrors><mirror><id>nobody</id><mirrorOf>*</mirrorOf>"
        f"<url>{NOBODY}</url></mirror></mirrors></settings>"
    )
    said = maven(tmp_path, real_sums, MAVEN_OPTS=f"-Duser.home={tmp_path}")
    assert f"from nobody ({NOBODY})" in said
    assert "proxies and mirrors: Maven's settings.xml" in said
    assert kept(tmp_path / "cache") == []


def test_an_artifact_with_another_checksum(tmp_path: Path, real_sums: Path) -> None:
    sums = tmp_path / "sums"
    sums.write_text(f"{'0' * 64}{real_sums.read_text()[64:]}")
    said = maven(tmp_path, sums)
    assert f"what Maven resolved differs from {sums}: nothing of it is used" in said
    assert kept(tmp_path / "cache") == []


def release(folder: Path, change: tuple[str, str], **more: str) -> str:
    """Let the role of the releases build one, with one thing changed in its requirements."""
    project = folder / "project"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app/helfy", project / "app/helfy", ignore=skip)
    shutil.copytree(ROOT / "client", project / "client")
    shutil.copy(ROOT / "pyproject.toml", project)
    (project / "requirements").mkdir()
    pinned = (ROOT / "requirements/app.txt").read_text()
    (project / "requirements/app.txt").write_text(re.sub(*change, pinned))
    variables = {
        "helfy_release_project": str(project),
        "helfy_release_cache": str(folder / "cache"),
    }
    role = {"name": "helfy_release", "tasks_from": "build"}
    return include(folder, role, variables, **more)


@pytest.mark.long
def test_a_package_index_out_of_reach(tmp_path: Path) -> None:
    said = release(tmp_path, ("nothing", "nothing"), UV_DEFAULT_INDEX=f"{NOBODY}/simple")
    assert NOBODY in said
    assert "another one: UV_DEFAULT_INDEX in the environment" in said
    assert kept(tmp_path / "cache") == []


def test_a_package_with_another_checksum(tmp_path: Path) -> None:
    said = release(tmp_path, (r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}"))
    assert "Hash mismatch" in said
    assert "what the index gave is not what requirements/app.txt names" in said
    assert kept(tmp_path / "cache") == []
