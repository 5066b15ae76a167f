"""Checks of network addresses."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import quote, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
#: Characters that need no percent-encoding in a segment of a path (RFC 3986, section 3.3).
_PATH_SAFE: Final = "!$&'()*+,;=:@"


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address, in lower case, means this machine.

    Only the name ``localhost`` counts: any other name may resolve to another machine.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)
def gateway_of(base_url: str) -> str:
    """The identity of the gateway at a base URL: its origin and path in one normal form.

    Spellings that reach the same place are one gateway: case and a final dot of the host, an
    international name and its ASCII form, the scheme's own port, empty and dot segments of the
    path, needless percent-encoding (RFC 3986, section 6.2.2; RFC 5891). The key is not part of it.

    Args:
        base_url: An http or https URL. A text that is not one is its own identity.
    """
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port
    except ValueError:
        return base_url
    if parts.scheme not in _PORTS or not parts.hostname:
        return base_url
    host = _normal_host(parts.hostname)
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{netloc}{_normal_path(parts.path)}"


def _normal_host(host: str) -> str:
    host = host.rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _ascii_host(host)
    return f"[{address.compressed}]" if address.version == 6 else address.compressed


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host
    # As it is encoded before it is resolved. Imported late: such hosts are rare.
    import requests

    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(f"https://{host}", None)
    except (requests.RequestException, ValueError):
        return host
    return urlsplit(prepared.url or "").hostname or host


def _normal_path(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        segment = quote(
            unquote(segment, errors="surrogateescape"), safe=_PATH_SAFE, errors="surrogateescape"
        )
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    return "".join(f"/{segment}" for segment in segments)
