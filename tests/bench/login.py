#!/usr/bin/env python3
"""Measure what logins cost: how many a second, and what a flood of them leaves of the rest.

On the API's machine: first how many checks of a password it comes to with nothing else running, one
by one and on all cores at once; then logins through nginx for a while, by as many clients as keep
every process busy, and at the same time somebody looking at his profile. What the machine could do
at best is cores / time of a check; cores that share what they compute with do less at once than one
by one. On one machine with all the rest, each login also costs what is done to have it on record.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from commit_to_line import percentile
from machine import MachineError
from machines import Machines

SHARE: Final = 0.95
PROFILE_MS: Final = 50
PROGRAM: Final = r"""
import glob, http.client, json, os, ssl, statistics, sys, threading, time
sys.path.insert(0, "/opt/helfy/current/lib")
import bcrypt
given = json.load(sys.stdin)
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

def ask(connection, method, path, body=None, token=None):
    headers = {"Content-Type": "application/json", "User-Agent": given["agent"]}
    if token:
        headers["x-auth-token"] = token
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())

def connect():
    if given["scheme"] == "http":
        return http.client.HTTPConnection(given["host"], given["port"], timeout=60)
    trusting = ssl._create_unverified_context()
    return http.client.HTTPSConnection(given["host"], given["port"], timeout=60, context=trusting)

credentials = {"usernameOrEmail": given["username"], "password": given["password"]}
status, body = ask(connect(), "POST", "/login", credentials)
assert status == 200, body
token, counts, waits, stop = body["token"], [], [], threading.Event()
def flood():
    link = connect()
    while not stop.is_set():
        status, _ = ask(link, "POST", "/login", credentials)
        counts.append(status)
        if status == 503:
            time.sleep(0.05)
clients = [threading.Thread(target=flood) for _ in range(given["clients"])]
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


def main() -> int:
    """Measure and print; the exit status is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="(default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="(default: %(default)s)")
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
        found = place.python(PROGRAM, given, seconds=120 + options.seconds)
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


if __name__ == "__main__":
    sys.exit(main())
