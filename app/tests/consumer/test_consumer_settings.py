"""The configuration, and every refusal of it."""

import os
from pathlib import Path

import pytest

from helfy.consumer.__main__ import main, member
from helfy.consumer.settings import SettingsError, load
from helfy.kafka_consumer import KafkaLogin, security

KAFKA = """
[kafka]
bootstrap_servers = ["127.0.0.1:9092", "[::1]:9092", "kafka-1.lab:9092"]
topic = "tidb_changes"
group_id = "helfy-consumer-vm1"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "consumer.toml"


def test_all_keys(path: Path) -> None:
    path.write_text(
        KAFKA
        + """
[journal]
max_line_bytes = 65536
max_value_bytes = 1024
[redact]
columns = ["secret"]
[captured]
"Helfy.Users" = ["id", "Username"]
[secret]
"Helfy.Users" = ["password_hash"]
[workers]
count = 3
"""
    )
    chosen = load(path)
    assert chosen.bootstrap_servers == ("127.0.0.1:9092", "[::1]:9092", "kafka-1.lab:9092")
    assert chosen.topic == "tidb_changes"
    assert chosen.group_id == "helfy-consumer-vm1"
    assert (chosen.max_line_bytes, chosen.max_value_bytes) == (65536, 1024)
    assert chosen.redact_columns == ("secret",)
    assert chosen.captured == {"helfy.users": ("id", "Username")}
    assert chosen.secret == {"helfy.users": ("password_hash",)}
    assert chosen.workers == 3


def test_a_login_to_kafka(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(KAFKA + 'username = "helfy_consumer"\n')
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingsError, match="kafka_password cannot be found"):
        load(path)
    (tmp_path / "kafka_password").write_text("pw-of-the-consumer\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load(path).login == KafkaLogin("helfy_consumer", "pw-of-the-consumer")
    (tmp_path / "another").write_text("pw-of-another")
    assert load(path, tmp_path / "another").login == KafkaLogin("helfy_consumer", "pw-of-another")
    assert "pw-of" not in repr(load(path))
    ca_file = tmp_path / "ca.pem"
    path.write_text(KAFKA + f'username = "helfy_consumer"\nca_file = "{ca_file}"\n')
    with pytest.raises(SettingsError, match=r"ca_file = .* cannot be read: name a file that can"):
        load(path)
    ca_file.touch()
    login = load(path).login
    assert login == KafkaLogin("helfy_consumer", "pw-of-the-consumer", str(ca_file))
    asked = security(login)
    assert (asked["security_protocol"], asked["ssl_cafile"]) == ("SASL_SSL", str(ca_file))
    path.write_text(KAFKA + f'ca_file = "{ca_file}"\n')
    with pytest.raises(SettingsError, match=r"ca_file = .* is not known"):
        load(path)
    path.write_text(KAFKA + 'username = ""\n')
    with pytest.raises(SettingsError, match="username = '' is no name"):
        load(path)


def test_defaults(path: Path) -> None:
    path.write_text('[kafka]\nbootstrap_servers = ["k:1"]\ntopic = "t"\n')
    chosen = load(path)
    assert chosen.group_id.startswith("helfy-consumer-")
    assert (chosen.max_line_bytes, chosen.max_value_bytes) == (262144, 32768)
    assert chosen.redact_columns == ("password_hash", "token_hash")
    assert chosen.workers == 1


def test_a_worker_per_core(path: Path) -> None:
    path.write_text(KAFKA + "[workers]\ncount = 0")
    assert load(path).workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[kafka", "is not TOML"),
        ("x = 1", "x = 1 is not known: remove it; known are kafka, journal"),
        (KAFKA + 'user = "x"', "kafka.user = 'x' is not known"),
        ("kafka = 1", "kafka = 1 is no table: write it as [kafka]"),
        ("", "kafka.bootstrap_servers is missing: give a list"),
        ("[kafka]\nbootstrap_servers = []", "kafka.bootstrap_servers = [] is empty"),
        ("[kafka]\nbootstrap_servers = 'k:1'", "kafka.bootstrap_servers = 'k:1' is no list"),
        ("[kafka]\nbootstrap_servers = ['k']", "holds what is no address"),
        ("[kafka]\nbootstrap_servers = ['k:0']", "holds what is no address"),
        ("[kafka]\nbootstrap_servers = ['k:65536']", "holds what is no address"),
        ("[kafka]\nbootstrap_servers = [1]", "holds what is no text"),
        ("[kafka]\nbootstrap_servers = ['k:1']", "kafka.topic is missing"),
        ("[kafka]\nbootstrap_servers = ['k:1']\ntopic = 'a b'", "kafka.topic = 'a b' is no name"),
        (KAFKA + "[journal]\nmax_line_bytes = 4095", "from 4096 to 1073741824"),
        (KAFKA + "[journal]\nmax_line_bytes = true", "journal.max_line_bytes = True does not do"),
        (KAFKA + "[journal]\nmax_value_bytes = 262144", "from 1 to 260096"),
        (KAFKA + "[redact]\ncolumns = ['']", "redact.columns = [''] holds what is no text"),
        (KAFKA + "[captured]\nusers = ['a']", "captured.users = ['a'] names no table"),
        (KAFKA + "[captured]\n'a.b' = 'c'", "captured.a.b = 'c' is no list"),
        (KAFKA + "[secret]\nusers = ['a']", "secret.users = ['a'] names no table"),
        (KAFKA + "[secret]\n'a.b' = 'c'", "secret.a.b = 'c' is no list"),
        (KAFKA + "[workers]\ncount = 65", "workers.count = 65 does not do: give a whole number"),
        (KAFKA + "[workers]\ncount = '2'", "workers.count = '2' does not do"),
        (KAFKA + "[workers]\nnumber = 2", "workers.number = 2 is not known"),
    ],
)
def test_what_is_refused(
    path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert says in str(refusal.value)
    assert main(["--config", str(path)]) == 78
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(path)


def test_a_file_that_is_not_text(path: Path) -> None:
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(path)


def test_check_only_reads(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(KAFKA)
    assert main(["--check", "--config", str(path)]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_unit_has_a_lasting_name_per_worker_and_a_process_by_hand_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "helfy-7")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert member(None) is None
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/helfy-consumer")
    assert [member(None), member(2)] == ["helfy-7-1", "helfy-7-2"]
