"""Certificates: the gateway must prove its identity, and nothing can disable the check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from pika_api.errors import NOT_CHARGED, DownloadFailed, FeedError, PikaError, Unreachable
from pika_api.gateway import Client, HealthCheck, Verdict
from pika_api.settings import Settings
from support.api import KEY, answer, client_of, payload
from support.tls import OPENSSL, Authority, TlsServer

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl creates the certificates")

BUNDLE = "REQUESTS_CA_BUNDLE"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (BUNDLE, "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", [BUNDLE, "CURL_CA_BUNDLE"])
def test_certificates_from_the_environment_are_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """A company's own authority is used for submit, feed, file and picture."""
    monkeypatch.setenv(variable, str(authority.bundle))
    with (
        TlsServer(authority, answer(200, {"id": "t", "videos": []})) as server,
        client_of(server.url) as client,
    ):
        assert client.submit(payload()) == "t"
        assert client.feed("t").id == "t"
        client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert client.fetch_image(f"{server.url}/p.jpg")
        assert len(server.seen) == 4


def submit(client: Client, _link: str, _part: Path) -> None:
    client.submit(payload())


def feed(client: Client, _link: str, _part: Path) -> None:
    client.feed("t")


def download(client: Client, link: str, part: Path) -> None:
    client.download("t", link, part, lambda: None)


@pytest.mark.parametrize(
    ("call", "kind"), [(submit, Unreachable), (feed, FeedError), (download, DownloadFailed)]
)
@pytest.mark.parametrize("trouble", ["unknown authority", "another name"])
def test_untrusted_certificate_is_an_error(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trouble: str,
    call: Callable[[Client, str, Path], None],
    kind: type[PikaError],
) -> None:
    """An unknown authority or another host name: no request arrives, and the error says what to
    set.
    """
    with TlsServer(authority, answer(200, {"id": "t"})) as server:
        url = server.url
        if trouble == "another name":
            monkeypatch.setenv(BUNDLE, str(authority.bundle))
            url = url.replace("localhost", "127.0.0.1")
        with client_of(url) as client, pytest.raises(kind) as caught:
            call(client, f"{url}/v.mp4", tmp_path / "v.part")
        assert server.seen == []
    assert BUNDLE in str(caught.value)
    assert "certificate" in str(caught.value)
    assert call is not submit or NOT_CHARGED in str(caught.value)
    assert call is not download or not caught.value.retryable


def test_picture_needs_a_trusted_certificate(authority: Authority) -> None:
    """Also what is only shown must come from the named host."""
    with (
        TlsServer(authority, answer(200, b"data")) as server,
        client_of(server.url) as client,
        pytest.raises(requests.exceptions.SSLError),
    ):
        client.fetch_image(f"{server.url}/p.jpg")


def test_health_check_reports_an_untrusted_certificate(authority: Authority) -> None:
    """The settings show it before anything is paid for."""
    with TlsServer(authority, answer(200, {})) as server:
        result = HealthCheck(Settings(api_key=KEY, base_url=server.url)).run()
        assert server.seen == []
    assert result.verdict is Verdict.BAD_ADDRESS
    assert BUNDLE in result.message


@pytest.mark.parametrize(
    ("call", "kind"), [(submit, Unreachable), (feed, FeedError), (download, DownloadFailed)]
)
def test_missing_certificate_file_is_an_error(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    call: Callable[[Client, str, Path], None],
    kind: type[PikaError],
) -> None:
    """The error names the path. It is not reported as an error of the disk, and not ignored."""
    monkeypatch.setenv(BUNDLE, str(tmp_path / "missing.pem"))
    with TlsServer(authority, answer(200, {"id": "t"})) as server:
        with client_of(server.url) as client, pytest.raises(kind, match=r"missing\.pem"):
            call(client, f"{server.url}/v.mp4", tmp_path / "v.part")
        assert server.seen == []
