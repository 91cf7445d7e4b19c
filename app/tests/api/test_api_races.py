"""Two processes at once: one may win, both may lose, never both win."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from api_process import Process
from api_support import HASH
from mariadb_server import MariaDB

ROUNDS = 6
PASSWORD = "a good password"
Answer = tuple[int, Any]
Two = tuple[Process, Process]


@pytest.fixture(scope="module")
def two(_migrated: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two processes, which take a while to start."""
    homes = [tmp_path_factory.mktemp("process") for _ in range(2)]
    with contextlib.ExitStack() as stack:
        made = [Process(home, _migrated) for home in homes]
        for process in made:
            stack.callback(process.clean_up)
        yield made[0], made[1]


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make all calls at the same moment and return their answers, in order."""
    answers: list[Answer | None] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(number: int) -> None:
        barrier.wait()
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in answers, "a call failed"
    return [answer for answer in answers if answer is not None]


def admins(database: MariaDB) -> list[int]:
    """Give the ids of the active admins."""
    query = "SELECT id FROM users WHERE role = 'admin' AND status = 'active'"
    return [row[0] for row in database.execute(query, database="helfy")]


def test_of_two_last_admins_one_stays(two: Two, database: MariaDB) -> None:
    """Each removes, demotes or disables the other, and the one in the middle of that itself."""
    one, other = two
    ways: list[tuple[str, Any]] = [
        ("DELETE", None),
        ("PATCH", {"role": "user"}),
        ("PATCH", {"status": "disabled"}),
    ]
    token = one.login("root")[2]["token"]
    seen: Counter[tuple[int, ...]] = Counter()
    for number in range(ROUNDS):
        database.execute(
            "REPLACE INTO users (id, username, email, password_hash, role)"
            " VALUES (1, 'alice', 'alice@example.com', %s, 'admin')",
            HASH,
            database="helfy",
        )
        mine, theirs = token, other.login("alice")[2]["token"]
        method, body = ways[number % 3]
        second, body2 = ways[number // 2 % 3]
        answers = at_once(
            [
                lambda m=method, b=body, t=mine: one.send(m, "/users/1", t, b),
                lambda m=second, b=body2, t=theirs: other.send(m, "/users/3", t, b),
            ]
        )
        found = [status for status, _ in answers]
        seen[tuple(found)] += 1
        # Who lost was told that it was the last one, or was no admin any more by then.
        assert min(found) == 200, answers
        assert max(found) in (401, 403, 409), answers
        assert len(admins(database)) == 1
        if admins(database) == [1]:
            database.execute("DELETE FROM users WHERE id = 3", database="helfy")
            database.execute(
                "INSERT INTO users (id, username, email, password_hash, role)"
                " VALUES (3, 'root', 'root@example.com', %s, 'admin')",
                HASH,
                database="helfy",
            )
            token = one.login("root")[2]["token"]
    assert any(409 in pair for pair in seen), f"they never met: {seen}"


def test_one_admin_cannot_be_taken_away_twice(two: Two, database: MariaDB) -> None:
    """Two admins go at once, of two: whoever asks, through whichever process."""
    one, other = two
    for number in range(ROUNDS):
        database.execute("UPDATE users SET role = 'admin', status = 'active'", database="helfy")
        database.execute("UPDATE users SET status = 'disabled' WHERE id = 2", database="helfy")
        token = one.login("root")[2]["token"]
        other.login("alice")
        body = {"role": "user"} if number % 2 else {"status": "disabled"}
        answers = at_once(
            [
                lambda b=body, t=token: one.send("PATCH", "/users/1", t, b),
                lambda b=body, t=token: other.send("PATCH", "/users/3", t, b),
            ]
        )
        assert sorted(status for status, _ in answers) in ([200, 403], [200, 401], [200, 409]), (
            answers
        )
        assert len(admins(database)) == 1


def test_one_username_is_taken_once(two: Two, database: MariaDB) -> None:
    one, other = two
    token = one.login("root")[2]["token"]
    both: Counter[tuple[int, ...]] = Counter()
    for number in range(ROUNDS):
        name = f"racer-{number}x"
        same = number % 2 == 0
        bodies = [
            {
                "username": name.upper() if same and each else f"{name}{'' if same else each}",
                "email": f"{name}-{each if same else ''}@example.com",
                "password": PASSWORD,
            }
            for each in range(2)
        ]
        answers = at_once(
            [
                lambda p=process, b=body: p.send("POST", "/users", token, b)
                for process, body in zip((one, other), bodies, strict=True)
            ]
        )
        both[tuple(status for status, _ in answers)] += 1
        [refused] = [body for status, body in answers if status != 201]
        assert refused["fields"] == {"username" if same else "email": "is taken"}
        query = "SELECT COUNT(*) FROM users WHERE username LIKE %s"
        assert database.execute(query, f"{name}%", database="helfy") == [(1,)]
    assert sum(both.values()) == both[201, 409] + both[409, 201] == ROUNDS


def test_one_user_is_renamed_to_a_name_that_another_takes(two: Two, database: MariaDB) -> None:
    one, other = two
    token = one.login("root")[2]["token"]
    for number in range(ROUNDS):
        body = {"username": f"wanted-{number}"}
        answers = at_once(
            [
                lambda b=body: one.send("PATCH", "/users/1", token, b),
                lambda b=body: other.send("PATCH", "/users/2", token, b),
            ]
        )
        assert sorted(status for status, _ in answers) == [200, 409], answers
    assert len(database.execute("SELECT * FROM users", database="helfy")) == 3


def test_the_throttle_lets_no_more_through_than_fit(processes: Callable[..., Process]) -> None:
    limits = "[throttle]\npair_attempts = 5\naddress_attempts = 12\naccount_attempts = 8\n"
    one, other = processes(limits), processes(limits)

    def tries(name: str, ips: Sequence[str]) -> Counter[int]:
        calls = [
            lambda p=process, i=ip: p.login(name, "wrong", i)[::2]
            for ip in ips
            for process in (one, other)
        ]
        return Counter(status for status, _ in at_once(calls))

    def counted(found: Counter[int], fit: int) -> None:
        assert found[401] == fit, found
        # A process may have been busy: that is no try.
        assert set(found) <= {401, 429, 503}

    # Not more at once than a process has room for, or those would be refused before they count.
    counted(tries("alice", ["203.0.113.1"] * 5), 5)
    counted(tries("alice", ["203.0.113.1"] * 3), 0)
    found = Counter[int]()
    for number in range(4):
        found += tries(f"nobody-{number}", ["203.0.113.2"] * 2)
    counted(found, 12)
    found = Counter[int]()
    for number in range(3):
        found += tries("victim", [f"198.51.100.{number * 2 + each}" for each in range(2)])
    counted(found, 8)
