"""Only the editor may call the pack's routes, from the address at which ComfyUI is open.

Any page in a browser can send requests to this machine. Three checks keep other pages out: a
custom header, which a page of another origin cannot send without a CORS preflight; the browser's
own headers about a request's origin; and the Host header, which after DNS rebinding names the
attacker's host.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ...pika_api.message import Message
from ...pika_api.settings import is_loopback

#: The header that the editor sends. Its value is the version of the routes' protocol.
HEADER: Final = "X-Pika-Editor"
#: Further host names at which ComfyUI may be opened, separated by commas.
VARIABLE: Final = "PIKA_ALLOWED_HOSTS"


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        code: A stable identifier for the editor.
        text: A message for the user.
    """

    code: str
    text: str
    status: int = 403


def refusal(
    headers: Mapping[str, str],
    listen: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    *,
    image: bool = False,
) -> Refusal | None:
    """Why a request with these headers is refused; None if it is allowed.

    Args:
        headers: The request's headers; names in any case.
        listen: The addresses and names that ComfyUI listens on.
        image: Whether the request is for an ``<img>``, which cannot send the custom header.
    """
    host = headers.get("Host", "")
    if not _is_known(_name(host), listen, environ):
        return Refusal(
            "host",
            Message(
                "ComfyUI was opened at an unknown host name («{host}»). If the name is yours, "
                "add it to the environment variable {variable} and restart ComfyUI.",
                host=host[:100],
                variable=VARIABLE,
            ),
        )
    origin = headers.get("Origin")
    if origin is not None and not _is_same_origin(origin, host):
        return Refusal(
            "origin",
            Message(
                "This request comes from another page («{origin}»), not from ComfyUI at "
                "{host}. A reverse proxy must forward the Host header.",
                origin=origin[:100],
                host=host[:100],
            ),
        )
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return Refusal("origin", Message("This request comes from another page, not from ComfyUI."))
    if not image and headers.get(HEADER) != "1":
        return Refusal(
            "header",
            Message("Only the editor may use this route. It sends {header}: 1.", header=HEADER),
        )
    return None


def _name(host: str) -> str:
    """The name or address in a Host header; empty if the header is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises ValueError if it is not a number
        return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


def _is_same_origin(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _is_known(name: str, listen: Sequence[str], environ: Mapping[str, str]) -> bool:
    allowed = {host.strip().lower() for host in environ.get(VARIABLE, "").split(",")} - {""}
    if name in allowed or is_loopback(name):
        return True
    if all(is_loopback(address) for address in listen):
        return False
    # DNS rebinding needs a name: an address cannot be rebound to another machine.
    return _is_address(name) or name in _own_names(listen)


def _own_names(listen: Sequence[str]) -> set[str]:
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    return {machine, short, f"{short}.local", *(each.lower() for each in listen)} - {"", ".local"}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
