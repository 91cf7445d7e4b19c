#!/usr/bin/env python3
"""Measure how long a change takes from its commit to its line in the journal.

On the machine itself: one row is updated again and again, each time with a commit of its own, and
the time is taken as soon as the commit has returned. journald notes when it received each line.
So both times are of one clock, and what an SSH connection takes is in neither. The row is
inserted before and deleted after.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from kafka_login import kafka_login
from machine import MachineError
from machines import Machines

# By the group of the database. TiCDC waits for all that may still be committed before.
GOAL_MS: Final = {"mariadb": 150, "tidb": 600}
PROGRAM: Final = r"""
import json, subprocess, sys, time, uuid
import kafka, pymysql
given = json.load(sys.stdin)
name = "bench-" + uuid.uuid4().hex[:10]
link = pymysql.connect(**given["sql_login"], database=given["database"], autocommit=True)
cursor = link.cursor()
begun = time.time()
cursor.execute("INSERT INTO users (username, email, password_hash) VALUES (%s, %s, 'none')",
               (name, name + "@example.com"))
committed = {}
try:
    due = time.monotonic()
    for number in range(given["commits"]):
        due += 1 / given["rate"]
        time.sleep(max(0, due - time.monotonic()))
        email = f"{name}-{number}@example.com"
        cursor.execute("UPDATE users SET email = %s WHERE username = %s", (email, name))
        committed[email] = time.time()
finally:
    cursor.execute("DELETE FROM users WHERE username = %s", (name,))

def read():
    said = subprocess.run(
        ["journalctl", "-q", "--no-pager", "-a", "-o", "json", "-u", "helfy-consumer",
         f"--since=@{int(begun)}", f"--grep={name}"], capture_output=True, text=True).stdout
    lines = {}
    for entry in map(json.loads, said.splitlines()):
        line = json.loads(entry["MESSAGE"])
        if line["change"]["type"] == "UPDATE":
            received = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            lines.setdefault(line["change"]["data"]["email"], (received, line["source"]))
    return lines

deadline = time.monotonic() + 30
lines = read()
while len(lines) < len(committed) and time.monotonic() < deadline:
    time.sleep(0.5)
    lines = read()
# When change capture had read the change: Debezium tells it as ts_us, TiCDC as ts in milliseconds.
captured = {}
if lines:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=given["servers"], consumer_timeout_ms=3000, **given["login"])
    parts = {source["partition"] for _, source in lines.values()}
    topics = {part: kafka.TopicPartition(given["topic"], part) for part in parts}
    consumer.assign(list(topics.values()))
    for part, topic in topics.items():
        consumer.seek(topic, min(s["offset"] for _, s in lines.values() if s["partition"] == part))
    wanted = {(s["partition"], s["offset"]): email for email, (_, s) in lines.items()}
    for record in consumer:
        email = wanted.pop((record.partition, record.offset), None)
        if email is not None:
            value = json.loads(record.value)
            captured[email] = value["ts_us"] / 1e6 if "ts_us" in value else value["ts"] / 1e3
        if not wanted:
            break
    consumer.close()
print(json.dumps([[at, captured.get(email), lines.get(email, [None])[0]]
                  for email, at in committed.items()]))
"""


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def row(name: str, seconds: Sequence[float]) -> str:
    """Write one line of the table, in milliseconds."""
    figures = [*(percentile(seconds, share) for share in (0.5, 0.9, 0.99)), max(seconds)]
    return f"{name:<22}" + "".join(f"{figure * 1000:>9.1f}" for figure in figures)


def main() -> int:
    """Measure and print; the exit status is 1 where the goal is missed or a line is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--commits", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20, help="a second (default: %(default)s)")
    parser.add_argument("--inventory", help="its folder (default: inventory/current)")
    options = parser.parse_args()
    if options.inventory:
        os.environ["HELFY_INVENTORY"] = str(Path(options.inventory).resolve())
    machines = Machines()
    try:
        places = [machine for machine in machines.databases if "consumer" in machine.groups]
        if not places:
            raise MachineError("no machine has both the database and a consumer: two clocks")
        given = {
            "commits": options.commits,
            "rate": options.rate,
            "database": places[0].vars["database_name"],
            "sql_login": places[0].sql_login,
            "servers": places[0].vars["kafka_bootstrap_servers"],
            "topic": places[0].vars["kafka_topic"],
            "login": kafka_login(places[0]),
        }
        rows = places[0].python(PROGRAM, given, seconds=120 + options.commits / options.rate)
    finally:
        machines.close()
    found = [(commit, capture, line) for commit, capture, line in rows if line is not None]
    print(f"{len(found)} of {len(rows)} commits have a line, {options.rate:g} commits a second")
    if not found:
        return 1
    total = [line - commit for commit, _, line in found]
    print(f"{'ms':<22}" + "".join(f"{title:>9}" for title in ("p50", "p90", "p99", "max")))
    if all(capture is not None for _, capture, _ in found):
        print(row("commit to capture", [capture - commit for commit, capture, _ in found]))
        print(row("capture to journal", [line - capture for _, capture, line in found]))
    print(row("commit to journal", total))
    goal = GOAL_MS["tidb" if "tidb" in places[0].groups else "mariadb"]
    good = percentile(total, 0.99) * 1000 <= goal and len(found) == len(rows)
    print(f"goal: p99 at most {goal} ms: {'reached' if good else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
