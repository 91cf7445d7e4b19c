"""The client's address behind nginx.

Waitress can trust one proxy's address; Helfy may run behind several nginx hosts.
"""

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress:
    """WSGI middleware: ``REMOTE_ADDR`` becomes the client's address, ``X-Forwarded-For`` goes.

    The header is believed only from ``trusted`` addresses or networks (nginx overwrites what
    its client sent). Of several addresses in it the right-most that is not itself a trusted
    proxy counts; what stands left of it, anybody could have written. Where the header is not
    believed or makes no sense, the address of the peer stays.
    """

    def __init__(self, application: "WSGIApplication", trusted: Iterable[str]) -> None:
        self._application = application
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        forwarded = environ.pop("HTTP_X_FORWARDED_FOR", "")
        peer = _address(environ.get("REMOTE_ADDR", ""))
        if peer is not None:
            environ["REMOTE_ADDR"] = str(self._client(peer, forwarded))
        return self._application(environ, start_response)

    def _client(self, peer: _Address, forwarded: str) -> _Address:
        client = peer
        hops = forwarded.split(",") if forwarded else []
        while hops and self._is_trusted(client):
            before = _address(hops.pop())
            if before is None:
                break
            client = before
        return client

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    # A socket of both families shows an IPv4 peer as ::ffff:192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
