"""Ansible's module that makes new secrets on the control machine and keeps old ones a while."""

from __future__ import annotations

import json
import os
import secrets
import string
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

DOCUMENTATION = """
module: rotated_secrets
short_description: New secrets beside the old ones, in the folder of the secrets
description:
  - A password NAME is replaced by a new one, and the old one is kept as NAME.before until it is
    forgotten. One that has been replaced and not been forgotten yet is left as it is, so that a run
    that was cut off can be run again.
  - A database account is one of a pair (helfy_api, helfy_api_2) with a password each (database_api,
    database_api_2). The idle one gets a new password and is in use from then on; the other one is
    retiring until the run has ended (database_accounts.json).
  - A key that signs is first known to all (NAME.next), then it signs, and the one before is kept in
    NAME.before, with the time, for as long as something that it signed may be valid.
  - No secret is an argument or part of the answer.
options:
  folder: {type: path, required: true, description: Where the secrets are.}
  names: {type: list, elements: str, required: true, description: Which.}
  step:
    type: str
    required: true
    choices: [replace, forget, announce, promote, switch, retire]
    description: >-
      replace and forget are for passwords. announce makes the next key and drops those that signed
      their last one more than keep_seconds ago; promote lets the next one sign. switch takes the
      other account of a pair into use, retire ends that.
  keep_seconds: {type: int, default: 0, description: How long what a key signed may be valid.}
"""

ALPHABET = string.ascii_letters + string.digits
PASSWORD_CHARS, KEY_CHARS = 32, 64


class Secret:
    """One secret of the folder. Each file is whole on disk before the next is touched."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.accounts = folder / "database_accounts.json"
        self.now = folder / name
        self.next = folder / f"{name}.next"
        self.before = folder / f"{name}.before"

    def replace(self) -> str:
        """Make another password; say what was done, nothing where it was done before."""
        old = read(self.now)
        if read(self.before) not in {"", old}:
            return ""
        write(self.before, old)
        write(self.now, made(PASSWORD_CHARS))
        return f"{self.now.name}: a new one"

    def forget(self) -> str:
        """Forget the password before."""
        if not self.before.exists():
            return ""
        self.before.unlink()
        return f"{self.now.name}: the old one is forgotten"

    def announce(self, keep_seconds: int) -> str:
        """Make the next key, and drop those that nothing valid is signed with any more."""
        said = []
        known = self.retired()
        kept = {key: at for key, at in known.items() if at > time.time() - keep_seconds}
        if len(kept) < len(known):
            self._write_retired(kept)
            said.append(f"{len(known) - len(kept)} dropped")
        if not self.next.exists():
            write(self.next, made(KEY_CHARS))
            said.append("a new one is accepted")
        return f"{self.now.name}: {', '.join(said)}" if said else ""

    def promote(self) -> str:
        """Take the next key into use."""
        if not self.next.exists():
            return ""
        self._write_retired({read(self.now): int(time.time())} | self.retired())
        self.next.replace(self.now)
        return f"{self.now.name}: the new one is in use"

    def switch(self) -> str:
        """Take the other account into use, with a new password, unless a run before this did."""
        kept = self._pair()
        if kept["retiring"]:
            return ""
        old = kept["in_use"]
        new = old[: -len("_2")] if old.endswith("_2") else f"{old}_2"
        write(self.now.with_name(f"database{new[len('helfy') :]}"), made(PASSWORD_CHARS))
        self._write_pair(new, old)
        return f"{self.name}: {new} takes over from {old}"

    def retire(self) -> str:
        """Note that nobody uses the account before any more."""
        kept = self._pair()
        # Of an earlier release's rotation, whose account had two passwords.
        self.before.unlink(missing_ok=True)
        if not kept["retiring"]:
            return ""
        self._write_pair(kept["in_use"], "")
        return f"{self.name}: {kept['retiring']} is locked"

    def _pair(self) -> dict[str, str]:
        known = json.loads(read(self.accounts) or "{}").get(self.name, {})
        first = f"helfy{self.name[len('database') :]}"
        return {"in_use": known.get("in_use", first), "retiring": known.get("retiring", "")}

    def _write_pair(self, in_use: str, retiring: str) -> None:
        kept = json.loads(read(self.accounts) or "{}")
        kept[self.name] = {"in_use": in_use, "retiring": retiring}
        write(self.accounts, json.dumps(kept, indent=1, sort_keys=True))

    def retired(self) -> dict[str, int]:
        """Give the keys that signed before, with the time when they ceased, newest first."""
        lines = (line.split() for line in read(self.before).splitlines())
        return {key: int(at) for at, key in lines}

    def _write_retired(self, keys: dict[str, int]) -> None:
        write(self.before, "\n".join(f"{at} {key}" for key, at in keys.items()))


def read(path: Path) -> str:
    """Give a file's text without the last line's end; nothing where there is no file."""
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def write(path: Path, text: str) -> None:
    """Replace a file, readable by its owner alone, on disk before this returns."""
    new = path.with_name(f".{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def made(length: int) -> str:
    """Make a secret."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def main() -> None:
    """Run as Ansible's module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "step": {
                "type": "str",
                "required": True,
                "choices": ["replace", "forget", "announce", "promote", "switch", "retire"],
            },
            "keep_seconds": {"type": "int", "default": 0},
        },
    )
    given = module.params
    said = []
    for name in given["names"]:
        secret = Secret(Path(given["folder"]), name)
        if not secret.now.exists():
            module.fail_json(
                msg=f"{secret.now} is not there: deploy first (playbooks/site.yml), which makes it"
            )
        try:
            if given["step"] == "announce":
                said.append(secret.announce(given["keep_seconds"]))
            else:
                said.append(getattr(secret, given["step"])())
        except (OSError, ValueError) as error:
            # An error of the second kind would quote the line.
            why = error if isinstance(error, OSError) else "a file beside it is not what it was"
            module.fail_json(msg=f"{secret.now} cannot be rotated: {why}")
    said = [each for each in said if each]
    module.exit_json(changed=bool(said), said=said)


if __name__ == "__main__":
    main()
