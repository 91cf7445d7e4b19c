"""Builds a release on the control machine: the application's wheel, what it depends on, the page.

    build.py PROJECT CACHE MACHINE

PROJECT is the checkout, CACHE a folder that keeps releases, MACHINE the target's architecture as
``uname -m`` prints it. Prints one line of JSON: ``release`` (its name: the version and a digest of
all that it is made of), ``tar`` (path of its archive, which unpacks to ``helfy/releases/RELEASE``)
and ``sums_sha256`` (of its list of checksums). Exit status 1, and why on stderr, where it cannot
be built.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

PYTHON = "3.11"
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28"}
REMEDY = """\
The release could not be built on the control machine: see the words above. Nothing of it is kept.
Where a package could not be fetched, check that this machine reaches the package index (another
one: UV_DEFAULT_INDEX in the environment; a proxy: HTTPS_PROXY). Where a hash differs, what the
index gave is not what requirements/app.txt names: look at your mirror. Then run again."""
LAUNCHER = """\
#!/bin/sh
# helfy-run MODULE [ARGUMENT...]: runs a module of this release. The link "current" is resolved
# once, so that a running process never imports from a release that came later.
release=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH="$release/lib" exec /usr/bin/python3 -s -P -m "$@"
"""
COMMAND = """\
#!/bin/sh
# helfy: the command of the release that it is in; helfy --help says more.
exec "$(dirname "$(readlink -f "$0")")/helfy-run" helfy.cli "$@"
"""


def main() -> int:
    """Build, or find the release already built, and print where it is."""
    project, cache, machine = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if machine not in PLATFORMS:
        print(f"no release for {machine}: must be one of {', '.join(PLATFORMS)}", file=sys.stderr)
        return 1
    version = tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]
    release = f"{version}-{digest(project)[:12]}"
    archive = cache / f"{release}-{machine}.tar"
    sums = archive.with_suffix(".sha256")
    if not (archive.is_file() and sums.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            try:
                build(project, Path(work), release, PLATFORMS[machine])
            except subprocess.CalledProcessError as error:
                print(f"{error}\n{error.stdout}{error.stderr}{REMEDY}", file=sys.stderr)
                return 1
            pack(Path(work), release, archive, sums)
    sums_sha256 = hashlib.sha256(sums.read_bytes()).hexdigest()
    print(json.dumps({"release": release, "tar": str(archive), "sums_sha256": sums_sha256}))
    return 0


def sources(project: Path) -> list[Path]:
    """What a release is made of, in a fixed order."""
    single = [project / "pyproject.toml", project / "requirements/app.txt", Path(__file__)]
    trees = [
        path
        for folder in ("app/helfy", "client")
        for path in (project / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return single + sorted(trees)


def digest(project: Path) -> str:
    """SHA-256 over the names and contents of the sources, in hexadecimal."""
    total = hashlib.sha256()
    for path in sources(project):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.name}\n".encode())
    return total.hexdigest()


def build(project: Path, work: Path, release: str, platform: str) -> None:
    """Lay out the release in WORK/RELEASE."""
    root, wheels = work / release, work / "wheels"
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, project)
    install = ("-m", "uv", "pip", "install", "--quiet", "--target", root / "lib")
    fixed = ("--python-version", PYTHON, "--python-platform", platform, "--only-binary", ":all:")
    lock = project / "requirements/app.txt"
    run(*install, *fixed, "--require-hashes", "--no-deps", "-r", lock)
    run(*install, "--no-deps", "--no-index", *wheels.glob("*.whl"))
    # Scripts with the control machine's interpreter in their first line.
    shutil.rmtree(root / "lib/bin", ignore_errors=True)
    (root / "lib/.lock").unlink(missing_ok=True)
    shutil.copytree(project / "client", root / "client")
    (root / "bin").mkdir()
    for name, script in (("helfy-run", LAUNCHER), ("helfy", COMMAND)):
        (root / "bin" / name).write_text(script)
        (root / "bin" / name).chmod(0o755)
    (root / "RELEASE").write_text(f"{release}\n")


def run(*command: str | Path) -> None:
    """Run a module of this interpreter; raise CalledProcessError with what it printed."""
    subprocess.run(
        [sys.executable, *map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        # Modules of the control machine must not satisfy what the target needs.
        env={**os.environ, "UV_NATIVE_TLS": "1", "PYTHONPATH": ""},
    )


def pack(work: Path, release: str, archive: Path, sums: Path) -> None:
    """Write the checksums and the archive; each appears only when it is whole."""
    root = work / release
    files = sorted(path for path in root.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    ]
    (root / "SHA256SUMS").write_text("".join(lines))
    partial = work / "archive"
    with tarfile.open(partial, "w") as tar:
        tar.add(root, arcname=f"helfy/releases/{release}", filter=owned_by_root)
    shutil.copyfile(root / "SHA256SUMS", work / "sums")
    (work / "sums").replace(sums)
    partial.replace(archive)


def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same entry, readable by all and writable by root alone."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


if __name__ == "__main__":
    sys.exit(main())
