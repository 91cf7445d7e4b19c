"""An authority and a node's certificate of its own, in the files that TiUP gives a TiCDC."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Final

_NEW: Final = ("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def make(folder: Path) -> Path:
    """Make ca.crt, cdc.crt and cdc.pem, good for 127.0.0.1 on both sides; give the folder."""
    folder.mkdir()
    authority = ("-keyout", "ca.pem", "-out", "ca.crt", "-subj", "/CN=authority")
    node = ("-keyout", "cdc.pem", "-out", "cdc.crt", "-subj", "/CN=cdc", "-CA", "ca.crt")
    named = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE")
    for more in (authority, (*node, "-CAkey", "ca.pem", *named)):
        subprocess.run(["openssl", *_NEW, *more], check=True, capture_output=True, cwd=folder)
    return folder


def demanding(folder: Path) -> ssl.SSLContext:
    """Give what a node speaks that wants a certificate of whoever asks."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    made.load_cert_chain(folder / "cdc.crt", folder / "cdc.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    return made
