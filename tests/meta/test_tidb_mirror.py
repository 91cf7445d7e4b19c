"""The mirror of stand-ins that the scenario tidb_tiup deploys from: what it is built with."""

from __future__ import annotations

import re
import sys
import tarfile
from pathlib import Path

import pytest
import role_docs
import yaml

sys.path.insert(0, str(role_docs.ROOT / "tests/tidb"))

import tiup_mirror

DEFAULTS = yaml.safe_load((role_docs.ROOT / "roles/tidb_tiup/defaults/main.yml").read_text())


def fake_go(folder: Path, version: str) -> None:
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go{version}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("versions", [[], ["1.19.8"]])
def test_a_go_that_is_too_old_is_no_reason_to_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: list[str]
) -> None:
    monkeypatch.setattr(tiup_mirror, "USUAL", [])
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if versions else str(tmp_path))
    for version in versions:
        fake_go(tmp_path, version)
    has = f"{tmp_path}/go is 1.19" if versions else "there is none"
    words = rf"built with Go 1[.]25 or newer \({re.escape(has)}; Debian 12's 1[.]19 will not do\)"
    with pytest.raises(tiup_mirror.BuildError, match=words):
        tiup_mirror.go()


def test_the_newest_go_that_is_there_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path, "1.27.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert tiup_mirror.go() == tmp_path / "go"


def test_tiup_is_the_version_that_the_role_deploys_with_its_own_replacement() -> None:
    wanted = DEFAULTS["tidb_tiup_tiup_version"]
    assert wanted == tiup_mirror.TIUP
    module = (tiup_mirror.BUILD / "go.mod").read_text()
    assert re.search(rf"github[.]com/pingcap/tiup v{re.escape(wanted)}\b", module)
    assert "replace gopkg.in/yaml.v3 => " in module
    assert DEFAULTS["tidb_tiup_version"] in tiup_mirror.VERSIONS


def test_a_stand_in_says_that_it_is_one(tmp_path: Path) -> None:
    archive = tmp_path / "pd.tar.gz"
    tiup_mirror.pack_stand_in(archive, "pd-server", "8.5.7")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        program = packed.extractfile("pd-server")
        assert program is not None
        assert b"A stand-in" in program.read()
    assert {"stand-in/VERSION", "stand-in/pd.py", "stand-in/samples/ticdc/changefeed.json"} <= set(
        names
    )
