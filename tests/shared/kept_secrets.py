"""The secrets that the control machine made, for those who look where else they are."""

from pathlib import Path

from machine import Machine


def kept_secrets(machine: Machine) -> dict[str, str]:
    """Give them by name; of a private key each line."""
    folder = Path(machine.vars["secrets_dir"])
    found = {
        # Former keys have a line each, a time before the key.
        f"{file.name} {number}" if number else file.name: line.split()[-1]
        for file in folder.rglob("*")
        # Kafka calls the one an id and shows it to everybody; certificates are for everybody, and
        # what accounts are in use is no secret.
        if file.is_file()
        and file.name != "kafka_cluster_id"
        and file.suffix not in {".pem", ".json"}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines())
        if not line.startswith("-----")
    }
    assert len(found) >= 4, f"no secrets in {folder}"
    return found
