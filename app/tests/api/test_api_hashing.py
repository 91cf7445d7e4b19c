"""What hashing costs, that all refusals cost alike, and that it leaves room for everything else."""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest
from api_process import Process
from api_support import PASSWORD, MakeApp, assert_error, login, profile, services_of, token_of
from mariadb_server import MariaDB

from helfy.api.settings import Passwords
from helfy.hashing import BusyError, HashRoom
from helfy.passwords import Hasher
from helfy.throttle import Limits

WIDE = Limits(pair_attempts=1000, address_attempts=1000, account_attempts=1000)
COST = 9


@pytest.mark.parametrize("cost", [4, 6, 8])
def test_a_refusal_costs_the_cost_in_force_whatever_the_hash(
    cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []
    check = bcrypt.checkpw
    monkeypatch.setattr(
        bcrypt,
        "checkpw",
        lambda pw, stored: rounds.append(2 ** int(stored[4:6])) or check(pw, stored),
    )
    stored = Hasher(cost).hash(PASSWORD)

    assert not Hasher(8).matches("wrong", stored)
    assert sum(rounds) == 2**8
    rounds.clear()
    assert not Hasher(8).matches("wrong", None)
    assert sum(rounds) == 2**8


@pytest.mark.slow
def test_unknown_disabled_old_and_wrong_take_the_same_time(
    make_app: MakeApp, database: MariaDB
) -> None:
    """By the median of many, in turns: whoever is not there must take as long as whoever is."""
    database.execute(
        "UPDATE users SET password_hash = %s WHERE id = 1",
        Hasher(COST).hash(PASSWORD),
        database="helfy",
    )
    old = Hasher(COST - 1).hash(PASSWORD)
    database.execute("UPDATE users SET password_hash = %s WHERE id = 3", old, database="helfy")
    client = make_app(passwords=Passwords(bcrypt_cost=COST), throttle=WIDE).test_client()
    times: dict[str, list[float]] = {
        name: [] for name in ("alice", "bob", "root", "nobody", "nobody@example.com")
    }
    for _ in range(25):
        for name, taken in times.items():
            # Of the thread, not of the wall: other programs run here too.
            begun = time.thread_time()
            assert login(client, name, "wrong password").status_code == 401
            taken.append(time.thread_time() - begun)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    hashing = min(medians.values())
    # Had the account with the old cost not been made up for, it would take half.
    assert max(medians.values()) < 1.25 * hashing, medians


def test_a_full_room_is_said_at_once(make_app: MakeApp) -> None:
    app = make_app(passwords=Passwords(bcrypt_cost=4, waiting_requests=1))
    client = app.test_client()
    token = token_of(client)
    room = services_of(app).room
    with room.place(), room.place():
        begun = time.monotonic()
        body = {"currentPassword": PASSWORD, "newPassword": "another good one"}
        headers = {"x-auth-token": token}
        answers = [login(client), client.put("/profile/password", json=body, headers=headers)]
        assert time.monotonic() - begun < 5
        for response in answers:
            assert_error(response, 503, "busy, try again")
            assert response.headers["Retry-After"] == "1"
        assert profile(client, token).status_code == 200
    assert login(client).status_code == 200


def test_the_room_counts_and_bounds() -> None:
    room = HashRoom(slots=2, waiting=3)
    hold, inside = threading.Event(), threading.Semaphore(0)
    most: list[int] = []

    def work() -> None:
        with room.place():
            inside.release()
            with room.slot():
                most.append(room.running)
                hold.wait(30)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=30)
    deadline = time.monotonic() + 30
    while room.running < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (room.running, room.waiting, room.places) == (2, 3, 5)
    with pytest.raises(BusyError), room.place():
        pass
    hold.set()
    for thread in threads:
        thread.join()
    assert max(most) == 2
    assert (room.running, room.waiting) == (0, 0)
    with room.place():
        pass


def test_a_failure_gives_its_place_back() -> None:
    room = HashRoom(slots=1, waiting=0)
    for _ in range(3):
        with pytest.raises(RuntimeError), room.place(), room.slot():
            raise RuntimeError


@pytest.mark.slow
def test_a_flood_of_logins_leaves_the_profile_alone(
    processes: Callable[..., Process],
) -> None:
    """Twice as many clients as a process has threads log in; somebody looks at his profile."""
    limits = "[throttle]\naddress_attempts = 100000\npair_attempts = 100000\n"
    process = processes(f"[passwords]\nbcrypt_cost = 11\n{limits}account_attempts = 100000\n")
    token = process.login()[2]["token"]
    answers: Counter[int] = Counter()
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            answers[process.login("nobody", "wrong")[0]] += 1

    clients = [threading.Thread(target=flood) for _ in range(16)]
    for client in clients:
        client.start()
    waits: list[float] = []
    try:
        while answers[401] < 10 or answers[503] < 10 or len(waits) < 20:
            begun = time.monotonic()
            status: Any = process.send("GET", "/profile", token)[0]
            waits.append(time.monotonic() - begun)
            assert status == 200
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(answers) == {401, 503}
    # Behind the logins it would wait for several hashes, of a fifth of a second and more each.
    assert statistics.median(waits) < 0.5, sorted(waits)
