"""What the role tidb_tiup runs on a machine: the mirror's lists, the kernel, the health."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import role_docs
from filter_paths import plugin

cluster_health = plugin("cluster_health")
host_tuning = plugin("host_tuning")
mirror = plugin("mirror")

FILES = role_docs.ROOT / "roles/tidb_tiup/files"
FOLDER = role_docs.ROOT / "tests/refusals/mirror"
SHOWN = json.loads((role_docs.ROOT / "tests/meta/samples/tiup/display.json").read_text())


def ask(where: str, remembered: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FILES / "mirror.py"), where, "linux/amd64", str(remembered)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_mirror_says_what_it_has(tmp_path: Path) -> None:
    answer = json.loads(ask(str(FOLDER), tmp_path / "kept").stdout)["components"]
    assert answer["pd"] == ["v8.5.6", "v8.5.7"]
    assert answer["cdc"] == ["v8.5.7"]
    assert "node_exporter" not in answer
    assert mirror.components(str(FOLDER), "linux/arm64")["pd"] == []


def test_a_mirror_that_is_gone_is_remembered_and_another_is_not(tmp_path: Path) -> None:
    moved, kept = tmp_path / "mirror", tmp_path / "kept"
    moved.symlink_to(FOLDER)
    first = ask(str(moved), kept)
    moved.unlink()
    assert ask(str(moved), kept).stdout == first.stdout
    other = ask("http://127.0.0.1:9", kept)
    assert other.returncode == 1
    assert other.stderr.startswith("it does not answer (")


def test_what_is_no_mirror_is_told(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").write_text("<html>")
    told = ask(str(tmp_path), tmp_path / "kept")
    assert (told.returncode, told.stderr) == (1, "snapshot.json is none of TiUP's lists\n")


def test_a_kernel_setting_is_set_once(tmp_path: Path) -> None:
    (tmp_path / "thp").write_text("always [madvise] never\n")
    (tmp_path / "swappiness").write_text("60\n")
    settings = {"thp": "never", "swappiness": "0"}
    assert host_tuning.tune(settings, True, tmp_path)["wrong"] == ["thp", "swappiness"]
    assert host_tuning.tune(settings, False, tmp_path)["set"] == ["thp", "swappiness"]
    assert host_tuning.tune(settings, False, tmp_path)["set"] == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_what_belongs_to_the_containers_host_is_refused_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "swappiness").write_text("60\n")

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "write_text", refuse)
    found = host_tuning.tune({"swappiness": "0"}, False, tmp_path)
    assert found == {"set": [], "wrong": [], "refused": ["swappiness stays 60: it is the host's"]}


def test_what_fails_for_another_reason_fails(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        host_tuning.tune({"folder": "1"}, False, tmp_path)


def test_a_setting_that_this_kernel_lacks_is_told(tmp_path: Path) -> None:
    found = host_tuning.tune({"none": "1"}, False, tmp_path)
    assert found["refused"] == ["none: the kernel here has none"]


def test_a_cluster_that_is_up_is_told_in_a_line() -> None:
    assert cluster_health.judge(SHOWN) == ("v8.5.7, up: 1 cdc, 1 pd, 1 tidb, 1 tikv", [])


def test_a_node_that_is_down_is_named_and_one_that_leaves_is_not() -> None:
    changed = json.loads(json.dumps(SHOWN))
    changed["instances"][0]["status"] = "Down"
    changed["instances"][3]["status"] = "Pending Offline"
    said, down = cluster_health.judge(changed)
    assert down == ["cdc 10.0.3.207:8300 is Down"]
    assert said.endswith("; leaving: 10.0.3.207:20160")
