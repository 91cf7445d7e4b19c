#!/usr/bin/env python3
"""Measure what logins cost: how many a second, and what a flood of them leaves of the rest.

On the API's machine: first how many checks of a password it comes to with nothing else running, one
by one and on all cores at once; then logins through nginx for a while, by as many clients as keep
every process busy, and at the same time somebody looking at his profile. What the machine could do
at best is cores / time of a check; cores that share what they compute with do less at once than one
by one. On one machine with all the rest, each login also costs what is done to have it on record.
Each client has a loopback address of its own, since nginx limits the logins of one address.

With ``--attackers N``, measure instead how many logins of other users succeed within 2 s while
``--connections`` connections of N addresses post logins without a pause: wrong ones, or with
``--right`` those of an ordinary user. Others are users at addresses that they have logged in from
before (the goal is theirs), and newcomers, each at an address that nobody has used.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from commit_to_line import percentile
from machine import MachineError
from machines import Machines

SHARE: Final = 0.95
PROFILE_MS: Final = 50
WITHIN_SECONDS: Final = 2.0
SUCCEEDED_SHARE: Final = 0.99
USERS: Final = 4
CLIENT: Final = r"""
import http.client, json, ssl, sys, threading, time
given = json.load(sys.stdin)

def ask(connection, method, path, body=None, token=None):
    headers = {"Content-Type": "application/json", "User-Agent": given["agent"]}
    if token:
        headers["x-auth-token"] = token
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())

def connect(address="127.0.0.1", seconds=60):
    place = (given["host"], given["port"])
    options = {"timeout": seconds, "source_address": (address, 0)}
    if given["scheme"] == "http":
        return http.client.HTTPConnection(*place, **options)
    return http.client.HTTPSConnection(*place, **options, context=ssl._create_unverified_context())
"""
PROGRAM: Final = r"""
import glob, os
sys.path.insert(0, "/opt/helfy/current/lib")
import bcrypt
hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(given["cost"]))
def check():
    begun = time.perf_counter()
    bcrypt.checkpw(b"y", hashed)
    return time.perf_counter() - begun
one = min(check() for _ in range(5))
def checks(until, done):
    while time.perf_counter() < until:
        check()
        done.append(time.perf_counter())
done, begun = [], time.perf_counter()
several = [threading.Thread(target=checks, args=(begun + 8, done)) for _ in range(os.cpu_count())]
for thread in several:
    thread.start()
for thread in several:
    thread.join()
together = len(done) / (max(done) - begun)

def used():
    seconds = {}
    for path in glob.glob("/sys/fs/cgroup/**/*.service/cpu.stat", recursive=True):
        name = path.split("/")[-2].partition("@")[0].removesuffix(".service")
        with open(path) as file:
            spent = int(file.readline().split()[1]) / 1e6
        seconds[name] = seconds.get(name, 0) + spent
    return seconds

credentials = {"usernameOrEmail": given["username"], "password": given["password"]}
status, body = ask(connect(), "POST", "/login", credentials)
assert status == 200, body
token, counts, waits, stop = body["token"], [], [], threading.Event()
def flood(number):
    link = connect(f"127.0.1.{number + 1}")
    while not stop.is_set():
        status, _ = ask(link, "POST", "/login", credentials)
        counts.append(status)
        if status == 503:
            time.sleep(0.05)
clients = [threading.Thread(target=flood, args=(n,)) for n in range(given["clients"])]
for client in clients:
    client.start()
link = connect()
time.sleep(2)
counts.clear()
before, begun = used(), time.perf_counter()
while time.perf_counter() < begun + given["seconds"]:
    started = time.perf_counter()
    assert ask(link, "GET", "/profile", token=token)[0] == 200
    waits.append(time.perf_counter() - started)
    time.sleep(0.05)
took = time.perf_counter() - begun
done, after = list(counts), used()
stop.set()
for client in clients:
    client.join()
spent = {name: after[name] - before.get(name, 0) for name in after}
print(json.dumps({"check": one, "together": together, "spent": spent, "cores": os.cpu_count(),
                  "seconds": took, "profiles": waits,
                  "counts": {str(s): done.count(s) for s in set(done)}}))
"""
ATTACK: Final = r"""
import itertools, multiprocessing, os, signal
from collections import Counter

def login(link, name, password):
    credentials = {"usernameOrEmail": name, "password": password}
    return ask(link, "POST", "/login", credentials)[0]

def attack(ready, queue):
    os.nice(10)  # it computes elsewhere
    counts, stop, names = Counter(), threading.Event(), itertools.count()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    def post(number):
        link = connect(f"127.0.2.{number % given['attackers'] + 1}")
        while not stop.is_set():
            try:
                if given["right"]:
                    status = login(link, given["users"][0], given["password"])
                else:
                    status = login(link, f"guess-{next(names)}", "wrong")
                counts[str(status)] += 1
            except (OSError, http.client.HTTPException):
                counts["none"] += 1
                link.close()
    for number in range(given["connections"]):
        thread = threading.Thread(target=post, args=(number,), daemon=True)
        thread.start()
    ready.set()
    stop.wait()
    queue.put(dict(counts))

def look(results, name, address):
    begun = time.monotonic()
    try:
        link = connect(address, 10)
        status = str(login(link, name, given["password"]))
        link.close()
    except (OSError, http.client.HTTPException):
        status = "none"
    results.append((status, time.monotonic() - begun))

users, newcomers, stop = [], [], threading.Event()
fresh = itertools.count(1)
def user(number):
    while not stop.wait(given["pause"]):
        look(users, given["users"][number], f"127.0.3.{number}")
def newcomer():
    while not stop.wait(given["pause"]):
        number = next(fresh)
        look(newcomers, given["users"][1], f"127.0.{4 + number // 250}.{number % 250 + 1}")

for number in range(1, len(given["users"])):
    look(before := [], given["users"][number], f"127.0.3.{number}")
    assert before[0][0] == "200", before
here = multiprocessing.get_context("fork")
ready, queue = here.Event(), here.Queue()
attackers = here.Process(target=attack, args=(ready, queue))
if given["attackers"]:
    attackers.start()
    ready.wait()
others = [threading.Thread(target=user, args=(n,)) for n in range(1, len(given["users"]))]
others.append(threading.Thread(target=newcomer))
for other in others:
    other.start()
time.sleep(given["seconds"])
stop.set()
for other in others:
    other.join()
counts = {}
if given["attackers"]:
    attackers.terminate()
    counts = queue.get()
    attackers.join(1)
    attackers.kill()
print(json.dumps({"users": users, "newcomers": newcomers, "attackers": counts}))
"""


def main() -> int:
    """Measure and print; the exit status is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="(default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--attackers", type=int, help="addresses that attack; 0 for none")
    parser.add_argument(
        "--connections", type=int, default=40, help="of theirs (default: %(default)s)"
    )
    parser.add_argument("--right", action="store_true", help="they log in as an ordinary user")
    parser.add_argument("--inventory", help="its folder (default: inventory/current)")
    options = parser.parse_args()
    if options.inventory:
        os.environ["HELFY_INVENTORY"] = str(Path(options.inventory).resolve())
    machines = Machines()
    agent = "helfy-tests/bench-login"
    try:
        place, client = machines.of("api")[0], machines.of("client")[0]
        accounts = place.vars["helfy_api_seed_accounts"]
        if not accounts:
            raise MachineError("this inventory is not a lab: it has no account to log in with")
        page = urlsplit(client.vars["page_url"])
        given = {
            "scheme": page.scheme,
            "host": page.hostname,
            "port": page.port,
            "cost": place.vars["helfy_api_bcrypt_cost"],
            "username": accounts[0]["username"],
            "password": accounts[0]["password"],
            "seconds": options.seconds,
            "clients": options.clients,
            "agent": agent,
        }
        if options.attackers is not None:
            return attacked(machines, given, options)
        found = place.python(CLIENT + PROGRAM, given, seconds=120 + options.seconds)
        machines.databases[0].sql(f"DELETE FROM sessions WHERE user_agent = '{agent}'")
    finally:
        machines.close()
    best, together = found["cores"] / found["check"], found["together"]
    count = found["counts"].get("200", 0)
    rate = count / found["seconds"]
    hashing = count * found["cores"] / together
    spent = {name: value for name, value in found["spent"].items() if value > 0.005 * hashing}
    slow = percentile(found["profiles"], 0.99) * 1000
    print(f"one check of a password  {found['check'] * 1000:8.1f} ms on {found['cores']} cores")
    print(f"answers to logins        {found['counts']} in {found['seconds']:.1f} s")
    print(
        f"logins a second          {rate:8.2f}, {rate / best:.0%} of {best:.2f} (goal: {SHARE:.0%})"
    )
    print(
        f"checks alone, all cores  {together:8.2f} a second; of that, logins are"
        f" {rate / together:.0%}"
    )
    print(f"of the API's CPU time    {hashing / spent['helfy-api']:8.0%} is checks of passwords")
    for name, value in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"CPU time of a login      {value / count * 1000:8.1f} ms in {name}")
    print(f"profile p99 meanwhile    {slow:8.1f} ms (goal: {PROFILE_MS} ms)")
    good = rate >= SHARE * best and slow < PROFILE_MS
    print(f"goals: {'reached' if good else 'missed'}")
    return 0 if good else 1


def attacked(machines: Machines, given: dict[str, Any], options: argparse.Namespace) -> int:
    """Measure the logins of others under attack; the exit status is 1 where the goal is missed."""
    names = [f"bench-login-{number}" for number in range(USERS)]
    listed = ", ".join(f"'{name}'" for name in names)
    database = machines.databases[0]
    given |= {
        "users": names,
        "pause": USERS,
        "attackers": options.attackers,
        "connections": options.connections,
        "right": options.right,
    }
    clean = (
        "DELETE FROM login_addresses"
        f" WHERE user_id IN (SELECT id FROM users WHERE username IN ({listed}));"
        f" DELETE FROM sessions WHERE user_agent = '{given['agent']}';"
        f" DELETE FROM users WHERE username IN ({listed}); DELETE FROM login_throttle"
    )
    database.sql(clean)
    try:
        for name in names:
            database.sql(
                "INSERT INTO users (username, email, password_hash)"
                f" SELECT '{name}', '{name}@example.com', password_hash"
                f" FROM users WHERE username = '{given['username']}'"
            )
        found = machines.of("client")[0].python(
            CLIENT + ATTACK, given, seconds=120 + options.seconds
        )
    finally:
        database.sql(clean)
    print(f"answers to attackers {found['attackers']}")
    shares = {who: told(who, found[who]) for who in ("users", "newcomers")}
    good = shares["users"] >= SUCCEEDED_SHARE
    print(f"goal for users, {SUCCEEDED_SHARE:.0%}: {'reached' if good else 'missed'}")
    return 0 if good else 1


def told(who: str, logins: list[tuple[str, float]]) -> float:
    """Print how logins ended, and give the share of those that succeeded in time."""
    took = [seconds for status, seconds in logins if status == "200"]
    share = sum(seconds <= WITHIN_SECONDS for seconds in took) / len(logins)
    slow = f"p50 {percentile(took, 0.5):.2f} s, longest {max(took):.2f} s" if took else "none"
    counts = dict(Counter(status for status, _ in logins))
    print(f"{who:9} {counts}: {share:.1%} succeeded within {WITHIN_SECONDS:.0f} s; {slow}")
    return share


if __name__ == "__main__":
    sys.exit(main())
