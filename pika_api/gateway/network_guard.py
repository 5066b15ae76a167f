"""The SSRF guard: where the links of a gateway may lead.

The gateway chooses the links that are downloaded. If the gateway is public, its links may only
lead to public addresses, also through redirects: never to this machine or to the user's network.
What counts is the address of a connection that was made: a name can resolve to another address
each time it is looked up.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

from .exchange import LimitedResponse

#: Networks that are not reachable from the internet: this machine, private, link-local, shared and
#: multicast networks, and metadata services of clouds. 198.18.0.0/15 is not listed: common local
#: proxies give every host name an address there. Sources: IANA special-purpose registries (RFC
#: 6890); 168.63.129.16 is Azure's metadata and DNS service.
_PRIVATE_NETWORKS: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/127",
        "64:ff9b:1::/48",
        "100::/64",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
#: IPv6 networks whose addresses contain an IPv4 address in their last 32 bits: IPv4-compatible
#: and NAT64 (RFC 6052).
_IPV4_AT_THE_END: Final = (ipaddress.ip_network("::/96"), ipaddress.ip_network("64:ff9b::/96"))
#: The interface identifier of ISATAP (RFC 5214) before its IPv4 address, without the global bit.
_ISATAP: Final = 0x00005EFE

IPAddress: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
#: Called with the other side's and the own address of a new connection.
ConnectionCheck: TypeAlias = Callable[[str, str], None]
#: Tells whether a connection leads to this machine or its network, by the other side's and the own
#: address. Injected by tests.
AddressCheck: TypeAlias = Callable[[str, str], bool]


class PrivateAddressError(ValueError):
    """A link of a public gateway leads to a private address."""


def is_private_connection(peer: str, own: str) -> bool:
    """Whether a connection leads to this machine or to a network behind a router.

    A connection to one of this machine's public addresses has the same address on both sides.
    """
    return peer == own or is_private_address(peer)


def is_private_address(address: str) -> bool:
    """Whether an IP address, or an IPv4 address in it, is not reachable from the internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return any(each in network for each in (ip, *_embedded(ip)) for network in _PRIVATE_NETWORKS)


def _embedded(ip: IPAddress) -> list[IPAddress]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    at_the_end = any(ip in network for network in _IPV4_AT_THE_END)
    isatap = (int(ip) >> 32) & 0xFDFFFFFF == _ISATAP
    teredo = ip.teredo[1] if ip.teredo else None
    candidates = (ip.ipv4_mapped, ip.sixtofour, teredo, last if at_the_end or isatap else None)
    return [each for each in candidates if each is not None]


def refuse_private(is_private: AddressCheck) -> ConnectionCheck:
    """A check that refuses connections to private addresses. It raises `PrivateAddressError`."""

    def check(peer: str, own: str) -> None:
        if is_private(peer, own):
            raise PrivateAddressError(
                f"it leads to {peer}, which is a private address of this machine or its network"
            )

    return check


class _Checked:
    """Mixin for connections that are checked as soon as they are made."""

    sock: Any
    check: ConnectionCheck

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        try:
            self.check(str(self.sock.getpeername()[0]), str(self.sock.getsockname()[0]))
        except BaseException:
            self.sock.close()
            raise


@functools.lru_cache(maxsize=64)
def _guarded(pool: type[HTTPConnectionPool], check: ConnectionCheck | None) -> type[Any]:
    """A connection pool of urllib3 with limited responses and, if wanted, checked connections."""
    attributes: dict[str, Any] = {"response_class": LimitedResponse}
    bases: tuple[type[Any], ...] = (pool.ConnectionCls,)
    if check is not None:
        attributes["check"] = staticmethod(check)
        bases = (_Checked, *bases)
    connection = type("GuardedConnection", bases, attributes)
    return type("GuardedPool", (pool,), {"ConnectionCls": connection})


def _guard(manager: Any, check: ConnectionCheck | None) -> None:
    """Guard the connections that a pool manager of urllib3 will make."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: pool if pool.__name__ == "GuardedPool" else _guarded(pool, check)
        for scheme, pool in pools.items()
    }


class GuardedAdapter(HTTPAdapter):
    """Transport of a session: limited and checked, and without automatic retries.

    Args:
        connections: How many connections are kept open.
        check: See `open_session`. Through a proxy, the proxy resolves the names and decides what
            can be reached.
    """

    def __init__(self, connections: int, check: ConnectionCheck | None) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0)
        _guard(self.poolmanager, check)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        _guard(manager, None)
        return manager
