"""Settings: what is read, and that every refusal names the file, the key and the remedy."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from helfy.api.__main__ import main
from helfy.api.settings import Settings, load_settings
from helfy.config import ConfigError, Login, credential
from helfy.kafka_consumer import KafkaLogin
from helfy.migrations.__main__ import main as migrate

MINIMAL = "[database]\n"
FULL = """
[server]
host = "10.0.0.5"
threads = 4
[database]
host = "db.example.com"
port = 4000
name = "helfy"
pool_size = 4
[sessions]
lifetime_seconds = 3600
idle_seconds = 600
[passwords]
bcrypt_cost = 10
concurrent_hashes = 2
waiting_requests = 1
[throttle]
pair_attempts = 5
pair_seconds = 30
address_attempts = 50
address_seconds = 5
account_attempts = 20
account_seconds = 60
[stream]
bootstrap_servers = ["k1:9092", "[::1]:9092"]
topic = "changes"
max_silence_seconds = 5
"""
NEW, OLD, PROXY = "n" * 32, "o" * 40, "p" * 32


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file without credentials' faults."""
    (tmp_path / "database_login").write_text("[client]\nuser=helfy_api\npassword=%pw#of=the-api\n")
    (tmp_path / "token_keys").write_text(f"{NEW}\n\n{OLD}\n")
    (tmp_path / "proxy_keys").write_text(f"{PROXY}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "api.toml"
    path.write_text(MINIMAL)
    return path


def test_defaults(file: Path) -> None:
    settings = load_settings(file)

    assert (settings.server.host, settings.server.threads) == ("127.0.0.1", 8)
    assert (settings.database.host, settings.database.port) == ("127.0.0.1", 3306)
    assert settings.sessions.lifetime_seconds == 43200
    assert settings.sessions.idle_seconds == 3600
    assert settings.passwords.bcrypt_cost == 12
    assert (settings.passwords.concurrent_hashes, settings.waiting_requests) == (1, 5)
    assert (settings.throttle.pair_attempts, settings.throttle.pair_seconds) == (10, 60)
    assert settings.stream.topic == "tidb_changes"
    assert settings.database_login == Login("helfy_api", SecretStr("%pw#of=the-api"))
    assert [key.get_secret_value() for key in settings.token_keys] == [NEW, OLD]
    assert [key.get_secret_value() for key in settings.proxy_keys] == [PROXY]


def test_every_key(file: Path) -> None:
    file.write_text(FULL)
    settings = load_settings(file)

    assert settings.database.port == 4000
    assert settings.stream.bootstrap_servers == ("k1:9092", "[::1]:9092")
    assert settings.waiting_requests == 1
    assert settings.throttle.account_seconds == 60


def test_settings_are_frozen_and_hide_their_secrets(file: Path) -> None:
    settings = load_settings(file)

    with pytest.raises(ValidationError):
        settings.server = settings.server  # type: ignore[misc]  # that is the point
    assert "pw-of-the-api" not in repr(settings)
    assert NEW not in repr(settings)
    assert isinstance(settings, Settings)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nthreads = 0\n", "server.threads = 0: must be greater than or equal to 1"),
        ("[server]\nthreads = 65\n", "server.threads = 65: must be less than or equal to 64"),
        ('[server]\nthreads = "x"\n', 'server.threads = "x": must be a valid integer'),
        ("[server]\nthreads = true\n", "server.threads = true: must be a valid integer"),
        ('[server]\nhost = "api"\n', 'server.host = "api": must be an IP address'),
        ("[server]\nthread = 1\n", "server.thread: is not a setting; remove it or correct"),
        ("[server]\nthread = 1\n", "(known: host, processes, threads)"),
        ("[sever]\n", "sever: is not a setting"),
        ("[passwords]\nbcrypt_cost = 3\n", "passwords.bcrypt_cost = 3: must be greater"),
        ("[passwords]\nbcrypt_cost = 16\n", "passwords.bcrypt_cost = 16: must be less"),
        ("[sessions]\nlifetime_seconds = 1\n", "sessions.lifetime_seconds = 1: must be"),
        ("[sessions]\nidle_seconds = 60\n", "sessions.idle_seconds = 60: must be greater"),
        ("[throttle]\npair_attempts = 0\n", "throttle.pair_attempts = 0: must be greater"),
        ("[passwords]\nwaiting_requests = 8\n", "(9) must be less than server.threads (8)"),
        ("[passwords]\nconcurrent_hashes = 8\n", "(8) must be less than server.threads (8)"),
        ("[stream]\nbootstrap_servers = []\n", "stream.bootstrap_servers = []: "),
        ('[stream]\nbootstrap_servers = ["kafka"]\n', 'bootstrap_servers.0 = "kafka": must be'),
        ('[stream]\ncaptured = {users = ["a"]}\n', "stream.captured"),
        ('[stream]\nsecret = {users = ["a"]}\n', "stream.secret"),
        ('[stream]\nconsumer_groups = ["a b"]\n', "stream.consumer_groups.0"),
        ('[server]\nprocesses = ["8001"]\n', 'server.processes.0 = "8001": must be host:port'),
        ('[stream]\nca_file = "/no/ca.pem"\n', 'stream.ca_file = "/no/ca.pem": cannot be read'),
        ('[stream]\nca_file = "/dev/null"\n', "ca_file needs username"),
        ('[stream]\ntopic = "a b"\n', 'stream.topic = "a b": '),
        ("[stream]\nmax_silence_seconds = 1.5\n", "stream.max_silence_seconds = 1.5: must be"),
        ("x", "is not TOML"),
    ],
)
def test_what_is_refused_is_named(file: Path, text: str, line: str) -> None:
    file.write_text(text + MINIMAL)

    with pytest.raises(ConfigError) as refusal:
        load_settings(file)

    assert line in str(refusal.value)
    assert all(part.startswith(f"{file}: ") for part in str(refusal.value).splitlines())


def test_all_faults_are_told_at_once(file: Path) -> None:
    file.write_text("[server]\nthreads = 0\n[passwords]\nbcrypt_cost = 0\n")

    with pytest.raises(ConfigError) as refusal:
        load_settings(file)

    assert len(str(refusal.value).splitlines()) == 3
    assert f"{file}: database: is missing" in str(refusal.value)


@pytest.mark.parametrize(("threads", "waiting"), [(64, 61), (8, 5), (3, 0), (2, 0), (1, 0)])
def test_threads_are_left_for_what_does_not_hash(file: Path, threads: int, waiting: int) -> None:
    file.write_text(f"[server]\nthreads = {threads}\n{MINIMAL}")

    assert load_settings(file).waiting_requests == waiting


def test_a_login_to_kafka(file: Path, tmp_path: Path) -> None:
    assert load_settings(file).stream.login is None
    file.write_text(MINIMAL + '[stream]\nusername = "helfy_feed"\n')
    with pytest.raises(ConfigError, match="kafka_password cannot be read"):
        load_settings(file)
    (tmp_path / "kafka_password").write_text("pw-of-the-feed\n")
    settings = load_settings(file)
    assert settings.stream.login == KafkaLogin("helfy_feed", "pw-of-the-feed")
    file.write_text(MINIMAL + f'[stream]\nusername = "helfy_feed"\nca_file = "{file}"\n')
    login = load_settings(file).stream.login
    assert login == KafkaLogin("helfy_feed", "pw-of-the-feed", str(file))
    assert "pw-of-the-feed" not in repr(settings)


@pytest.mark.parametrize("name", ["database_login", "token_keys", "proxy_keys"])
@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_credential_must_be_there(file: Path, name: str, content: bytes | None) -> None:
    path = file.parent / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=str(path)):
        load_settings(file)


@pytest.mark.parametrize("text", ["pst-secret", "[client]\nuser=a\n", "[client]\npst-secret\n"])
def test_login_that_is_no_option_file_is_rejected_without_being_shown(
    file: Path, text: str
) -> None:
    (file.parent / "database_login").write_text(text)

    with pytest.raises(ConfigError, match=r"database_login: is no option file.*user=") as refusal:
        load_settings(file)

    assert "pst-secret" not in str(refusal.value)


@pytest.mark.parametrize("name", ["token_keys", "proxy_keys"])
@pytest.mark.parametrize("keys", ["short", f"{NEW}\nshort", f"{NEW}\n{NEW}"])
def test_weak_keys_are_rejected_without_being_shown(file: Path, name: str, keys: str) -> None:
    (file.parent / name).write_text(keys)

    with pytest.raises(ConfigError, match=rf"{name}: a key .*newest first") as refusal:
        load_settings(file)

    assert NEW not in str(refusal.value)
    assert "short;" in str(refusal.value) or "twice" in str(refusal.value)


def test_a_secret_keeps_its_inner_spaces(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(" a b \r\n")

    assert credential("kafka_password", tmp_path / "pw") == " a b "


def test_without_credentials_the_unit_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")

    with pytest.raises(ConfigError, match="LoadCredential=database_login"):
        load_settings(file)


@pytest.mark.parametrize(("program", "more"), [(main, ["--port", "0"]), (migrate, ["current"])])
def test_programs_exit_with_2(
    program: object, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.toml"

    assert callable(program)
    assert program(["--config", str(missing), *more]) == 2

    assert f"{missing}: cannot be read (No such file or directory)" in capsys.readouterr().err
