"""What is wrong with a certificate and its key, before any machine is given them."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Ansible loads each filter for each task that uses any: cryptography would add 70 ms to all,
# so it is imported where it is needed.
if TYPE_CHECKING:
    from cryptography import x509

_SMALLEST_RSA_BITS = 2048
_SMALLEST_CURVE_BITS = 256


class _ProblemError(Exception):
    """What is wrong, and what to do, in a sentence each."""


def tls_problems(certificate: object, key: object) -> dict[str, str]:
    """Say what is wrong with a pair of PEM files on this machine.

    Takes their absolute paths; gives a text for "certificate" and for "key", empty where there is
    nothing to say. That the two do not belong together is said of the key.
    """
    found = {"certificate": "", "key": ""}
    chain: list[x509.Certificate] = []
    try:
        chain = _certificates(str(certificate))
    except _ProblemError as problem:
        found["certificate"] = str(problem)
    try:
        private = _key(str(key))
    except _ProblemError as problem:
        found["key"] = str(problem)
    else:
        if chain and private.public_key() != chain[0].public_key():
            found["key"] = (
                "it does not belong to the first certificate of nginx_tls_certificate. "
                "Give the key that this one was made with."
            )
    return found


def _certificates(path: str) -> list[x509.Certificate]:
    from cryptography import x509  # noqa: PLC0415

    wanted = "Give a file that begins with the server's own certificate."
    try:
        chain = x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        raise _ProblemError(f"it has no certificate in PEM form. {wanted}") from None
    now = datetime.now(UTC)
    for each in chain:
        if each.not_valid_after_utc < now:
            raise _ProblemError(
                f"a certificate in it ended on {_day(each)}. Give one that is valid."
            )
        if each.not_valid_before_utc > now:
            begin = each.not_valid_before_utc.date().isoformat()
            raise _ProblemError(
                f"a certificate in it is good from {begin} on. Give one that is valid."
            )
    return chain


def _day(certificate: x509.Certificate) -> str:
    return certificate.not_valid_after_utc.date().isoformat()


def _key(path: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    data = _read(path)
    mode = stat.S_IMODE(Path(path).stat().st_mode)
    if mode & stat.S_IRWXO:
        raise _ProblemError(f"everybody may read it (mode {mode:04o}). Run 'chmod 600' on it.")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise _ProblemError(
            "it needs a passphrase. Give one without, readable by you alone."
        ) from None
    except Exception:  # noqa: BLE001 - the library has many, and their words may quote the key
        raise _ProblemError("it has no private key in PEM form. Give the certificate's.") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _SMALLEST_RSA_BITS:
        raise _ProblemError(
            f"RSA with {key.key_size} bits is too weak. Give one of {_SMALLEST_RSA_BITS} or more."
        )
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size < _SMALLEST_CURVE_BITS:
        raise _ProblemError(f"the curve {key.curve.name} is too weak. Give one of P-256 or more.")
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise _ProblemError("it is none that TLS can use. Give one of RSA, ECDSA or Ed25519.")
    return key


def _read(path: str) -> bytes:
    if not path.startswith("/"):
        raise _ProblemError("it is no absolute path. Give that of a file on the control machine.")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = str(error.strerror).lower()
        raise _ProblemError(
            f"it cannot be read ({why}). Give the path of a file on the control machine."
        ) from None


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {"tls_problems": tls_problems}
