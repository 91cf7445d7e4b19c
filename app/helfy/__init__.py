"""Helfy: a login service whose every credential change is on record."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("helfy")
except PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0.0.0+source"
