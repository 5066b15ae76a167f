"""The guard before the editor's routes, without a server: who passes, and who does not."""

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
    """The code of the refusal; None where the request passes."""
    given = {"Host": host, "X-Pika-Editor": "1"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    refused = guard.refusal(given, listen, {"PIKA_ALLOWED_HOSTS": allowed})
    return refused.code if refused else None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8188", "127.0.0.1", "127.8.9.1:1", "[::1]:8188", "localhost:8188", "LOCALHOST"],
)
@pytest.mark.parametrize("listen", [LOOPBACK, ("localhost",), ("::1",), ANYWHERE])
def test_this_machine_is_always_ours(host: str, listen: tuple[str, ...]) -> None:
    """Loopback by address or by its name."""
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
def test_a_rebound_name_is_not_ours(host: str, listen: tuple[str, ...]) -> None:
    """A stranger's name may come to mean this machine; and what is no host is nobody's."""
    assert code(host, listen) == "host"


@pytest.mark.parametrize("host", ["192.168.1.7:8188", "[2001:db8::7]:8188", "8.8.8.8"])
def test_another_address_is_ours_only_where_comfyui_listens_beyond(host: str) -> None:
    """An address cannot be rebound. On loopback alone nobody can come by it."""
    assert code(host, ANYWHERE) is None
    assert code(host, ("192.168.1.7",)) is None
    assert code(host, LOOPBACK) == "host"
    assert code(host, ("127.0.0.1", "::1")) == "host"


def test_the_machines_own_names_are_ours_where_it_listens_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host name, whole and short, and .local; and the names given to --listen."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Studio.lan.example")
    for host in ("studio", "STUDIO.local:8188", "studio.lan.example"):
        assert code(host, ANYWHERE) is None
        assert code(host, LOOPBACK) == "host"
    assert code("render-box:8188", ("127.0.0.1", "render-box")) is None
    assert code("studio.evil.example", ANYWHERE) == "host"


def test_the_environment_names_further_hosts() -> None:
    """Each by its whole name, on loopback too, as behind a reverse proxy; blanks are none."""
    allowed = " comfy.example, Other.example ,,"
    for host in ("comfy.example", "COMFY.example:443", "other.example"):
        assert code(host, LOOPBACK, allowed) is None
    for host in ("x.comfy.example", "comfy.example.evil", ""):
        assert code(host, LOOPBACK, allowed) == "host"


def test_the_refusal_names_the_variable() -> None:
    """Whoever is locked out of their own ComfyUI learns how to get in."""
    refused = guard.refusal({"Host": "mine.example"}, LOOPBACK, {})
    assert "PIKA_ALLOWED_HOSTS" in refused.text
    assert "mine.example" in refused.text


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
def test_a_foreign_origin_is_refused(origin: str) -> None:
    """Host and port must be those that ComfyUI was opened at."""
    assert code("127.0.0.1:8188", Origin=origin) == "origin"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_its_own_origin_passes(scheme: str) -> None:
    """With https there is a proxy in between, which passes the Host header on."""
    assert code("LocalHost:8188", Origin=f"{scheme}://localhost:8188") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_what_a_browser_calls_foreign_is_refused(site: str) -> None:
    """Another port of this machine is the same site, and still another page."""
    assert code("127.0.0.1:8188", Sec_Fetch_Site=site) == "origin"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_a_browser_calls_its_own_passes(site: str) -> None:
    """None is an address that was typed in."""
    assert code("127.0.0.1:8188", Sec_Fetch_Site=site) is None


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_without_the_header_only_a_picture_passes(value: str | None) -> None:
    """An <img> cannot carry it; all else must, as a foreign page cannot send it unasked."""
    headers = {"Host": "127.0.0.1:8188"} | ({} if value is None else {"X-Pika-Editor": value})
    assert guard.refusal(headers, LOOPBACK, {}).code == "header"
    assert guard.refusal(headers, LOOPBACK, {}, image=True) is None
    assert guard.refusal({**headers, "Origin": "null"}, LOOPBACK, {}, image=True).code == "origin"
    assert guard.refusal({**headers, "Host": "evil.example"}, LOOPBACK, {}, image=True) is not None
