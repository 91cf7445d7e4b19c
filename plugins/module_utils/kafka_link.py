"""A connection to a Kafka broker or controller that logs in, on the standard library alone.

A host of Kafka need not have a release of Helfy, and Kafka's own tools take seconds to start. So
this speaks the few requests that the modules need, in versions that every Kafka since 2.0 knows;
the protocol's guide is https://kafka.apache.org/protocol.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

SECONDS = 5.0
POLL_SECONDS = 0.5
CLIENT = "helfy-deployment"
SCRAM = "SCRAM-SHA-512"
PLAIN = "PLAIN"
_HANDSHAKE, _AUTHENTICATE = 17, 36
_AUTHENTICATION_FAILED = 58
_LARGEST_ANSWER = 64 * 1024**2


class LinkError(Exception):
    """Kafka does not answer, or answers with an error; the message says what and where."""


class LoginRefusedError(LinkError):
    """Kafka knows no such account, or the password is another one."""


@dataclass(frozen=True)
class Login:
    """Who logs in, and how: ``mechanism`` is SCRAM or PLAIN.

    ``ca_file`` has the certificates to trust where Kafka speaks TLS; without it there is none.
    """

    name: str
    password: str
    mechanism: str = SCRAM
    ca_file: str = ""


class Answer:
    """Reads an answer field by field. Raises struct.error where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._rest = BytesIO(data)

    def number(self, form: str) -> int:
        """Give a number; ``form`` is struct's letter for it."""
        (value,) = struct.unpack(f">{form}", self._rest.read(struct.calcsize(f">{form}")))
        return int(value)

    def text(self) -> str:
        """Give a string, empty where it is null."""
        return self._rest.read(max(0, self.number("h"))).decode()

    def data(self) -> bytes:
        """Give bytes, none where they are null."""
        return self._rest.read(max(0, self.number("i")))

    def numbers(self) -> tuple[int, ...]:
        """Give an array of 32-bit numbers."""
        return tuple(self.number("i") for _ in range(self.number("i")))

    def count(self) -> int:
        """Give the length of an array or a string of the compact kind; 0 where it is null."""
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
                return max(0, value - 1)

    def compact_text(self) -> str:
        """Give a string of the compact kind."""
        return self._rest.read(self.count()).decode()


class Link:
    """A connection; it is logged in where a login is given. Raises LinkError."""

    def __init__(self, address: str, login: Login | None = None, seconds: float = SECONDS) -> None:
        self.address = address
        self._number = 0
        host, _, port = address.rpartition(":")
        with self._faults():
            self._socket = socket.create_connection((host.strip("[]"), int(port)), seconds)
            if login is not None and login.ca_file:
                self._socket = _with_tls(self._socket, host.strip("[]"), login.ca_file)
        try:
            if login is not None:
                self._log_in(login)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, api: int, version: int, body: bytes, *, flexible: bool = False) -> Answer:
        """Send a request and give its answer, after the header. Raises LinkError."""
        self._number += 1
        head = struct.pack(">hhi", api, version, self._number) + text(CLIENT)
        request = head + (b"\0" if flexible else b"") + body
        with self._faults():
            self._socket.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", self._exactly(4))
            if not 0 < size <= _LARGEST_ANSWER:
                raise ConnectionError("what answers is no Kafka")
            answer = Answer(self._exactly(size))
            if answer.number("i") != self._number:
                raise ConnectionError("the answer is to another question")
            if flexible:
                answer.count()
        return answer

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OSError, struct.error, ValueError) as error:
            raise LinkError(f"Kafka does not answer at {self.address}: {error}") from None

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("it hung up")
            data += more
        return data

    def _log_in(self, login: Login) -> None:
        answer = self.ask(_HANDSHAKE, 1, text(login.mechanism))
        if error := answer.number("h"):
            raise LinkError(f"{self.address} takes no login by {login.mechanism} (error {error})")
        if login.mechanism == PLAIN:
            self._say(login, f"\0{login.name}\0{login.password}".encode())
            return
        nonce = base64.b64encode(os.urandom(24)).decode()
        first = f"n={login.name},r={nonce}"
        told = self._say(login, f"n,,{first}".encode()).decode()
        proof, signature = scram_proof(login.password, first, nonce, told)
        said = _parts(self._say(login, proof.encode()).decode())
        # Who knows the password's verifier alone can give this: it is the broker that was meant.
        if not hmac.compare_digest(base64.b64decode(said.get("v", "")), signature):
            raise LinkError(f"{self.address} does not know the password of {login.name} itself")

    def _say(self, login: Login, data: bytes) -> bytes:
        answer = self.ask(_AUTHENTICATE, 1, struct.pack(">i", len(data)) + data)
        error, words = answer.number("h"), answer.text()
        if error == _AUTHENTICATION_FAILED:
            raise LoginRefusedError(f"{self.address} refuses the login of {login.name}: {words}")
        if error:
            raise LinkError(f"{self.address} answers a login with error {error}: {words}")
        return answer.data()


def _with_tls(plain: socket.socket, host: str, ca_file: str) -> socket.socket:
    try:
        trusting = ssl.create_default_context(cafile=ca_file)
        return trusting.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def scram_proof(password: str, first: str, nonce: str, told: str) -> tuple[str, bytes]:
    """Give the last message of a SCRAM login, and the signature that has to answer it (RFC 5802).

    ``first`` is the bare first message, ``told`` what the server said to it. Raises LinkError.
    """
    parts = _parts(told)
    if not parts.get("r", "").startswith(nonce) or "s" not in parts or "i" not in parts:
        raise LinkError("the broker's part of a SCRAM login is not understood")
    salted = salted_password(password, base64.b64decode(parts["s"]), int(parts["i"]))
    last = f"c=biws,r={parts['r']}"
    signed = f"{first},{told},{last}".encode()
    key = hmac.digest(salted, b"Client Key", "sha512")
    mask = hmac.digest(hashlib.sha512(key).digest(), signed, "sha512")
    proof = bytes(one ^ other for one, other in zip(key, mask, strict=True))
    signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha512"), signed, "sha512")
    return f"{last},p={base64.b64encode(proof).decode()}", signature


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """Give what SCRAM-SHA-512 makes of a password."""
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def opened(addresses: Sequence[str], login: Login, deadline: float) -> Link:
    """Log in at the first that answers; wait for one until ``deadline`` (monotonic seconds).

    Raises LinkError, at once where the login is refused.
    """
    while True:
        for address in addresses:
            try:
                return Link(address, login)
            except LoginRefusedError:
                raise
            except LinkError as error:
                last = error
        if time.monotonic() >= deadline:
            raise last
        time.sleep(POLL_SECONDS)


def text(value: str | None) -> bytes:
    """Write a string, or null."""
    if value is None:
        return struct.pack(">h", -1)
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def compact(data: bytes) -> bytes:
    """Write bytes or a string's bytes in the compact way."""
    return count(len(data)) + data


def count(length: int) -> bytes:
    """Write the length of an array of the compact kind."""
    value, written = length + 1, b""
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def _parts(message: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.split(",") if "=" in part)
