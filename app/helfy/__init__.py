"""Helfy: a login service whose every credential change is on record."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    __version__ = version("helfy")
except PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0.0.0+source"

try:
    # Beside the folder "lib" that this package is in, where build.py puts it.
    __release__ = (Path(__file__).resolve().parents[2] / "RELEASE").read_text().strip()
except OSError:
    __release__ = "source"
