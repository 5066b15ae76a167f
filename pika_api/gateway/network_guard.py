"""How connections are made: in bounded time, and not into the user's own network at a stranger's
word.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: Seconds in which the head of an answer must have come. Longer than any silence that is waited
#: through, so that it ends nothing but a head that drips in, or never ends.
HEAD_TIMEOUT: Final = 180.0

#: This machine, and networks that nobody reaches from outside. 198.18.0.0/15 is not among them:
#: behind a local proxy of a common kind, every name in the world has an address there.
_PRIVATE_NETWORKS: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
)


class PrivateAddressError(ValueError):
    """An address that a stranger named is of this machine or its own network."""


def is_private_address(address: str) -> bool:
    """Whether an IP address is of this machine or of a network like the one at home."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in _PRIVATE_NETWORKS)


def resolves_to_private_address(host: str) -> bool:
    """Whether a name or an address leads there; a name that cannot be looked up does not."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return any(is_private_address(str(each[4][0])) for each in found)


class _HeadDeadline:
    """A connection whose answers begin within `HEAD_TIMEOUT`.

    A time-out of the socket's own is for each piece: who sends a byte now and then, or one
    «100 Continue» after the other, would hold a thread for days.
    """

    sock: Any

    def getresponse(self) -> Any:
        late = threading.Event()
        timer = threading.Timer(HEAD_TIMEOUT, _shut, (self.sock, late))
        timer.daemon = True
        timer.start()
        try:
            answer = super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()
        if late.is_set():  # a head that was cut off would pass for a short one
            answer.close()
            raise TimeoutError(f"the answer had not begun after {HEAD_TIMEOUT:g} s")
        return answer


def _shut(sock: socket.socket, late: threading.Event) -> None:
    """End a connection, under the hands of whoever reads from it."""
    late.set()
    with contextlib.suppress(OSError):
        # The socket's own, past TLS, whose state belongs to the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _PublicOnly:
    """A connection to public addresses only. It is looked at once it stands: a name can have
    another address each time it is looked up.
    """

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        address = str(self.sock.getpeername()[0])
        if is_private_address(address):
            self.sock.close()
            raise PrivateAddressError(
                f"it leads to {address}, which is in this machine's own network"
            )


class _Http(_HeadDeadline, HTTPConnection):
    pass


class _Https(_HeadDeadline, HTTPSConnection):
    pass


class _PublicHttp(_PublicOnly, _Http):
    pass


class _PublicHttps(_PublicOnly, _Https):
    pass


def _pools(plain: type[HTTPConnection], safe: type[HTTPSConnection]) -> dict[str, Any]:
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": safe}),
    }


_POOLS: Final = _pools(_Http, _Https)
_PUBLIC_POOLS: Final = _pools(_PublicHttp, _PublicHttps)


class GuardedAdapter(HTTPAdapter):
    """Makes such connections, and sends nothing again.

    Args:
        connections: How many are kept.
        outside: Whether they may lead to public addresses only. Through a proxy it is the proxy
            that looks names up, and decides what may be reached.
    """

    def __init__(self, connections: int, *, public_only: bool) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0)
        self.poolmanager.pool_classes_by_scheme = _PUBLIC_POOLS if public_only else _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if proxy.lower().startswith("http"):  # one of another kind has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager
