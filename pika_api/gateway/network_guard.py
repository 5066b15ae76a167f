"""Connections with a deadline for the response head, and the SSRF guard.

The gateway chooses the links that are downloaded. If the gateway is public, its links may only
lead to public addresses, also through redirects: never to this machine or to the user's network.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: Networks that are not reachable from the internet: this machine, private, link-local and shared
#: networks. 198.18.0.0/15 is not listed: common local proxies give every host name an address
#: there.
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

#: Tells whether an IP address is private. Injected by tests.
AddressCheck = Callable[[str], bool]


class PrivateAddressError(ValueError):
    """A link of a public gateway leads to a private address."""


def is_private_address(address: str) -> bool:
    """Whether an IP address belongs to this machine or to a network behind a router."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in _PRIVATE_NETWORKS)


def resolves_to_private_address(host: str, is_private: AddressCheck = is_private_address) -> bool:
    """Whether a host name or address leads to a private address; False if it does not resolve."""
    try:
        results = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return any(is_private(str(result[4][0])) for result in results)


class _HeadDeadline:
    """Mixin for connections: the head of each response must arrive within `head_timeout` seconds.

    The timeout of a socket applies to each read. A server that sends one byte now and then, or one
    "100 Continue" after another, would occupy the thread for days.
    """

    sock: Any
    head_timeout: float

    def getresponse(self) -> Any:
        late = threading.Event()
        timer = threading.Timer(self.head_timeout, _shut_down, (self.sock, late))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()
        if late.is_set():  # a head that was cut off looks like a short one
            response.close()
            raise TimeoutError(f"the response had not begun after {self.head_timeout:g} s")
        return response


def _shut_down(sock: socket.socket, late: threading.Event) -> None:
    """End a connection that another thread is reading from."""
    late.set()
    with contextlib.suppress(OSError):
        # The method of the plain socket: the state of TLS belongs to the reading thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _PublicOnly:
    """Mixin for connections: only to public addresses.

    The address is checked after the connection is made. A check of the name before would not help:
    a name can resolve to another address each time.
    """

    sock: Any
    is_private: AddressCheck

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        address = str(self.sock.getpeername()[0])
        if self.is_private(address):
            self.sock.close()
            raise PrivateAddressError(
                f"it leads to {address}, which is a private address of this machine or its network"
            )


@functools.lru_cache(maxsize=16)
def _pools(head_timeout: float, is_private: AddressCheck | None) -> Mapping[str, Any]:
    """The connection pools of urllib3 by scheme, with connections that have these limits.

    Args:
        is_private: Which addresses are refused; None to allow all.
    """
    mixins = (_HeadDeadline,) if is_private is None else (_PublicOnly, _HeadDeadline)
    limits: dict[str, Any] = {"head_timeout": head_timeout}
    if is_private is not None:
        limits["is_private"] = staticmethod(is_private)
    http = type("Connection", (*mixins, HTTPConnection), limits)
    https = type("Connection", (*mixins, HTTPSConnection), limits)
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": http}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
    }


class GuardedAdapter(HTTPAdapter):
    """Transport of a session: guarded connections, and no automatic retries.

    Args:
        connections: How many connections are kept open.
        head_timeout: Seconds until the head of a response must have arrived.
        is_private: Which addresses are refused; None to allow all. Through a proxy, the proxy
            resolves the names and decides what can be reached.
    """

    def __init__(
        self, connections: int, *, head_timeout: float, is_private: AddressCheck | None
    ) -> None:
        self._head_timeout = head_timeout
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0)
        self.poolmanager.pool_classes_by_scheme = _pools(head_timeout, is_private)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if proxy.lower().startswith("http"):  # a SOCKS proxy has connection classes of its own
            manager.pool_classes_by_scheme = _pools(self._head_timeout, None)
        return manager
