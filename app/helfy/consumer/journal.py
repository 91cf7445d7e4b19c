"""What is known of the journal that standard output may lead to."""

import os
import socket
from pathlib import Path
from typing import Final

STREAM: Final = Path("/run/systemd/journal/stdout")
IDENTIFIER: Final = "helfy-consumer"
_INFO: Final = 6
_BUFFER_BYTES: Final = 8 * 1024**2  # as systemd gives its own


def is_journal(descriptor: int) -> bool:
    """Say whether a descriptor is the journal's stream that systemd started this process with."""
    status = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def connect(identifier: str) -> socket.socket:
    """Open a stream to the journal, for lines under an identifier; OSError where there is none."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        stream.connect(str(STREAM))
        stream.shutdown(socket.SHUT_RD)
        # Identifier, unit (root's to say), priority, prefixes of levels, and to where else.
        stream.sendall(f"{identifier}\n\n{_INFO}\n0\n0\n0\n0\n".encode())
    except BaseException:
        stream.close()
        raise
    return stream


def own_stream(*descriptors: int) -> None:
    """Put a new stream to the journal, of this process alone, in the descriptors' place.

    Journald takes the unit from the control group of whoever connects. Raises OSError where
    journald cannot be reached.
    """
    with connect(IDENTIFIER) as stream:
        for descriptor in descriptors:
            os.dup2(stream.fileno(), descriptor, inheritable=True)
    status = os.fstat(descriptors[0])
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
