"""Settings files: TOML read into frozen pydantic models, with errors an operator can act on.

Every program of the package reads one TOML file and, beside it, secrets from a
directory of one file each (systemd's ``LoadCredential=``). Both fail by
:class:`ConfigError`, whose text names the file, the key, the value and the remedy:

    /etc/helfy/api.toml: server.threads = 0: must be greater than or equal to 1

A secret's value is never part of an error.
"""

import configparser
import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from helfy.credentials import CREDENTIALS_VARIABLE, ConfigError, credential

__all__ = [
    "CREDENTIALS_VARIABLE",
    "ConfigError",
    "Login",
    "Section",
    "credential",
    "load",
    "login",
    "readable",
]

_LONGEST_VALUE = 80


class Section(BaseModel):
    """A table of a settings file: frozen, strict about types, refusing unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class Login(NamedTuple):
    """An account with its password."""

    user: str
    password: SecretStr


def login(name: str, file: Path | None = None) -> Login:
    """Return the account and password in an option file of MySQL's clients; see ``credential``.

    The file has both, so that they change together: ``[client]``, ``user=…``, ``password=…``.

    Raises:
        ConfigError: as ``credential``; or the file has no such section or keys.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(credential(name, file))
        section = parser["client"]
        return Login(section["user"], SecretStr(section["password"]))
    except (configparser.Error, KeyError):
        # The parser's text would quote the line.
        raise ConfigError(
            f"{file or f'${CREDENTIALS_VARIABLE}/{name}'}: is no option file of MySQL's clients; "
            f"write [client], user=ACCOUNT and password=SECRET, each on a line of its own"
        ) from None


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def readable(value: str) -> str:
    """Check a setting that names a file; raise ValueError."""
    try:
        Path(value).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot be read ({why}); name a file that can") from None
    return value


def load(path: Path, model: type[SettingsT]) -> SettingsT:
    """Read the TOML file at ``path`` into ``model``.

    ``model`` is best made of :class:`Section`, with a tuple where TOML has an array
    (a list inside a frozen model could still be changed).

    Raises:
        ConfigError: the file is missing, unreadable, not TOML, or holds a key or value
            that ``model`` refuses; every bad key is named, one a line.
    """
    document = _document(path)
    try:
        # By way of JSON: strict mode takes no list for a tuple, save from JSON.
        return model.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        lines = [_line(path, problem, model) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name the settings file with --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def _line(path: Path, problem: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "(file)"
    match problem["type"]:
        case "missing":
            return f"{path}: {key}: is missing; add it"
        case "extra_forbidden":
            known = ", ".join(sorted(_known_keys(model, problem["loc"][:-1])))
            return (
                f"{path}: {key}: is not a setting; remove it or correct its name (known: {known})"
            )
        case _:
            remedy = _remedy(str(problem["msg"]))
            return f"{path}: {key} = {_shown(problem['input'])}: {remedy}"


def _remedy(message: str) -> str:
    message = message.removeprefix("Value error, ")
    if message.startswith("Input should be "):
        return "must be " + message.removeprefix("Input should be ")
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The names of the settings in the table at ``location``, aliases included."""
    fields = model.model_fields
    for part in location:
        table = fields[str(part)].annotation if str(part) in fields else None
        if not (isinstance(table, type) and issubclass(table, BaseModel)):
            return set()
        fields = table.model_fields
    return {field.alias or name for name, field in fields.items()}
