"""Proxies: the variables of the system are honoured, and errors of a proxy are reported."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from pika_api.errors import NOT_CHARGED, DownloadFailed, FeedError, Unreachable
from pika_api.gateway import HealthCheck, Verdict
from pika_api.settings import Settings
from support.api import KEY, RawServer, answer, client_of, free_port, payload
from support.tls import OPENSSL, Authority, Proxy, TlsServer

needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl creates the certificates")

GATEWAY = "https://gateway.example"
VARIABLES = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"]
#: Names of variables are case-insensitive on Windows.
if os.name == "nt":
    VARIABLES.remove("https_proxy")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


@needs_openssl
@pytest.mark.parametrize("variable", VARIABLES)
def test_all_requests_use_the_proxy(
    trusted: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Submit, feed, file, picture and health check. The proxy resolves the name, and sees neither
    the key nor the content.
    """
    script = answer(200, {"id": "t", "videos": []})
    with TlsServer(trusted, script) as server, Proxy({"gateway.example": server.port}) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with client_of(GATEWAY) as client:
            assert client.submit(payload()) == "t"
            assert client.feed("t").id == "t"
            client.download("t", f"{GATEWAY}/v.mp4", tmp_path / "v.part", lambda: None)
            assert client.fetch_image(f"{GATEWAY}/p.jpg")
        HealthCheck(Settings(api_key=KEY, base_url=GATEWAY)).run()
        assert proxy.asked == ["CONNECT gateway.example:443"] * 6
        assert [seen.header("Authorization") for seen in server.seen] == [
            f"Bearer {KEY}", f"Bearer {KEY}", None, None, f"Bearer {KEY}", None,
        ]  # fmt: skip
        assert KEY not in "".join(seen.head for seen in proxy.seen)


def test_plain_link_uses_the_http_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HTTP_PROXY is for links without TLS."""
    with RawServer(answer(200, b"data")) as proxy, client_of(GATEWAY) as client:
        monkeypatch.setenv("HTTP_PROXY" if os.name == "nt" else "http_proxy", proxy.url)
        client.download("t", "http://media.example/v.mp4", tmp_path / "v.part", lambda: None)
        assert proxy.seen[0].line == "GET http://media.example/v.mp4 HTTP/1.1"
    assert (tmp_path / "v.part").read_bytes() == b"data"


@needs_openssl
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_variable_is_honoured(
    trusted: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """A host in the list is connected to directly."""
    script = answer(200, {"id": "t", "videos": []})
    with TlsServer(trusted, script) as server, Proxy({}) as proxy, client_of(server.url) as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv(variable, "example.org, localhost")
        assert client.submit(payload()) == "t"
        assert client.feed("t").id == "t"
        client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert len(server.seen) == 3
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("status", "words"), [(407, "407 Proxy Authentication Required"), (502, "502 Bad Gateway")]
)
def test_rejection_of_the_proxy_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int, words: str
) -> None:
    """In its own words, with the name of the variable. Nothing was sent, so nothing was charged.
    Only the proxy sees its password.
    """
    rejection = f"HTTP/1.1 {words}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    errors = []
    with Proxy({}, rejection) as proxy, client_of(GATEWAY) as client:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@{proxy.host}")
        with pytest.raises(Unreachable, match=str(status)) as caught:
            client.submit(payload())
        errors.append(caught.value)
        with pytest.raises(FeedError, match=str(status)) as feed:
            client.feed("t")
        errors.append(feed.value)
        with pytest.raises(DownloadFailed, match=str(status)) as download:
            client.download("t", f"{GATEWAY}/v.mp4", tmp_path / "v.part", lambda: None)
        result = HealthCheck(Settings(api_key=KEY, base_url=GATEWAY)).run()
        assert proxy.seen[0].header("Proxy-Authorization") is not None
        assert KEY not in "".join(seen.head for seen in proxy.seen)
    for error in errors:
        assert words in str(error)
        assert "HTTPS_PROXY" in str(error)
    assert NOT_CHARGED in str(errors[0])
    assert result.verdict is not Verdict.GOOD
    assert words in result.message
    texts = "".join(
        line for error in (*errors, download.value) for line in traceback.format_exception(error)
    )
    assert "proxy-password" not in texts + result.message


def test_missing_proxy_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, and the error does not contain the password."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@127.0.0.1:{free_port()}")
    with client_of(GATEWAY) as client, pytest.raises(Unreachable, match="HTTPS_PROXY") as caught:
        client.submit(payload())
    assert NOT_CHARGED in str(caught.value)
    assert "proxy-password" not in "".join(traceback.format_exception(caught.value))
