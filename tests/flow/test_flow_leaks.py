"""No hash and no token, anywhere on the way."""

import re
from collections.abc import Callable

import requests
from machine import Machine
from stream import HASH, Stream, insert_user

BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{20}")


def whole_topic(machine: Machine) -> str:
    """Give every record, key and value, that the topic has now."""
    topic = machine.vars["kafka_topic"]
    count = f"kafka-get-offsets --topic {topic} --time"
    script = (
        f"last=$({count} -1 | cut -d: -f3 | paste -sd+) && "
        f"first=$({count} -2 | cut -d: -f3 | paste -sd+) && "
        f"kafka-console-consumer --topic {topic} --from-beginning --timeout-ms 20000"
        " --max-messages $(( ($last) - ($first) )) --formatter-property print.key=true"
        " --formatter-property print.headers=true 2>/dev/null"
    )
    return machine.run(script, seconds=90)


def test_no_hash_and_no_token_is_on_the_way(
    login: Callable[[], requests.Response],
    http: requests.Session,
    url: str,
    stream: Stream,
    kafka_machine: Machine,
) -> None:
    name = stream.person("leak")
    stream.database.sql(insert_user(name, "leak"))
    stream.database.sql(
        f"UPDATE users SET password_hash = '{HASH.format('leaked')}' WHERE username = '{name}'"
    )
    token = login().json()["token"]
    http.post(f"{url}/logout", headers={"x-auth-token": token}, timeout=15)
    secret = {
        token,
        token.split(".")[0],
        *(row[0] for row in stream.database.sql("SELECT token_hash FROM sessions")),
        *(row[0] for row in stream.database.sql("SELECT password_hash FROM users")),
    }
    stream.database.sql(f"DELETE FROM users WHERE username = '{name}'")
    stream.settled()

    topic = whole_topic(kafka_machine)
    assert f'"username":"{name}"' in topic, "the topic was not read to its end"
    journal = stream.machine.run("journalctl --namespace='*' -q -a -o cat --no-pager --boot")
    assert name in journal
    for place, text in (("topic", topic), ("journal", journal)):
        assert [it[:12] for it in secret if it in text] == [], place
    # The record of the test of a poisoned topic holds one that nobody has; it has no key.
    known = [line for line in topic.splitlines() if "HelfyTestHash" not in line]
    assert BCRYPT.search("\n".join(known)) is None
    assert not [line for line in topic.splitlines() if "HelfyTestHash" in line and name in line]
    assert BCRYPT.search(journal) is None
