"""Variables for proxies and certificates that cannot work: told at once, by name and value."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pika_api.errors import DownloadFailed, FeedRefused, PikaError, Unreachable
from pika_api.gateway import Client, HealthCheck, Verdict, odd_no_proxy_entries, route_problem
from pika_api.journal import State
from pika_api.message import translate
from pika_api.settings import Settings
from support.api import KEY, RawServer, ServiceHarness, ask, client_of, free_port, payload, run
from support.messages import CHINESE
from support.tls import OPENSSL, Proxy

GATEWAY = "https://gateway.example"
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


def submit(client: Client, _part: Path) -> None:
    client.submit(payload())


def feed(client: Client, _part: Path) -> None:
    client.feed("t")


def download(client: Client, part: Path) -> None:
    client.download("t", f"{GATEWAY}/v.mp4", part, lambda: None)


CALLS: list[tuple[Callable[[Client, Path], None], type[PikaError]]] = [
    (submit, Unreachable), (feed, FeedRefused), (download, DownloadFailed),
]  # fmt: skip

#: Values of a proxy variable that cannot work, and a word of the remedy. `secret` is a password.
PROXIES = {
    "SOCKS without PySocks": ("socks5://127.0.0.1:1080", "PySocks"),
    "SOCKS with names resolved there": ("SOCKS5H://user:secret@127.0.0.1:1080", "PySocks"),
    "GNOME's spelling": ("socks://127.0.0.1:1080/", "socks5h://"),
    "another scheme": ("ftp://user:secret@127.0.0.1:21", "http://"),
    "no host": ("http://", "HTTPS_PROXY=http://"),
    "a word with a blank": ("my proxy", "HTTPS_PROXY=http://"),
    "quotation marks": ('"http://127.0.0.1:7890"', "http://"),
    "no colon in the scheme": ("http//127.0.0.1:7890", "HTTPS_PROXY=http://"),
    "a port that is a word": ("http://127.0.0.1:port", "HTTPS_PROXY=http://"),
    "a port that is too large": ("127.0.0.1:78900", "HTTPS_PROXY=http://"),
    "a path": ("http://127.0.0.1:7890/proxy.pac", "HTTPS_PROXY=http://"),
    "a number sign in the password": ("http://user:se#cret@127.0.0.1:7890", "%23"),
    "a slash in the password": ("http://user:se/cret@127.0.0.1:7890", "%2F"),
    "a line break": ("http://127.0.0.1\n:7890", "HTTPS_PROXY=http://"),
}


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_unusable_proxy_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, name: str
) -> None:
    """By submit, feed, download and test of the connection: at once, not retryable, with the
    variable and its value, and without the password in it."""
    value, remedy = PROXIES[name]
    monkeypatch.setenv(variable, value)
    started = time.monotonic()
    texts = []
    with client_of(GATEWAY) as client:
        for call, kind in CALLS:
            with pytest.raises(kind) as caught:
                call(client, tmp_path / "v.part")
            assert not caught.value.retryable
            texts.append("".join(traceback.format_exception(caught.value)))
    result = HealthCheck(Settings(api_key=KEY, base_url=GATEWAY)).run()
    assert result.verdict is Verdict.BAD_ADDRESS
    assert time.monotonic() - started < 5.0
    for text in (*texts, result.message, route_problem(GATEWAY)):
        assert f"{variable} is " in text
        assert remedy in text
        assert "secret" not in text
        assert "se#cret" not in text
        assert "se/cret" not in text
    host = value.rpartition("@")[2].replace("\n", " ")
    assert host in result.message


@pytest.mark.parametrize("name", PROXIES)
def test_error_about_a_variable_is_translated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """All of it but the values, by the test of the connection, the submit and the download."""
    monkeypatch.setenv("HTTPS_PROXY", PROXIES[name][0])
    texts = [HealthCheck(Settings(api_key=KEY, base_url=GATEWAY)).run().message]
    with client_of(GATEWAY) as client:
        for call, kind in CALLS:
            with pytest.raises(kind) as caught:
                call(client, tmp_path / "v.part")
            texts.append(caught.value.message)
    for text in texts:
        chinese = translate(text, CHINESE)
        assert "HTTPS_PROXY 的值是" in chinese
        assert not re.search(r"[a-z] (is|and|or|for|the|to) ", chinese)
        assert "secret" not in chinese


@pytest.mark.parametrize(
    "value",
    ["127.0.0.1:{}", "http://127.0.0.1:{}/", "HTTP://user:p%40ss@127.0.0.1:{}", "[::1]:{}",
     "https://localhost:{}"],
)  # fmt: skip
def test_usual_proxy_variables_are_tried(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Without a scheme, with a slash at the end, with an account, with an IPv6 address."""
    monkeypatch.setenv("HTTPS_PROXY", value.format(free_port()))
    assert route_problem(GATEWAY) == ""
    with client_of(GATEWAY) as client, pytest.raises(Unreachable) as caught:
        client.submit(payload())
    assert "cannot be reached" in str(caught.value)
    assert caught.value.retryable  # the proxy may be about to start


def bundle(folder: Path, kind: str) -> Path:
    """A path that is no file of certificates."""
    path = folder / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind == "below a file":
        (folder / "file").touch()
        path = folder / "file" / "ca.pem"
    return path


@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "binary", "below a file"])
def test_unusable_certificate_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, kind: str
) -> None:
    """As an unusable proxy. Nothing connects to the gateway."""
    path = bundle(tmp_path, kind)
    monkeypatch.setenv(variable, str(path))
    with RawServer(b"") as server:
        url = server.url.replace("http:", "https:")
        with client_of(url) as client:
            for call, kind_of_error in CALLS[:2]:
                with pytest.raises(kind_of_error, match=variable) as caught:
                    call(client, tmp_path / "v.part")
                assert not caught.value.retryable
                assert str(path) in str(caught.value)
        result = HealthCheck(Settings(api_key=KEY, base_url=url)).run()
        assert variable in result.message
        assert server.seen == []


def test_service_reports_the_variable_and_keeps_no_claim(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A submit ends at once, without the 20 s for an unreachable gateway. When the variable is
    corrected, the same request is sent."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    service = harness.another(base_url="https://localhost:9")
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"REQUESTS_CA_BUNDLE is .*absent\.pem"):
        run(service.submit(ask()))
    assert time.monotonic() - started < 5.0
    (entry,) = service.journal.entries()
    assert entry.state is State.REFUSED
    assert harness.gateway.log == []
    assert run(harness.another(journal=service.journal).submit(ask())).task_id


def test_plain_http_to_this_machine_needs_no_variable(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither proxy nor certificates are used there, so broken variables do no harm."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("ALL_PROXY", "nonsense://")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/absent.pem")
    assert harness.submit()
    assert route_problem(harness.gateway.url) == ""


@pytest.mark.parametrize(("status", "again"), [(407, False), (403, False), (502, True)])
def test_refusal_of_the_proxy_is_its_own(
    monkeypatch: pytest.MonkeyPatch, status: int, again: bool
) -> None:
    """The error names the proxy and its variable as the cause, without the password. Only an error
    that may be temporary is tried again."""
    reply = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    with Proxy({}, reply) as proxy, client_of(GATEWAY) as client:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@{proxy.host}")
        with pytest.raises(Unreachable) as caught:
            client.submit(payload())
        text = str(caught.value)
        assert f"the proxy http://{proxy.host} (HTTPS_PROXY) answered {status} No" in text
        assert "secret" not in text
        assert caught.value.retryable is again
        assert ("user name and a password" in text) is (status == 407)


def test_missing_proxy_is_named_with_entries_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is the cause, not the gateway. An entry of NO_PROXY that has no effect is named,
    since it may be meant for this gateway."""
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", "localhost, https://gateway.example, *.example")
    with client_of(GATEWAY) as client, pytest.raises(Unreachable) as caught:
        client.submit(payload())
    text = str(caught.value)
    assert f"the proxy http://127.0.0.1:{port} (HTTPS_PROXY) cannot be reached" in text
    assert "https://gateway.example, *.example" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("value", "odd"),
    [
        ("", []),
        ("*", []),
        ("localhost,.example.org, host:8080 ,10.0.0.0/8,::1", []),
        ("a.example;b.example", ["a.example;b.example"]),
        ('"localhost"', ['"localhost"']),
        ("localhost example.org", ["localhost example.org"]),
        ("10.*,http://x,host/24", ["10.*", "http://x", "host/24"]),
    ],
)
def test_odd_entries_of_no_proxy(value: str, odd: list[str]) -> None:
    """Entries that are neither a host, a network nor `*` have no effect."""
    assert list(odd_no_proxy_entries({"NO_PROXY": value})) == odd


@pytest.mark.skipif(OPENSSL is None, reason="openssl creates the certificates")
def test_changed_certificate_file_is_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that was checked once is checked again after a change, also to the same size."""
    from support.tls import Authority

    path = Authority(tmp_path).bundle
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    assert route_problem(GATEWAY) == ""
    path.write_bytes(b" " * path.stat().st_size)
    assert "REQUESTS_CA_BUNDLE" in route_problem(GATEWAY)
