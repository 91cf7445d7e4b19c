"""Secrets as systemd hands them to a unit (``LoadCredential=``): a directory of one file each."""

import os
from pathlib import Path

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"


class ConfigError(Exception):
    """The settings cannot be used; the text says which file, which key and what to do.

    Programs print it on stderr and exit with 2.
    """


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
