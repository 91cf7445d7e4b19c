#!/usr/bin/env python3
"""A mirror of TiUP's with the real TiUP in it, and stand-ins where TiDB's four components would be.

    tiup_mirror.py FOLDER [VERSION...]    makes one in a new folder

TiUP is built from its Go module (``tiup-build``), once for each machine: the programs are kept in
``~/.cache/helfy``. The components are ``stand_ins``, in each of the versions. Exporters and
monitoring are not in it.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
BUILD: Final = HERE / "tiup-build"
STAND_INS: Final = HERE / "stand_ins"
# The stand-in for TiCDC's OpenAPI is the unit tests'.
TICDC: Final = HERE.parent / "meta"
TIUP: Final = "1.16.5"
VERSIONS: Final = ("8.5.6", "8.5.7")
# What is in the mirror in the stand-ins' place: component and program.
COMPONENTS: Final = {"pd": "pd-server", "tikv": "tikv-server", "tidb": "tidb-server", "cdc": "cdc"}
LEAST_GO: Final = (1, 25)
USUAL: Final = ["/usr/local/go/bin/go"]
ARCHIVE: Final = "tiup-linux-amd64.tar.gz"


class BuildError(Exception):
    """TiUP could not be built, or the mirror not made; the message says why."""


def go() -> Path:
    """The Go that TiUP is built with. Raises BuildError where there is none that can."""
    wanted = ".".join(map(str, LEAST_GO))
    found = [shutil.which("go"), *USUAL]
    programs = [Path(name) for name in dict.fromkeys(found) if name and Path(name).exists()]
    versions = {}
    for program in programs:
        told = _run([str(program), "env", "GOVERSION"], cwd=HERE)
        if version := re.match(r"go(\d+)\.(\d+)", told):
            versions[program] = (int(version[1]), int(version[2]))
    able = [program for program, version in versions.items() if version >= LEAST_GO]
    if not able:
        has = ", ".join(f"{p} is {v[0]}.{v[1]}" for p, v in versions.items()) or "there is none"
        raise BuildError(
            f"TiUP {TIUP} is built with Go {wanted} or newer ({has}; Debian 12's 1.19 will not do):"
            " install one from go.dev/dl, in /usr/local/go or on the path"
        )
    return able[0]


def programs() -> Path:
    """The folder with ``tiup`` and ``tiup-cluster``, built unless they are there already."""
    sources = [BUILD / "go.mod", BUILD / "go.sum"]
    made = _cache() / f"tiup-{TIUP}-{_digest(sources)}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            source = "github.com/pingcap/tiup"
            command = [str(go()), "build", "-trimpath", "-o", f"{folder}/"]
            ours = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
            _run([*command, source, f"{source}/components/cluster"], cwd=BUILD, **ours)
            Path(folder, "cluster").rename(Path(folder, "tiup-cluster"))
            Path(folder).chmod(0o755)
            shutil.copytree(folder, made)
    return made


def made() -> Path:
    """The mirror, in the cache: made unless there is one of just these programs and stand-ins."""
    files = [*STAND_INS.glob("*.py"), TICDC / "ticdc_stand_in.py", Path(__file__)]
    folder = _cache() / f"tiup-mirror-{_digest([*sorted(files), BUILD / 'go.sum'])}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            make(Path(place, "mirror"))
            Path(place, "mirror").rename(folder)
    return folder


def _cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "helfy")
    return Path(os.environ.get("HELFY_CACHE") or default)


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def make(folder: Path, versions: tuple[str, ...] = VERSIONS) -> None:
    """Make a mirror in a folder that is new. Raises BuildError."""
    built = programs()
    with tempfile.TemporaryDirectory() as place:
        archives = Path(place)

        def tiup(*arguments: str) -> None:
            _run([str(built / "tiup"), *arguments], cwd=archives, TIUP_HOME=f"{place}/home")

        (archives / "home/bin").mkdir(parents=True)
        tiup("mirror", "init", str(folder))
        tiup("mirror", "set", str(folder))
        tiup("mirror", "genkey")
        tiup("mirror", "grant", "helfy", "--name", "helfy")
        for name, program in (("tiup", "tiup"), ("cluster", "tiup-cluster")):
            archive = archives / f"{name}.tar.gz"
            pack(archive, {program: built / program})
            tiup("mirror", "publish", name, f"v{TIUP}", str(archive), program, "--standalone")
        # As 'tiup mirror clone' does: TiUP itself is at the root too.
        shutil.copy(archives / "tiup.tar.gz", folder / ARCHIVE)
        for version in versions:
            for name, program in COMPONENTS.items():
                archive = archives / f"{name}-{version}.tar.gz"
                pack_stand_in(archive, program, version)
                about = ("--desc", f"a stand-in for {name}, which is not in this mirror")
                tiup("mirror", "publish", name, f"v{version}", str(archive), program, *about)
    # Nobody needs to publish here again.
    shutil.rmtree(folder / "keys")


def pack_stand_in(archive: Path, program: str, version: str) -> None:
    """Pack a stand-in, so that it is called by a component's name and version."""
    files = {
        program: STAND_INS / "program.py",
        "stand-in/ticdc_stand_in.py": TICDC / "ticdc_stand_in.py",
    }
    for path in STAND_INS.glob("*.py"):
        if path.name != "program.py":
            files[f"stand-in/{path.name}"] = path
    for path in (TICDC / "samples/ticdc").glob("*.json"):
        files[f"stand-in/samples/ticdc/{path.name}"] = path
    pack(archive, files, {"stand-in/VERSION": f"v{version}\n"})


def pack(archive: Path, files: dict[str, Path], texts: dict[str, str] | None = None) -> None:
    """Write a .tar.gz of files, by their names in it; each can be run."""
    with (
        gzip.open(archive, "wb", compresslevel=1) as packed,
        tarfile.open(None, "w", packed) as tar,
    ):
        for name, path in files.items():
            tar.add(path, name, filter=_executable)
        for name, text in (texts or {}).items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o644, len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))


def _executable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o755, 0, 0, "root", "root"
    return entry


def _run(command: list[str], cwd: Path, **more: str) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | more,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


if __name__ == "__main__":
    try:
        make(Path(sys.argv[1]).resolve(), tuple(sys.argv[2:]) or VERSIONS)
    except BuildError as error:
        sys.exit(str(error))
