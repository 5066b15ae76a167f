"""The guard of the editor's routes, without a server: which requests it accepts."""

from __future__ import annotations

import importlib
import socket
import sys
from types import ModuleType

import pytest

from devtools import ROOT


def load_guard() -> ModuleType:
    """The module without the `__init__` files above it, which need a ComfyUI."""
    for name in ("pika_pack", "pika_pack.nodes", "pika_pack.nodes.routes"):
        package = ModuleType(name)
        package.__path__ = [str(ROOT.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    return importlib.import_module("pika_pack.nodes.routes.guard")


guard = load_guard()
LOOPBACK = ("127.0.0.1",)
ANYWHERE = ("0.0.0.0", "::")


def code(
    host: str, listen: tuple[str, ...] = LOOPBACK, allowed: str = "", **headers: str
) -> str | None:
    """The code of the refusal; None if the request is accepted."""
    sent = {"Host": host, "X-Pika-Editor": "1"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = guard.refusal(sent, listen, {"PIKA_ALLOWED_HOSTS": allowed})
    return refusal.code if refusal else None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8188", "127.0.0.1", "127.8.9.1:1", "[::1]:8188", "localhost:8188", "LOCALHOST"],
)
@pytest.mark.parametrize("listen", [LOOPBACK, ("localhost",), ("::1",), ANYWHERE])
def test_loopback_host_is_accepted(host: str, listen: tuple[str, ...]) -> None:
    """Whether by address or by name, and whatever ComfyUI listens on."""
    assert code(host, listen) is None


REBOUND = [
    "evil.example",
    "evil.example:8188",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1/evil.example",
    "127.0.0.1:port",
    "127.0.0.1 evil.example",
    "0x7f.1",
    "",
]


@pytest.mark.parametrize("host", REBOUND)
@pytest.mark.parametrize("listen", [LOOPBACK, ANYWHERE])
def test_rebound_or_invalid_host_is_refused(host: str, listen: tuple[str, ...]) -> None:
    """A foreign name can be rebound to this machine; an invalid host belongs to nobody."""
    assert code(host, listen) == "host"


@pytest.mark.parametrize("host", ["192.168.1.7:8188", "[2001:db8::7]:8188", "8.8.8.8"])
def test_other_address_is_accepted_only_beyond_loopback(host: str) -> None:
    """An address cannot be rebound. But a ComfyUI on loopback cannot be reached by it."""
    assert code(host, ANYWHERE) is None
    assert code(host, ("192.168.1.7",)) is None
    assert code(host, LOOPBACK) == "host"
    assert code(host, ("127.0.0.1", "::1")) == "host"


def test_own_host_names_are_accepted_only_beyond_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine's host name, full, short or with .local, and the names given to --listen."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Studio.lan.example")
    for host in ("studio", "STUDIO.local:8188", "studio.lan.example"):
        assert code(host, ANYWHERE) is None
        assert code(host, LOOPBACK) == "host"
    assert code("render-box:8188", ("127.0.0.1", "render-box")) is None
    assert code("studio.evil.example", ANYWHERE) == "host"


def test_hosts_of_the_environment_are_accepted() -> None:
    """Each by its full name, also on loopback, as behind a reverse proxy. Blanks are ignored."""
    allowed = " comfy.example, Other.example ,,"
    for host in ("comfy.example", "COMFY.example:443", "other.example"):
        assert code(host, LOOPBACK, allowed) is None
    for host in ("x.comfy.example", "comfy.example.evil", ""):
        assert code(host, LOOPBACK, allowed) == "host"


def test_refusal_names_the_host_and_the_variable() -> None:
    """A user who is locked out of their own ComfyUI learns how to change that."""
    refusal = guard.refusal({"Host": "mine.example"}, LOOPBACK, {})
    assert "PIKA_ALLOWED_HOSTS" in refusal.text
    assert "mine.example" in refusal.text


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:9000",
        "http://127.0.0.1",
        "http://127.0.0.1:8188.evil.example",
        "http://127.0.0.1:8188/",
        "http://localhost:8188",
        "file://127.0.0.1:8188",
        "chrome-extension://127.0.0.1:8188",
        "http://user@127.0.0.1:8188",
        "http://[",
    ],
)
def test_foreign_origin_is_refused(origin: str) -> None:
    """Host and port of the origin must be those of the request."""
    assert code("127.0.0.1:8188", Origin=origin) == "origin"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_own_origin_is_accepted(scheme: str) -> None:
    """With https too: a reverse proxy passes the Host header on."""
    assert code("LocalHost:8188", Origin=f"{scheme}://localhost:8188") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_foreign_fetch_site_is_refused(site: str) -> None:
    """Another port of this machine is the same site, but another page."""
    assert code("127.0.0.1:8188", Sec_Fetch_Site=site) == "origin"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_fetch_site_is_accepted(site: str) -> None:
    """The site is «none» if the user typed the address."""
    assert code("127.0.0.1:8188", Sec_Fetch_Site=site) is None


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_without_the_header_only_a_picture_is_served(value: str | None) -> None:
    """An <img> cannot send our header. Every other request must: a foreign page cannot send it
    without a preflight."""
    headers = {"Host": "127.0.0.1:8188"} | ({} if value is None else {"X-Pika-Editor": value})
    assert guard.refusal(headers, LOOPBACK, {}).code == "header"
    assert guard.refusal(headers, LOOPBACK, {}, image=True) is None
    assert guard.refusal({**headers, "Origin": "null"}, LOOPBACK, {}, image=True).code == "origin"
    assert guard.refusal({**headers, "Host": "evil.example"}, LOOPBACK, {}, image=True) is not None
