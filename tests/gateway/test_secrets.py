"""The key is sent to the gateway only, and is stored and shown nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import pytest

from pika_api.errors import DownloadFailed, PikaError, Refused
from simulator import Simulator
from support.api import (
    KEY,
    RawServer,
    ServiceHarness,
    answer,
    ask,
    client_of,
    from_pixels,
    payload,
    picture,
    run,
)


@pytest.fixture
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A .netrc with an entry for every host."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login user password other\ndefault login u password p\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_netrc_does_not_replace_the_key() -> None:
    """By default, requests prefers an entry for the gateway's host to our header."""
    with (
        RawServer(answer(200, {"id": "t", "videos": []})) as server,
        client_of(server.url) as client,
    ):
        client.submit(payload())
        client.feed("t")
        assert [seen.header("Authorization") for seen in server.seen] == [f"Bearer {KEY}"] * 2


@pytest.mark.usefixtures("netrc")
def test_media_host_gets_no_credentials(tmp_path: Path) -> None:
    """Neither the key nor a .netrc entry, for files and for pictures."""
    with RawServer(answer(200, b"data")) as server, client_of("http://127.0.0.1:9") as client:
        client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert client.fetch_image(f"{server.url}/p.jpg") == b"data"
        assert [seen.header("Authorization") for seen in server.seen] == [None, None]


@pytest.mark.usefixtures("netrc")
def test_redirect_of_the_media_host_gets_no_credentials(tmp_path: Path) -> None:
    """A CDN may redirect to any other host."""
    with RawServer(answer(200, b"data")) as other:
        moved = answer(302, b"", Location=other.url.replace("127.0.0.1", "localhost") + "/v.mp4")
        with RawServer(moved) as server, client_of("http://127.0.0.1:9") as client:
            client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert [seen.header("Authorization") for seen in other.seen] == [None]
    assert (tmp_path / "v.part").read_bytes() == b"data"


def test_plain_http_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http is for this machine only. A proxy would get the key unencrypted."""
    with RawServer(answer(200, {"id": "proxied"})) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with (
            RawServer(answer(200, {"id": "t", "videos": []})) as server,
            client_of(server.url) as client,
        ):
            assert client.submit(payload()) == "t"
            assert client.feed("t").id == "t"
        assert proxy.seen == []


def test_cookies_are_not_kept(tmp_path: Path) -> None:
    """A cookie of one response is not sent with the next request."""
    raw = answer(200, {"id": "t", "videos": []}, Set_Cookie="a=b; Path=/")
    with RawServer(raw) as server, client_of(server.url) as client:
        client.feed("t")
        client.feed("t")
        assert server.seen[1].header("Cookie") is None


def test_key_is_in_no_error_log_or_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway quotes the key wherever it can: none of it is shown, logged or stored."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as gateway:
        harness = ServiceHarness(gateway, tmp_path / "home")
        try:
            for status in (429, 500):
                gateway.fault("submit", status=status, body={"message": f"{KEY} is wrong"},
                              headers={"Retry-After": "0"})  # fmt: skip
            gateway.fault("task", error=f"quota of {KEY}")
            for number, take in enumerate((0, 1)):
                with pytest.raises(PikaError) as caught:  # noqa: PT012 - one of the three calls
                    request = ask(image=from_pixels(picture(seed=number)))
                    task_id = harness.submit(request, take=take)
                    run(harness.service.collect(task_id))
                texts += traceback.format_exception(caught.value)
        finally:
            harness.close()
    assert "[key]" in "".join(texts)
    assert KEY not in "".join(texts)
    assert KEY not in caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_media_are_not_in_the_journal(harness: ServiceHarness, tmp_path: Path) -> None:
    """The journal contains the digest of the picture, but not its data."""
    image = from_pixels(picture(40, 40))
    harness.submit(ask(image=image))
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    data = b"".join(path.read_bytes() for path in files)
    start = next(iter(image.base64_chunks()))
    assert image.digest.encode() in data
    assert start[40:80] not in data
    assert image.data[40:80] not in data  # type: ignore[index,operator]


def test_error_does_not_contain_the_signed_link(quick: Simulator, tmp_path: Path) -> None:
    """Anyone who reads the error could open the file with it."""
    url = f"{quick.cdn_url}/t/video.mp4?Expires=1&Signature=secret-signature"
    with client_of(quick.url) as client, pytest.raises(DownloadFailed) as caught:
        client.download("t", url, tmp_path / "v.part", lambda: None)
    assert "secret-signature" not in str(caught.value)


def test_error_class_does_not_name_a_folder() -> None:
    """ComfyUI shows the full name of an error, and names the modules of a pack by their path."""
    assert Refused.__module__ == "pika"


def test_key_in_an_error_is_masked() -> None:
    """Also at the point where a long message is cut."""
    for text in (f"Key {KEY} is no good", "x" * 580 + KEY, json.dumps({"message": f"No: {KEY}"})):
        with (
            RawServer(answer(401, text.encode())) as server,
            client_of(server.url) as client,
            pytest.raises(Refused) as caught,
        ):
            client.submit(payload())
        assert KEY[:12] not in str(caught.value)
        assert "[key" in str(caught.value)
