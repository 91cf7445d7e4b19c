"""A load of logins and profiles, and what became of each request.

Alone it runs until Ctrl-C, or for as long as it is told: ``load.py URL [SECONDS [THREADS]]``.
"""

import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import requests

PROFILES_PER_LOGIN = 20


@dataclass(frozen=True)
class Failure:
    """A request that failed: when it ended (Unix seconds), how long it took, and how it ended.

    ``kind`` is the answer's status ("503"), "503 without JSON" where its body is not that of an
    error, or "refused", "unreachable", "cut off", "no answer".
    """

    at: float
    asked: str
    seconds: float
    kind: str
    said: str

    def __str__(self) -> str:
        """Say it in a line."""
        at = time.strftime("%H:%M:%S", time.localtime(self.at))
        return f"{at} {self.asked} after {self.seconds:.2f} s: {self.kind} {self.said}"


@dataclass
class Load:
    """While it is entered, ``threads`` clients log in, look at their profile and log out.

    Every other client keeps its connection to nginx, the rest makes a new one for each request.
    A request has failed where the answer is another one than 200, or none. It has none where
    ``timeout`` seconds pass without a byte. ``pause`` is how long a client waits before each
    request, in seconds.
    """

    url: str
    account: dict[str, str]
    agent: str
    threads: int = 4
    timeout: float = 30.0
    pause: float = 0.02
    failures: list[Failure] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    succeeded_at: float = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._stop = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._clients = [
            threading.Thread(target=self._client, args=(number % 2 == 0,), daemon=True)
            for number in range(self.threads)
        ]
        for client in self._clients:
            client.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, once the requests at hand are answered."""
        self._stop.set()
        self._going.set()
        for client in self._clients:
            client.join(60)

    def __str__(self) -> str:
        """Say how it went."""
        asked = ", ".join(f"{count} {name}" for name, count in sorted(self.answered.items()))
        return f"{asked}; {len(self.failures)} failed; longest {self.longest:.2f} s"

    def hold(self) -> None:
        """Ask nothing more, until ``go``."""
        self._going.clear()

    def go(self) -> None:
        """Go on."""
        self._going.set()

    def _client(self, keep: bool) -> None:
        body = {"usernameOrEmail": self.account["username"], "password": self.account["password"]}
        with requests.Session() as session:
            session.headers["User-Agent"] = self.agent
            if not keep:
                session.headers["Connection"] = "close"
            while not self._stop.is_set():
                answer = self._ask(session, "POST", "/login", json=body)
                if answer is None:
                    continue
                token = {"x-auth-token": answer.json()["token"]}
                for _ in range(PROFILES_PER_LOGIN):
                    self._ask(session, "GET", "/profile", headers=token)
                live = self._ask(session, "GET", "/health/live")
                self._ask(session, "POST", "/logout", headers=token)
                if live is not None:
                    with self._lock:
                        self.releases[live.json().get("release", "")] += 1

    def _ask(
        self,
        session: requests.Session,
        method: str,
        path: str,
        json: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response | None:
        time.sleep(self.pause)
        self._going.wait()
        begun = time.monotonic()
        answer: requests.Response | None = None
        try:
            answer = session.request(
                method, f"{self.url}{path}", json=json, headers=headers, timeout=self.timeout
            )
            kind, said = _answered(answer)
        except requests.RequestException as error:
            kind, said = _unanswered(error), repr(error)[:200]
        now, took = time.time(), time.monotonic() - begun
        with self._lock:
            self.longest = max(self.longest, took)
            if answer is not None and kind == "200":
                self.answered[path.strip("/")] += 1
                self.succeeded_at = now
                return answer
            self.failures.append(Failure(now, f"{method} {path}", took, kind, said))
        time.sleep(0.05)
        return None


def _answered(answer: requests.Response) -> tuple[str, str]:
    status, said = str(answer.status_code), answer.text[:200]
    if status == "200":
        return status, said
    try:
        error = answer.json()
    except requests.JSONDecodeError:
        error = None
    good = isinstance(error, dict) and {"message", "requestId"} <= error.keys()
    return (status if good else f"{status} without JSON"), said


def _unanswered(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer"
    for said, kind in (("refused", "refused"), ("unreachable", "unreachable")):
        if said in str(error):
            return kind
    return "unreachable" if "No route" in str(error) else "cut off"


def main() -> int:
    """Load the service with the lab's account and print what came of it."""
    url, *numbers = sys.argv[1:]
    seconds, threads = [*map(float, numbers), *(3600.0, 4.0)[len(numbers) :]]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    account = {"username": "admin", "password": "password"}
    with Load(url, account, "helfy-tests/load", int(threads)) as load:
        try:
            time.sleep(seconds)
        except KeyboardInterrupt:
            print()
    print(*load.failures, load, sep="\n")
    return bool(load.failures)


if __name__ == "__main__":
    sys.exit(main())
