"""The consumer's metrics, in Prometheus format on a port of the VM itself.

A consumer of one process serves its own. Workers leave theirs in files, which the supervisor adds
up: prometheus-client's multiprocess mode, chosen by an environment variable before it is imported.
What each one means is in docs/metrics.md, which a test holds to this module.
"""

import os
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from helfy import jsonlog
from helfy.consumer.change import Change

log = jsonlog.get(__name__)

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
# When a series began: one more series for each, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
LATENCY_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
UNDECODABLE: Final = "UNDECODABLE"

records = Counter(
    "helfy_consumer_records_total",
    "Records read from the topic, heartbeats included",
    registry=REGISTRY,
)
lines = Counter(
    "helfy_consumer_lines_total", "Lines written, by type of change", ["type"], registry=REGISTRY
)
replayed = Counter("helfy_consumer_replayed_total", "Lines known to be replays", registry=REGISTRY)
lost = Counter(
    "helfy_consumer_lost_total",
    "Records that were gone before they were read, as far as their number is known",
    registry=REGISTRY,
)
losses = Counter(
    "helfy_consumer_losses_total",
    "Times that records were gone before they were read",
    ["cause"],
    registry=REGISTRY,
)
rewritten = Counter(
    "helfy_consumer_rewritten_total",
    "Lines that the journal took and did not keep, and that were written again",
    registry=REGISTRY,
)
waiting = Gauge(
    "helfy_consumer_unconfirmed_lines",
    "Lines that are not known to be in the persistent journal",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
journal_persistent = Gauge(
    "helfy_consumer_journal_persistent",
    "Whether lines come to the persistent journal (1) or nothing is committed (0)",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
commit_to_line = Histogram(
    "helfy_consumer_commit_to_line_seconds",
    "From a change's commit to its line, replays left out",
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
lag = Gauge(
    "helfy_consumer_lag_records",
    "Records on the topic that are not read yet",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
kafka_up = Gauge(
    "helfy_consumer_kafka_up",
    "Whether Kafka answers (1) or not (0)",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
# Of the supervisor alone, beside what it adds up.
SUPERVISOR: Final = CollectorRegistry()
workers = Gauge("helfy_consumer_workers", "Workers that are ready", registry=SUPERVISOR)


def wrote(change: Change | None, now: float, *, again: bool) -> None:
    """Count a line that is out; ``now`` in Unix seconds, ``again`` for a replay."""
    lines.labels(UNDECODABLE if change is None else change.type).inc()
    if again:
        replayed.inc()
    elif change is not None and change.committed_ms is not None:
        commit_to_line.observe(max(0.0, now - change.committed_ms / 1000))


def serve(listen: str | None, directory: Path | None = None) -> None:
    """Answer on HOST:PORT, if there is one; with a directory, for the workers that write there.

    The record of changes comes first: where the port cannot be had, a line says so.
    """
    if listen is None:
        return
    registry = REGISTRY
    if directory is not None:
        registry = SUPERVISOR
        MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    host, _, port = listen.rpartition(":")
    try:
        start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        fields = {"listen": listen, "reason": error.strerror or str(error)}
        # Its traceback tells nothing more.
        log.error("metrics_unavailable", extra={"fields": fields})  # noqa: TRY400


def forget(pid: int, directory: Path) -> None:
    """Drop what a dead worker said of its present; what it counted stays."""
    mark_process_dead(pid, path=str(directory))  # type: ignore[no-untyped-call]


def directory(parent: Path) -> Path:
    """Give the folder below ``parent`` that workers leave their metrics in; it is made."""
    made = parent / "metrics"
    made.mkdir(exist_ok=True)
    return made


def environment(directory: Path) -> dict[str, str]:
    """Give what a worker's environment must have, for its metrics to be added up."""
    return {DIRECTORY: os.fspath(directory)}
