"""Certificates and keys that nginx could not use, each with a fault of its own.

``$TLS`` in a case's variables is the folder that they are made in.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make(folder: Path) -> None:
    """Write them: good.pem with good.key, and what is wrong in some way."""
    now = datetime.now(UTC)
    day = timedelta(days=1)
    good: Key = ec.generate_private_key(ec.SECP256R1())
    weak: Key = rsa.generate_private_key(65537, 1024)  # it is to be refused
    _certificate(folder / "good.pem", good, now - day, now + day)
    _certificate(folder / "ended.pem", good, now - 2 * day, now - day)
    _certificate(folder / "early.pem", good, now + day, now + 2 * day)
    _certificate(folder / "weak.pem", weak, now - day, now + day)
    for nothing in (folder / "nothing.pem", folder / "nothing.key"):
        nothing.touch(mode=0o600)
        nothing.write_text("nothing in PEM form\n")
    _key(folder / "good.key", good)
    _key(folder / "other.key", ec.generate_private_key(ec.SECP256R1()))
    _key(folder / "weak.key", weak)
    _key(folder / "open.key", good, mode=0o644)
    _key(folder / "locked.key", good, passphrase=b"open sesame")


def _certificate(path: Path, key: Key, begin: datetime, end: datetime) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "helfy")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _key(path: Path, key: Key, mode: int = 0o600, passphrase: bytes = b"") -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption(),
        )
    )
