"""``/metrics`` of this process, in Prometheus format, and what it counted in the last hour.

nginx passes neither path on. What each metric means is in docs/metrics.md, which a test holds to
this module. Labels take few values: routes as the application knows them and never paths.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from flask import Flask, Response, g, jsonify, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import Counter as Counted
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

from helfy import __release__, __version__, capture_states, gaps
from helfy import sessions as stored
from helfy.api.last_hour import Hour
from helfy.api.services import Services, services
from helfy.feed.minutes import Minutes

ENDPOINTS: Final = frozenset({"metrics", "metrics_hour"})
BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 5, 10)
SESSIONS_SECONDS: Final = 15.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_LOGIN: Final = "auth.login"
_LOGIN_OUTCOMES: Final = {
    200: "ok",
    401: "invalid_credentials",
    429: "throttled",
    503: "unavailable",
}


# When a series began: one more series for each, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one application, and ``minutes``: what it did by minute of the last hour."""

    def __init__(self, here: Services) -> None:
        self.minutes = Minutes()
        self._reader = here.feed.reader
        self.registry = CollectorRegistry()
        self.registry.register(_Now(here))
        self._logins = Counted(
            "helfy_api_logins_total", "Logins, by outcome", ["outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "helfy_api_request_seconds",
            "Time of requests, by route, method and class of status",
            ["route", "method", "status"],
            buckets=BUCKETS,
            registry=self.registry,
        )

    def count(self, response: Response) -> None:
        """Count a request and its answer."""
        status = response.status_code
        route = request.url_rule.rule if request.url_rule is not None else "none"
        method = request.method if request.method in _METHODS else "other"
        seconds = time.monotonic() - g.started
        self._seconds.labels(route, method, f"{status // 100}xx").observe(seconds)
        self.minutes.note(f"requests.{status // 100}xx")
        if request.endpoint == _LOGIN:
            usual = _LOGIN_OUTCOMES.get(status, "error" if status >= 500 else "bad_request")  # noqa: PLR2004
            outcome = g.get("outcome", usual)
            self._logins.labels(outcome).inc()
            self.minutes.note(f"logins.{outcome}")

    def hour(self) -> Hour:
        """Give what this process counted and saw within the last hour."""
        return Hour(
            minutes=self.minutes.by_minute(),
            latencies=self._reader.latencies.minutes.by_minute(),
            lags=self._reader.lags.by_minute(),
        )


@dataclass(frozen=True, slots=True)
class _Record:
    """How the record is, by the database."""

    gaps_open: int
    capture: Sequence[capture_states.CaptureState]


class _Now:
    """What is so at the moment of asking."""

    def __init__(self, here: Services) -> None:
        self._here = here
        self._sessions: int | None = None
        self._asked_at = float("-inf")
        self._record: _Record | None = None
        self._read_at = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """Give it (prometheus-client's protocol)."""
        here, reader = self._here, self._here.feed.reader
        lines, size = reader.ring.size()
        info = GaugeMetricFamily(
            "helfy_api_info", "Version and release; always 1", labels=["version", "release"]
        )
        info.add_metric([__version__, __release__], 1)
        yield info
        feed = GaugeMetricFamily(
            "helfy_api_feed_state", "1 for the state that the live feed is in", labels=["state"]
        )
        state = reader.pulse.feed()
        for each in ("live", "behind", "cutOff"):
            feed.add_metric([each], each == state)
        yield feed
        sessions = self._good_sessions()
        if sessions is not None:
            yield GaugeMetricFamily(
                "helfy_api_sessions", "Sessions that are good now, of all processes", sessions
            )
        yield from self._of_the_record()
        for name, text, value in (
            ("helfy_api_database_up", "Whether the database answers", sessions is not None),
            ("helfy_api_hashes_running", "Password hashes being made", here.room.running),
            ("helfy_api_hashes_waiting", "Requests that wait for a hash", here.room.waiting),
            ("helfy_api_hashes_slots", "Password hashes at once at most", here.room.slots),
            ("helfy_api_feed_lines", "Lines of the live feed in memory", lines),
            ("helfy_api_feed_bytes", "What they take", size),
            ("helfy_api_stream_lag_records", "Records on the topic not read yet", reader.lag),
            (
                "helfy_api_stream_silence_seconds",
                "Time since the last record on the topic",
                reader.pulse.silence(),
            ),
        ):
            yield GaugeMetricFamily(name, text, value)

    def _of_the_record(self) -> Iterable[Metric]:
        """What the database tells, read every 15 seconds at most; nothing where it is away."""
        if time.monotonic() - self._read_at > SESSIONS_SECONDS:
            self._read_at = time.monotonic()
            try:
                with self._here.engine.connect() as connection:
                    seconds = self._here.settings.stream.capture_report_seconds
                    states = capture_states.read(connection, seconds)
                    self._record = _Record(gaps.count_open(connection), states)
            except SQLAlchemyError:
                self._record = None
        if self._record is None:
            return
        yield GaugeMetricFamily(
            "helfy_record_gaps_open",
            "Gaps of the record that nobody acknowledged, of all processes",
            self._record.gaps_open,
        )
        capture = GaugeMetricFamily(
            "helfy_capture_state",
            "1 for the state that a connector or changefeed is in, of all processes",
            labels=["source", "state", "cause"],
        )
        for each in self._record.capture:
            cause = each.cause if each.cause in capture_states.CAUSES else "other"
            capture.add_metric([each.source, each.state, cause if each.cause else ""], 1)
        yield capture

    def _good_sessions(self) -> int | None:
        """Count them, every 15 seconds at most; None where the database does not answer."""
        if time.monotonic() - self._asked_at > SESSIONS_SECONDS:
            self._asked_at = time.monotonic()
            try:
                self._sessions = stored.count(self._here.engine, self._here.rules)
            except SQLAlchemyError:
                self._sessions = None
        return self._sessions


def register(app: Flask) -> None:
    """Count every request from now on, and add the two routes."""
    with app.app_context():
        metrics = Metrics(services())
    app.extensions["helfy.metrics"] = metrics

    def count(response: Response) -> Response:
        if request.endpoint not in ENDPOINTS:
            metrics.count(response)
        return response

    def show() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    def hour() -> Response:
        return jsonify({"release": __release__, **asdict(metrics.hour())})

    # First to be registered is last to run: the answer is whole by then.
    app.after_request_funcs.setdefault(None, []).insert(0, count)
    app.add_url_rule("/metrics", endpoint="metrics", view_func=show)
    app.add_url_rule("/metrics/hour", endpoint="metrics_hour", view_func=hour)


def of(app: Flask) -> Metrics:
    """Return the metrics of an application."""
    found = app.extensions["helfy.metrics"]
    if not isinstance(found, Metrics):
        raise TypeError("the application was not made by helfy.api.create_app")
    return found
