"""Who may call the editor's routes: the editor itself, from the address ComfyUI is opened at.

Any page that a browser shows can send requests to this machine. What keeps it out: a header that
no page of another origin can send unasked, the browser's own word on where a request is from, and
the address in it, which after a DNS rebinding is the name of a stranger.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

#: What the editor sends along; its value says which form of the routes it speaks.
HEADER: Final = "X-Pika-Editor"
#: Names that ComfyUI may be opened at besides its own, separated by commas.
VARIABLE: Final = "PIKA_ALLOWED_HOSTS"


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        code: A stable word for the editor.
        text: For a person.
    """

    code: str
    text: str
    status: int = 403


def refusal(
    headers: Mapping[str, str],
    listen: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    *,
    shown: bool = False,
) -> Refusal | None:
    """Why a request with these headers is refused; None if it may pass.

    Args:
        headers: Its headers; names in any case.
        listen: The addresses and names that ComfyUI listens to.
        shown: Whether it is for a picture on the page, which cannot carry our header.
    """
    host = headers.get("Host", "")
    if not _is_ours(_name(host), listen, environ):
        return Refusal(
            "host",
            f"ComfyUI does not know the name it was opened at here («{host[:100]}»). If it is "
            f"yours, put it into the environment variable {VARIABLE} and restart ComfyUI.",
        )
    origin = headers.get("Origin")
    if origin is not None and not _is_at(origin, host):
        return Refusal(
            "origin",
            f"This request is from another page («{origin[:100]}») than ComfyUI's own at "
            f"{host[:100]}. A reverse proxy must pass the Host header on.",
        )
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return Refusal("origin", "This request is from another page than ComfyUI's own.")
    if not shown and headers.get(HEADER) != "1":
        return Refusal("header", f"This is for the editor alone, which sends {HEADER}: 1.")
    return None


def _name(host: str) -> str:
    """The name or address in a Host header; empty where there is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
        return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


def _is_at(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _is_ours(name: str, listen: Sequence[str], environ: Mapping[str, str]) -> bool:
    allowed = {each.strip().lower() for each in environ.get(VARIABLE, "").split(",")} - {""}
    if name in allowed or name == "localhost" or _is_loopback(name):
        return True
    if all(address == "localhost" or _is_loopback(address) for address in listen):
        return False
    # An address cannot be rebound to another machine; only a name can.
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


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
