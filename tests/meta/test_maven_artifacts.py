"""How resolve.sh ends where Maven's repository fails: nothing is kept, and the words help."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import role_docs

SCRIPT = role_docs.ROOT / "roles/maven_artifacts/files/resolve.sh"
JARS = {"a-1.jar": b"alpha", "b-2.jar": b"beta"}
UNREACHABLE = (
    "[ERROR] Could not transfer artifact x:y:pom:1 from/to central (https://repository.test/m2): "
    "Connection refused"
)


class Maven:
    """A folder with what the script is given, and a Maven that does as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.sums = folder / "sums"
        self.sums.write_text(
            "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in JARS.items())
        )
        (folder / "jars").mkdir()
        for name, text in JARS.items():
            (folder / "jars" / name).write_bytes(text)
        (folder / "bin").mkdir()

    def does(self, script: str) -> None:
        """Set what Maven does; $out is the folder that it is to fill."""
        program = self.folder / "bin/mvn"
        program.write_text(
            "#!/bin/bash\nfor a; do case $a in -DoutputDirectory=*) out=${a#*=} ;; esac; done\n"
            f"jars={self.folder}/jars\n{script}\n"
        )
        program.chmod(0o755)

    def resolve(self) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            ["bash", str(SCRIPT), "pom.xml", str(self.sums), str(self.cache), "opt/jars"],
            env=os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def kept(self) -> list[str]:
        """Give whatever is below the cache."""
        return sorted(str(path.relative_to(self.cache)) for path in self.cache.rglob("*"))


@pytest.fixture
def maven(tmp_path: Path) -> Maven:
    return Maven(tmp_path)


def test_what_is_right_is_packed_and_then_taken_from_the_cache(maven: Maven) -> None:
    maven.does('cp "$jars"/* "$out"')
    first = maven.resolve()
    maven.does("exit 1")
    second = maven.resolve()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    with tarfile.open(second.stdout.strip()) as packed:
        files = [member.name for member in packed if member.isfile()]
    assert files == ["opt/jars/a-1.jar", "opt/jars/b-2.jar"]


@pytest.mark.parametrize(
    "does",
    [
        'cp "$jars"/* "$out"; echo changed >"$out/a-1.jar"',
        'cp "$jars/a-1.jar" "$out"',
        'cp "$jars"/* "$out"; echo more >"$out/c-3.jar"',
    ],
    ids=["another checksum", "a file too few", "a file too many"],
)
def test_what_differs_from_the_list_is_removed(maven: Maven, does: str) -> None:
    maven.does(does)
    ended = maven.resolve()
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"what Maven resolved differs from {maven.sums}" in ended.stderr
    assert "Run again, and look at your Maven mirror" in ended.stderr
    assert maven.kept() == []


def test_a_repository_out_of_reach_is_named_and_the_next_run_goes_on(maven: Maven) -> None:
    maven.does(f'cp "$jars/a-1.jar" "$out"; echo "{UNREACHABLE}"; exit 1')
    ended = maven.resolve()
    assert ended.returncode == 1
    assert "could not fetch what pom.xml names from central (https://repository.test/m2)" in (
        ended.stderr
    )
    assert "Connection refused" in ended.stderr
    assert "Nothing of it is kept. Check that this machine reaches the repository" in ended.stderr
    assert maven.kept() == []
    maven.does('cp "$jars"/* "$out"')
    assert maven.resolve().returncode == 0


def test_a_damaged_cache_is_made_again(maven: Maven) -> None:
    maven.does('cp "$jars"/* "$out"')
    maven.resolve()
    next(maven.cache.rglob("a-1.jar")).write_text("damaged")
    assert maven.resolve().returncode == 0
    assert next(maven.cache.rglob("a-1.jar")).read_bytes() == JARS["a-1.jar"]


def test_an_end_by_a_signal_leaves_nothing(maven: Maven) -> None:
    maven.does('cp "$jars"/* "$out"; kill -TERM $PPID; exit 1')
    assert maven.resolve().returncode != 0
    assert maven.kept() == []


def test_a_missing_maven_is_said(maven: Maven) -> None:
    for name in ("bash", "sha256sum", "cut", "find", "wc", "rm", "mkdir"):
        (maven.folder / "bin" / name).symlink_to(shutil.which(name) or name)
    ended = subprocess.run(
        [str(maven.folder / "bin/bash"), str(SCRIPT), "p", str(maven.sums), "c", "f"],
        env={"PATH": str(maven.folder / "bin")},
        capture_output=True,
        text=True,
        check=False,
        cwd=maven.folder,
    )
    assert ended.returncode == 1
    assert ended.stderr == "mvn is missing on the control machine. Run 'make setup'.\n"
