"""Settings files: TOML read into frozen pydantic models, with errors an operator can act on.

Every program of the package reads one TOML file and, beside it, secrets from a
directory of one file each (systemd's ``LoadCredential=``). Both fail by
:class:`ConfigError`, whose text names the file, the key, the value and the remedy:

    /etc/helfy/api.toml: server.threads = 0: must be greater than or equal to 1

A secret's value is never part of an error.
"""

import json
import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_LONGEST_VALUE = 80


class ConfigError(Exception):
    """The settings cannot be used; the text says which file, which key and what to do.

    Programs print it on stderr and exit with 2.
    """


class Section(BaseModel):
    """A table of a settings file: frozen, strict about types, refusing unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


SettingsT = TypeVar("SettingsT", bound=BaseModel)


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


def credential(name: str, file: Path | None = None) -> str:
    """Return the secret ``name``: the text of its file without the last line end.

    Source: ``file`` where given, else ``$CREDENTIALS_DIRECTORY/NAME``.

    Raises:
        ConfigError: no directory is set, or the file is missing, unreadable, not UTF-8
            or empty. The text never holds the secret.
    """
    path = file or _credentials_directory(name) / name
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: {name} must be UTF-8 text") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: {name} cannot be read ({error.strerror}); it must be a file that "
            f"this user may read and that holds nothing but the secret"
        ) from None
    secret = text.rstrip("\r\n")
    if not secret.strip():
        raise ConfigError(f"{path}: {name} is empty; write the secret into this file")
    return secret


def _credentials_directory(name: str) -> Path:
    directory = os.environ.get(CREDENTIALS_VARIABLE)
    if not directory:
        raise ConfigError(
            f"${CREDENTIALS_VARIABLE} is not set, so {name} cannot be found; start the program "
            f"by its systemd unit (LoadCredential={name}:PATH) or set the variable to a "
            f"directory with a file named {name}"
        )
    return Path(directory)


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
