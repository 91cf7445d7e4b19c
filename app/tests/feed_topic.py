"""A topic of the tests' Kafka, written to as change capture does, and a feed that reads it."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from kafka_server import Kafka

from helfy.feed.feed import Feed, Page
from helfy.feed.pager import Pager
from helfy.feed.reader import StreamReader
from helfy.feed.settings import Stream

CAPTURED = {f"helfy.{table}": ("id", "email", "note") for table in ("users", "sessions")}
SECRET = "$2b$12$thisisahashthatnobodymaysee"


class Topic:
    """Changes of the table ``helfy.users`` go in; ``name`` is new for each topic."""

    def __init__(self, kafka: Kafka, partitions: int = 1, **settings: str) -> None:
        self.kafka = kafka
        self.name = f"changes-{uuid.uuid4().hex[:8]}"
        self.partitions = partitions
        self.settings = settings
        self._position = 0
        self.make()

    def make(self) -> None:
        """Make it, again where it was deleted."""
        self.kafka.make_topic(self.name, self.partitions, **self.settings)

    def stream(self, **more: Any) -> Stream:
        """Settings of whoever reads it."""
        more = {"captured": CAPTURED, **more}
        return Stream(bootstrap_servers=(self.kafka.server,), topic=self.name, **more)

    @staticmethod
    def captured_toml(table: str) -> str:
        """CAPTURED as a table of a settings file."""
        return f"[{table}]\n" + "".join(
            f'"{name}" = {json.dumps(columns)}\n' for name, columns in CAPTURED.items()
        )

    def change(
        self, row: int, kind: str = "c", table: str = "users", **data: Any
    ) -> tuple[Any, Any]:
        """Give key and value of a change's record."""
        self._position += 1
        image = {"id": row, "email": f"{row}@example.com", "password_hash": SECRET} | data
        source = {
            "db": "helfy",
            "table": table,
            "snapshot": "false",
            "ts_us": int(time.time() * 1e6),
            "gtid": f"0-1-{self._position}",
            "pos": self._position,
            "row": 0,
        }
        value = {
            "before": image | {"email": "old"} if kind in "ud" else None,
            "after": image if kind in "cu" else None,
            "source": source,
            "op": kind,
        }
        return {"id": row}, value

    def heartbeat(self) -> tuple[Any, Any]:
        """Give key and value of what comes when nothing changes."""
        return {"serverName": "helfy"}, {"ts_ms": int(time.time() * 1000)}

    def watermark(self, seconds_ago: float) -> tuple[Any, Any]:
        """Give key and value of what TiCDC writes when nothing changes."""
        moment = int((time.time() - seconds_ago) * 1000) << 18
        told = {"isDdl": False, "type": "TIDB_WATERMARK", "es": 0, "database": ""}
        return "", {**told, "_tidb": {"watermarkTs": moment}}

    def write(self, *records: tuple[Any, Any], partition: int = 0, first_ms: int = 0) -> None:
        """Store records, in order; with ``first_ms`` a millisecond apart from that time on."""
        producer = self.kafka.producer()
        try:
            sent = [
                producer.send(
                    self.name,
                    value=value if isinstance(value, bytes) else json.dumps(value).encode(),
                    key=json.dumps(key).encode(),
                    partition=partition,
                    timestamp_ms=first_ms + number if first_ms else None,
                )
                for number, (key, value) in enumerate(records)
            ]
            for each in sent:
                each.get(20)
        finally:
            producer.close()

    def feed(self, **more: Any) -> Feed:
        """Give a feed whose reader runs; ``stop`` ends it."""
        settings = self.stream(**more)
        feed = Feed(StreamReader(settings), Pager(settings))
        feed.reader.start()
        return feed


def stop(feed: Feed) -> None:
    """End what a feed has running."""
    feed.reader.stop(10)
    feed.pager.close()


def eventually(true: Callable[[], Any], what: str, seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come to pass: {what}"
        time.sleep(0.05)


def rows(page: Page) -> list[Any]:
    """Give the rows' ids of a page's lines, in its order."""
    return [json.loads(entry.text)["change"]["key"]["id"] for entry in page.entries]
