"""What hashing costs, that all refusals cost alike, and that it leaves room for everything else."""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import bcrypt
import pytest
from api_process import Process
from api_support import PASSWORD, Log, MakeApp, assert_error, login, profile, services_of, token_of
from mariadb_server import MariaDB

from helfy.api.settings import Passwords
from helfy.hashing import BusyError, CrowdedError, HashRoom, Party
from helfy.passwords import Hasher
from helfy.throttle import Limits, party_of

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


def test_full_room_rejects_login_at_once(make_app: MakeApp, log: Log) -> None:
    app = make_app(passwords=Passwords(bcrypt_cost=4, waiting_requests=1))
    client = app.test_client()
    token = token_of(client)
    room = services_of(app).room
    with room.place(Party("one", known=True)), room.place(Party("other", known=True)):
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
    assert [line["outcome"] for line in log.lines("login")] == ["ok", "busy", "ok"]


def test_crowded_party_is_throttled(make_app: MakeApp, log: Log) -> None:
    app = make_app(passwords=Passwords(bcrypt_cost=4, waiting_requests=1))
    client = app.test_client()
    with services_of(app).room.place(Party("127.0.0.1")):
        response = login(client, "nobody", "wrong")
    assert_error(response, 429, "too many attempts")
    assert response.headers["Retry-After"] == "1"
    assert log.lines("login")[0]["outcome"] == "throttled"


def test_throttled_login_takes_no_place(make_app: MakeApp) -> None:
    app = make_app(throttle=Limits(pair_attempts=1, pair_seconds=600))
    client, room = app.test_client(), services_of(app).room
    assert login(client, "nobody", "wrong").status_code == 401
    with ExitStack() as held:
        for number in range(room.places):
            held.enter_context(room.place(Party(f"{number}", known=True)))
        assert login(client, "nobody", "wrong").status_code == 429
        assert login(client, "somebody", "wrong").status_code == 503


def test_login_that_loses_its_place_is_not_counted(make_app: MakeApp, database: MariaDB) -> None:
    app = make_app(passwords=Passwords(bcrypt_cost=4, waiting_requests=1))
    room, answers = services_of(app).room, []
    waiter = threading.Thread(
        target=lambda: answers.append(login(app.test_client(), "nobody", "wrong").status_code)
    )
    with room.place(Party("hashing", known=True)), room.slot():
        waiter.start()
        wait_for_queue(room, 1)
        query = "SELECT COUNT(*) FROM login_throttle WHERE clears_at > NOW(6)"
        assert database.execute(query, database="helfy") == [(3,)]
        with room.place(Party("better", known=True)):
            waiter.join(30)
    assert answers == [503]
    assert database.execute(query, database="helfy") == [(0,)]


def test_party_is_the_user_or_else_the_address() -> None:
    assert party_of("192.0.2.1", 7) == party_of("192.0.2.2", 7) == Party("user 7", known=True)
    assert party_of("2001:db8::1", None) == party_of("2001:db8::2", None)
    assert party_of("192.0.2.1", None) != party_of("192.0.2.2", None)


def test_user_logs_in_from_a_known_address_through_a_flood(make_app: MakeApp) -> None:
    app = make_app(passwords=Passwords(bcrypt_cost=4, waiting_requests=1))
    client, room = app.test_client(), services_of(app).room
    token_of(client)
    # As a flood from this address would.
    for _ in range(5):
        hash_once(room, party_of("127.0.0.1", None))
    with room.place(Party("other")):
        assert login(client).status_code == 200
        with room.place(Party("more", known=True)):
            assert login(client, "nobody", "wrong").status_code == 503


def wait_for_queue(room: HashRoom, length: int) -> None:
    deadline = time.monotonic() + 30
    while len(room._queue) < length and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(room._queue) == length


def hash_once(room: HashRoom, party: Party) -> None:
    with room.place(party), room.slot():
        pass


class Visitors:
    """Requests that come one after the other while the only slot is taken."""

    def __init__(self, room: HashRoom) -> None:
        self.room = room
        self.order: list[str] = []
        """The parties that hashed, in order."""
        self.busy: list[str] = []
        self._threads: list[threading.Thread] = []

    def come(self, *parties: Party) -> None:
        """Queue them while the slot is held, then release it, and wait until all have ended."""
        with self.room.place(Party("first", known=True)), self.room.slot():
            for party in parties:
                before = len(self.room._queue) + len(self.busy)
                self._threads.append(threading.Thread(target=self._visit, args=(party,)))
                self._threads[-1].start()
                while len(self.room._queue) + len(self.busy) <= before:
                    assert self._threads[-1].is_alive() or party.name in self.busy
                    time.sleep(0.002)
        for thread in self._threads:
            thread.join(30)

    def _visit(self, party: Party) -> None:
        try:
            with self.room.place(party), self.room.slot():
                self.order.append(party.name)
        except BusyError:
            self.busy.append(party.name)


A, B, C, USER = Party("a"), Party("b"), Party("c"), Party("user", known=True)


def test_parties_take_turns() -> None:
    visitors = Visitors(HashRoom(slots=1, waiting=9))
    visitors.come(A, A, A, B, B, C)
    assert visitors.order == ["a", "b", "c", "a", "b", "a"]


def test_known_party_goes_first_then_fewest_requests() -> None:
    room = HashRoom(slots=1, waiting=9)
    hash_once(room, A)
    visitors = Visitors(room)
    visitors.come(A, B, USER)
    assert visitors.order == ["user", "b", "a"]


def test_known_party_that_floods_comes_last() -> None:
    room = HashRoom(slots=1, waiting=9)
    for _ in range(8):
        hash_once(room, USER)
    visitors = Visitors(room)
    visitors.come(USER, B, Party("other", known=True))
    assert visitors.order == ["other", "b", "user"]


def test_full_room_rejects_the_latest_turn() -> None:
    room = HashRoom(slots=1, waiting=3)
    for _ in range(3):
        hash_once(room, A)
    hash_once(room, B)
    visitors = Visitors(room)
    visitors.come(A, A, B, C, USER, A)
    assert visitors.busy == ["a", "a", "a"]
    assert visitors.order == ["user", "c", "b"]


def test_party_has_its_share_of_the_places() -> None:
    room = HashRoom(slots=1, waiting=2)
    with room.place(A), room.place(A):
        with pytest.raises(CrowdedError), room.place(A):
            pass
        with room.place(B):
            pass
    with room.place(A):
        pass


def test_wait_for_a_slot_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helfy.hashing._WAIT_SECONDS", 0.05)
    visitors = Visitors(HashRoom(slots=1, waiting=2))
    with visitors.room.place(USER), visitors.room.slot():
        visitors._visit(A)
    assert (visitors.busy, visitors.room.waiting) == (["a"], 0)
    visitors._visit(A)
    assert visitors.order == ["a"]


def test_rejected_request_delays_the_next_turn() -> None:
    room = HashRoom(slots=1, waiting=1)
    visitors = Visitors(room)
    visitors.come(A, B, B, C)
    assert (visitors.order, visitors.busy) == (["a"], ["b", "b", "c"])
    visitors.come(B, C)
    assert visitors.order == ["a", "c"]


def test_flood_is_turned_away_from_a_full_room_at_once() -> None:
    room = HashRoom(slots=1, waiting=1)
    for _ in range(6):
        hash_once(room, A)
    hash_once(room, C)
    room.check(A)
    with room.place(B), room.place(USER):
        room.check(C)
        with pytest.raises(BusyError):
            room.check(A)


def test_turns_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helfy.hashing._PRUNE_AT", 3)
    monkeypatch.setattr("helfy.hashing._UNKNOWN_SECONDS", 0.0)
    room = HashRoom(slots=1, waiting=2)
    for number in range(20):
        hash_once(room, Party(f"{number}"))
    assert len(room._turns) <= 4


def test_the_room_counts_and_bounds() -> None:
    room = HashRoom(slots=2, waiting=3)
    hold, inside = threading.Event(), threading.Semaphore(0)
    most: list[int] = []

    def work(number: int) -> None:
        with room.place(Party(f"{number}")):
            inside.release()
            with room.slot():
                most.append(room.running)
                hold.wait(30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=30)
    deadline = time.monotonic() + 30
    while room.running < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (room.running, room.waiting, room.places) == (2, 3, 5)
    with pytest.raises(BusyError), room.place(Party("sixth")):
        pass
    hold.set()
    for thread in threads:
        thread.join()
    assert max(most) == 2
    assert (room.running, room.waiting) == (0, 0)
    with room.place(A):
        pass


def test_a_failure_gives_its_place_back() -> None:
    room = HashRoom(slots=1, waiting=0)
    for _ in range(3):
        with pytest.raises(RuntimeError), room.place(A), room.slot():
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
        while answers[401] < 10 or answers[429] < 10 or len(waits) < 20:
            begun = time.monotonic()
            status: Any = process.send("GET", "/profile", token)[0]
            waits.append(time.monotonic() - begun)
            assert status == 200
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(answers) == {401, 429}
    # Behind the logins it would wait for several hashes, of a fifth of a second and more each.
    assert statistics.median(waits) < 0.5, sorted(waits)


@pytest.mark.slow
def test_flood_from_many_addresses_leaves_users_alone(
    processes: Callable[..., Process],
) -> None:
    """A process with one slot, more attackers than places; a user logs in from where he did."""
    process = processes("[passwords]\nbcrypt_cost = 11\n")
    assert process.login("alice")[0] == 200
    answers: Counter[int] = Counter()
    stop = threading.Event()

    def flood(number: int) -> None:
        while not stop.is_set():
            answers[process.login(f"n{number}", "wrong", f"198.51.100.{number}")[0]] += 1

    clients = [threading.Thread(target=flood, args=(number,)) for number in range(20)]
    for client in clients:
        client.start()
    waits: list[float] = []
    try:
        for _ in range(10):
            begun = time.monotonic()
            assert process.login("alice")[0] == 200
            waits.append(time.monotonic() - begun)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert answers[503] > 0
    assert max(waits) < 2, waits
