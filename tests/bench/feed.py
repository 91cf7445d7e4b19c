#!/usr/bin/env python3
"""Measure what the live feed costs: logins with and without viewers, and how soon a change is seen.

A hundred viewers ask for what is new every second, through nginx. Logins come one after another,
before and meanwhile; their time is mostly one password hash. A change is committed by SQL through
an SSH connection that is open already, and the time until it is seen is taken here, so what the
connection takes is in it: before, by one who asks as often as the page does, and meanwhile, by one
who asks all the time.
"""

import argparse
import os
import statistics
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import requests
from commit_to_line import percentile, row
from machine import Machine
from machines import Machines
from trust import trust

SLOWER_BY: Final = 1.15
SEEN_SECONDS: Final = 1.0


class Viewers:
    """So many who ask for what is new, each by a connection of its own."""

    def __init__(self, url: str, token: str, count: int, pause: float) -> None:
        self.seconds: list[float] = []
        self.refused = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._view, args=(url, token, number / count * pause, pause))
            for number in range(count)
        ]

    def __enter__(self) -> "Viewers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _view(self, url: str, token: str, offset: float, pause: float) -> None:
        cursor = ""
        with requests.Session() as http:
            http.headers["x-auth-token"] = token
            self._stop.wait(offset)
            while not self._stop.is_set():
                query: dict[str, str] = {"after": cursor} if cursor else {"limit": "1"}
                begun = time.monotonic()
                answer = http.get(f"{url}/changes", params=query, timeout=30)
                self.seconds.append(time.monotonic() - begun)
                if answer.status_code == requests.codes.ok:
                    cursor = answer.json()["next"]
                else:
                    self.refused += 1
                self._stop.wait(max(0, pause - (time.monotonic() - begun)))


def log_in(http: requests.Session, url: str, account: dict[str, str]) -> str:
    """Log in and return the token."""
    body = {"usernameOrEmail": account["username"], "password": account["password"]}
    answer = http.post(f"{url}/login", json=body, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["token"])


def logins(url: str, account: dict[str, str], count: int) -> list[float]:
    """Give the seconds of logins, one after another."""
    seconds = []
    with requests.Session() as http:
        for _ in range(count):
            begun = time.monotonic()
            token = log_in(http, url, account)
            seconds.append(time.monotonic() - begun)
            http.post(f"{url}/logout", headers={"x-auth-token": token}, timeout=30)
            time.sleep(0.2)  # the throttle by address is not what is measured
    return seconds


def seen_after(
    database: Machine, url: str, token: str, count: int, *, as_a_page: bool
) -> list[float]:
    """Give the seconds from a commit to the feed's having it, or to a page's having it.

    A page asks again when the answer says (``pollAfterMs``).
    """
    name, seconds = f"bench-{uuid.uuid4().hex[:10]}", []
    columns = "(username, email, password_hash)"
    values = f"('{name}', '{name}@example.com', 'none')"
    database.sql(f"INSERT INTO users {columns} VALUES {values}")
    with requests.Session() as http:
        http.headers["x-auth-token"] = token
        answer = http.get(f"{url}/changes", params={"limit": "1"}, timeout=30).json()
        cursor = answer["next"]
        for number in range(count):
            email = f"{name}-{number}@example.com"
            # A page has been asking all along: the change comes somewhere between two answers.
            wait = answer["pollAfterMs"] / 1000 if as_a_page else 0.02
            due = time.monotonic() + wait * (number + 0.5) / count
            begun = time.monotonic()
            database.sql(f"UPDATE users SET email = '{email}' WHERE username = '{name}'")
            while time.monotonic() < begun + 30:
                time.sleep(max(0.0, due - time.monotonic()))
                query = {"after": cursor, "table": "users"}
                answer = http.get(f"{url}/changes", params=query, timeout=30).json()
                cursor = answer["next"]
                if any(line["change"]["data"].get("email") == email for line in answer["changes"]):
                    break
                due = time.monotonic() + (answer["pollAfterMs"] / 1000 if as_a_page else 0.02)
            seconds.append(time.monotonic() - begun)
    database.sql(f"DELETE FROM users WHERE username = '{name}'")
    return seconds


def main() -> int:
    """Measure and print; the exit status is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--viewers", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--pause", type=float, default=1.0, help="of each, in seconds")
    parser.add_argument("--logins", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--changes", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--inventory", help="its folder (default: inventory/current)")
    options = parser.parse_args()
    if options.inventory:
        os.environ["HELFY_INVENTORY"] = str(Path(options.inventory).resolve())
    machines = Machines()
    try:
        client = machines.of("client")[0]
        url = client.vars["page_url"]
        trust(url)
        account = machines.of("api")[0].vars["helfy_api_seed_accounts"][0]
        with requests.Session() as http:
            token = log_in(http, url, account)
        database = machines.databases[0]
        page = seen_after(database, url, token, options.changes, as_a_page=True)
        alone = logins(url, account, options.logins)
        with Viewers(url, token, options.viewers, options.pause) as viewers:
            time.sleep(2 * options.pause)
            beside = logins(url, account, options.logins)
            seen = seen_after(database, url, token, options.changes, as_a_page=False)
        with requests.Session() as http:
            http.post(f"{url}/logout", headers={"x-auth-token": token}, timeout=30)
    finally:
        machines.close()
    print(f"{options.viewers} viewers, {options.pause:g} s apart; refused: {viewers.refused}")
    print(f"{'ms':<22}" + "".join(f"{title:>9}" for title in ("p50", "p90", "p99", "max")))
    print(row("login, nobody looks", alone))
    print(row("login, all look", beside))
    print(row("a viewer's request", viewers.seconds))
    print(row("commit to page, alone", page))
    print(row("commit to feed, all", seen))
    slower = statistics.median(beside) / statistics.median(alone)
    late = percentile(page, 0.99)
    good = slower <= SLOWER_BY and late <= SEEN_SECONDS and not viewers.refused
    print(
        f"goals: logins at most {SLOWER_BY:g} times as long ({slower:.2f}), "
        f"on a page within {SEEN_SECONDS:g} s ({late:.2f}): {'reached' if good else 'missed'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
