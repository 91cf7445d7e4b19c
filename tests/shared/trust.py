"""Certificates that nobody vouches for: the lab's own, by which the tests know the machine."""

import atexit
import os
import shutil
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

VARIABLE = "REQUESTS_CA_BUNDLE"


def trust(url: str) -> None:
    """Let ``requests`` believe the very certificate that is served at an address of https.

    Beside those that ``REQUESTS_CA_BUNDLE`` names (a file) or else the usual ones.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        return
    folder = tempfile.mkdtemp(prefix="helfy-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    known = Path(os.environ.get(VARIABLE) or DEFAULT_CA_BUNDLE_PATH)
    served = ssl.get_server_certificate((parts.hostname or "", parts.port or 443))
    bundle = Path(folder) / "trusted.pem"
    bundle.write_text(f"{known.read_text()}\n{served}")
    os.environ[VARIABLE] = str(bundle)
