"""The client's address behind nginx."""

import hmac
import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from helfy import jsonlog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = jsonlog.get(__name__)


class ClientAddress:
    """WSGI middleware: ``REMOTE_ADDR`` becomes the client's address, as nginx reports it.

    nginx overwrites ``X-Forwarded-For`` and proves itself by ``X-Proxy-Key``, which is one of
    ``keys``: its address proves nothing, since every process of its VM has it. Without a valid
    key, or without a valid address, the address of the peer stays. Neither header is passed on.
    """

    def __init__(self, application: "WSGIApplication", keys: Iterable[SecretStr]) -> None:
        self._application = application
        self._keys = [key.get_secret_value().encode() for key in keys]
        self._warned = False

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        forwarded = environ.pop("HTTP_X_FORWARDED_FOR", "")
        key = environ.pop("HTTP_X_PROXY_KEY", "")
        client = _address(forwarded) if key and self._is_valid(key) else None
        environ["REMOTE_ADDR"] = client or _address(environ["REMOTE_ADDR"]) or ""
        return self._application(environ, start_response)

    def _is_valid(self, key: str) -> bool:
        given = key.encode("latin-1", "replace")
        if any(hmac.compare_digest(given, each) for each in self._keys):
            return True
        if not self._warned:
            # Once: nginx with another key would send it with every request.
            self._warned = True
            log.warning("proxy_key_rejected")
        return False


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    # A socket of both families shows an IPv4 peer as ::ffff:192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
