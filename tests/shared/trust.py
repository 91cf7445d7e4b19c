"""Certificates that nobody vouches for: the lab's own, by which the tests know the machine."""

import atexit
import os
import shutil
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

VARIABLE = "REQUESTS_CA_BUNDLE"


def trust(url: str) -> None:
    """Let ``requests`` believe the very certificate that is served at an address of https.

    Not where ``REQUESTS_CA_BUNDLE`` names others, as for a certificate that has an issuer.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or VARIABLE in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="helfy-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    served = Path(folder) / "served.pem"
    served.write_text(ssl.get_server_certificate((parts.hostname or "", parts.port or 443)))
    os.environ[VARIABLE] = str(served)
