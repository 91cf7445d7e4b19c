"""``GET /status``: each part up or down, the stream, and the last hour of all API processes."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from flask import Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from helfy import __release__, capture_states, gaps
from helfy.api import answers, metrics, responses
from helfy.api.gaps import Gap, shape
from helfy.api.last_hour import Hour, together
from helfy.api.models import Shape
from helfy.api.services import Services, services
from helfy.capture_states import CaptureState
from helfy.feed.minutes import LAG, SECONDS, quantile

ASK_SECONDS: Final = 0.5
FRESH_SECONDS: Final = 2.0
MOST_GAPS: Final = 20

blueprint = APIBlueprint(
    "status",
    __name__,
    abp_tags=[Tag(name="status", description="How the parts are")],
    abp_responses=responses.FOR_USERS,
)


class Part(Shape):
    """A part of Helfy, as this process sees it."""

    name: Literal["database", "kafka", "capture", "consumer", "api"]
    instance: str | None
    """Which one: a consumer's group, an API process's address."""
    state: Literal["up", "down", "unknown"]
    """`unknown` where what would tell it is down itself."""
    said: str
    cause: str | None = None
    """Of change capture: a code that says why it is so, such as `unparseable_ddl`."""
    position: str | None = None
    """Of change capture: where in the database's log it stands."""
    remedy: str | None = None
    """Of change capture: what to do."""


class Latency(Shape):
    """From the commit of a change to its record in Kafka, over the last hour; a class's bound."""

    changes: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None


class StreamStatus(Shape):
    """The stream of changes."""

    state: Literal["live", "behind", "cutOff"]
    lag_records: Annotated[int, Field(ge=0)]
    """Records that this process has still to read."""
    silence_seconds: float | None
    """Since the last record, heartbeats included; null before the first."""
    latency: Latency


class Minute(Shape):
    """What happened in a minute, in all API processes that answered."""

    at: datetime
    requests: dict[str, int]
    """By class of status: `2xx`, `4xx`, `5xx`."""
    logins: dict[str, int]
    """By outcome: `ok`, `invalid_credentials`, `throttled`, `busy`, `account_busy`, `unavailable`,
    `bad_request`, `error`."""
    changes: int
    p95_ms: int | None
    """Latency of these changes."""
    lag_records: int
    """The most records that a process had still to read."""


class Status(Shape):
    """How Helfy is."""

    at: datetime
    parts: list[Part]
    gaps: Annotated[list[Gap], Field(max_length=MOST_GAPS)]
    """Gaps of the record that nobody acknowledged, newest first."""
    gaps_open: int
    """How many there are; more than are listed, perhaps."""
    stream: StreamStatus
    requests: dict[str, int]
    """Of the last hour, by class of status."""
    logins: dict[str, int]
    """Of the last hour, by outcome."""
    hour: list[Minute]
    """The minutes of the last hour in which something happened, oldest first."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a process said."""

    release: str
    hour: Hour


@dataclass(slots=True)
class _Peers:
    """What the other processes said, for as long as it is fresh."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_at: float = float("-inf")
    said: dict[str, _Said | None] = field(default_factory=dict)


_peers = _Peers()


@blueprint.get("/status", operation_id="showStatus", responses={200: Status})
def show() -> Response:
    """Show which parts are up, how the stream is, and what happened within the last hour.

    A part that is down is part of the answer: the answer itself is 200 as long as the session
    can be checked.
    """
    here = services()
    processes = _ask_processes(here)
    hour = together(said.hour for said in processes.values() if said is not None)
    minutes, latencies, lags = hour.minutes, hour.latencies, hour.lags
    total = sum((Counter(counts) for counts in minutes.values()), Counter[str]())
    delays = sum((Counter(counts) for counts in latencies.values()), Counter[str]())
    silence = here.feed.reader.pulse.silence()
    known = _known(here)
    return answers.answer(
        Status(
            at=datetime.now(UTC),
            parts=[*_stream_parts(here, known), *_processes(processes)],
            gaps=[shape(gap) for gap in known.open_gaps],
            gaps_open=known.gaps_open,
            stream=StreamStatus(
                state=here.feed.reader.pulse.feed(),
                lag_records=here.feed.reader.lag,
                silence_seconds=None if silence == float("inf") else round(silence, 1),
                latency=Latency(
                    changes=delays.total(),
                    p50_ms=quantile(delays, 0.5),
                    p95_ms=quantile(delays, 0.95),
                    p99_ms=quantile(delays, 0.99),
                ),
            ),
            requests=_named(total, "requests"),
            logins=_named(total, "logins"),
            hour=[
                Minute(
                    at=datetime.fromtimestamp(minute * SECONDS, UTC),
                    requests=_named(minutes.get(minute, {}), "requests"),
                    logins=_named(minutes.get(minute, {}), "logins"),
                    changes=sum(latencies.get(minute, {}).values()),
                    p95_ms=quantile(latencies.get(minute, {}), 0.95),
                    lag_records=lags.get(minute, {}).get(LAG, 0),
                )
                for minute in sorted(minutes.keys() | latencies.keys() | lags.keys())
            ],
        )
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database tells: gaps, how capture is; nothing where it does not answer."""

    answers: bool = False
    open_gaps: Sequence[gaps.Gap] = ()
    gaps_open: int = 0
    capture: Sequence[CaptureState] = ()


def _known(here: Services) -> _Known:
    try:
        with here.engine.connect() as connection:
            return _Known(
                answers=True,
                open_gaps=gaps.newest(connection, only_open=True, limit=MOST_GAPS),
                gaps_open=gaps.count_open(connection),
                capture=capture_states.read(
                    connection, here.settings.stream.capture_report_seconds
                ),
            )
    except SQLAlchemyError:
        return _Known()


def _stream_parts(here: Services, known: _Known) -> list[Part]:
    """The database, Kafka, change capture and the consumers."""
    reader = here.feed.reader
    cut_off = reader.pulse.feed() == "cutOff"
    parts = [_database(answers=known.answers)]
    said = "does not answer" if cut_off else "answers"
    parts.append(Part(name="kafka", instance=None, state="down" if cut_off else "up", said=said))
    silent: Literal["down", "unknown"] = "unknown" if cut_off else "down"
    parts += _capture(here, known.capture, silent)
    state: Literal["up", "down", "unknown"]
    for group in here.groups.look():
        state = silent if group.said is None else ("up" if group.well else "down")
        said = group.said or ("Kafka does not tell" if cut_off else "it has committed nothing")
        parts.append(Part(name="consumer", instance=group.name, state=state, said=said))
    return parts


def _capture(
    here: Services, states: Sequence[CaptureState], silent: Literal["down", "unknown"]
) -> list[Part]:
    """Change capture: what the topic shows, and what its watchdogs say."""
    pulse = here.feed.reader.pulse
    silence = pulse.silence()
    said = "no record has come yet"
    if silence != float("inf"):
        said = f"the last record came {silence:.0f} s ago"
    flows = pulse.state() == "ok"
    if not states:
        state: Literal["up", "down", "unknown"] = "up" if flows else silent
        return [Part(name="capture", instance=None, state=state, said=said)]
    return [_captured(each, said, silent, flows=flows) for each in states]


def _captured(
    told: CaptureState, said: str, silent: Literal["down", "unknown"], *, flows: bool
) -> Part:
    state: Literal["up", "down", "unknown"] = "up" if flows else silent
    if told.state == "failed":
        state = "down"
    if told.state == "unknown":
        state = "unknown"
    running = told.state == "running"
    return Part(
        name="capture",
        instance=told.source,
        state=state,
        said=said if running else f"{said}; {told.said}",
        cause=None if running else told.cause,
        position=told.position,
        remedy=None if running else told.remedy,
    )


def _database(*, answers: bool) -> Part:
    if not answers:
        return Part(name="database", instance=None, state="down", said="does not answer")
    return Part(name="database", instance=None, state="up", said="answers")


def _processes(said: dict[str, _Said | None]) -> list[Part]:
    return [
        Part(
            name="api",
            instance=address,
            state="down" if answer is None else "up",
            said="does not answer" if answer is None else f"release {answer.release}",
        )
        for address, answer in said.items()
    ]


def _ask_processes(here: Services) -> dict[str, _Said | None]:
    """Ask each API process what it counted, every other second at most; None: no answer."""
    own = str(current_app.config.get("ADDRESS", "this process"))
    mine = _Said(__release__, metrics.of(current_app).hour())
    others = [address for address in here.settings.server.processes if address != own]
    with _peers.lock:
        stale = time.monotonic() - _peers.asked_at > FRESH_SECONDS
        if stale or set(_peers.said) != set(others):
            _peers.said = {address: _ask(address) for address in others}
            _peers.asked_at = time.monotonic()
        return dict(sorted({own: mine, **_peers.said}.items()))


def _ask(address: str) -> _Said | None:
    connection = http.client.HTTPConnection(address, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/metrics/hour", headers={"Host": "localhost"})
        said = json.loads(connection.getresponse().read())
        return _Said(str(said["release"]), Hour.read(said))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def _named(counts: dict[str, int], kind: str) -> dict[str, int]:
    prefix = f"{kind}."
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counts.items())
        if name.startswith(prefix)
    }
