"""The key goes to the gateway, and to nobody and nowhere else."""

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
    Desk,
    RawServer,
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
def test_a_netrc_does_not_replace_the_key() -> None:
    """An entry for the gateway's host would otherwise win over our header."""
    with (
        RawServer(answer(200, {"id": "t", "videos": []})) as server,
        client_of(server.url) as client,
    ):
        client.submit(payload())
        client.feed("t")
        assert [seen.header("Authorization") for seen in server.seen] == [f"Bearer {KEY}"] * 2


@pytest.mark.usefixtures("netrc")
def test_the_media_host_gets_no_authorization(tmp_path: Path) -> None:
    """Neither the key nor a .netrc entry, for the file and for the poster."""
    with RawServer(answer(200, b"data")) as server, client_of("http://127.0.0.1:9") as client:
        client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert client.fetch_image(f"{server.url}/p.jpg") == b"data"
        assert [seen.header("Authorization") for seen in server.seen] == [None, None]


@pytest.mark.usefixtures("netrc")
def test_a_media_host_that_moved_gets_no_authorization_either(tmp_path: Path) -> None:
    """A CDN may redirect, and what it points to is a stranger too."""
    with RawServer(answer(200, b"data")) as other:
        moved = answer(302, b"", Location=other.url.replace("127.0.0.1", "localhost") + "/v.mp4")
        with RawServer(moved) as server, client_of("http://127.0.0.1:9") as client:
            client.download("t", f"{server.url}/v.mp4", tmp_path / "v.part", lambda: None)
        assert [seen.header("Authorization") for seen in other.seen] == [None]
    assert (tmp_path / "v.part").read_bytes() == b"data"


def test_plain_http_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """http is for this machine alone; a proxy would get the key readable over the network."""
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


def test_a_cookie_is_not_kept(tmp_path: Path) -> None:
    """What one answer sets is not told to the next."""
    raw = answer(200, {"id": "t", "videos": []}, Set_Cookie="a=b; Path=/")
    with RawServer(raw) as server, client_of(server.url) as client:
        client.feed("t")
        client.feed("t")
        assert server.seen[1].header("Cookie") is None


def test_the_key_is_in_no_error_log_or_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway that quotes it wherever it can: nothing of it is shown, logged or kept."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as gateway:
        desk = Desk(gateway, tmp_path / "home")
        try:
            for status in (429, 500):
                gateway.fault("submit", status=status, body={"message": f"{KEY} is wrong"},
                              headers={"Retry-After": "0"})  # fmt: skip
            gateway.fault("task", error=f"quota of {KEY}")
            for number, take in enumerate((0, 1)):
                with pytest.raises(PikaError) as caught:  # noqa: PT012 - one of three
                    request = ask(image=from_pixels(picture(seed=number)))
                    task_id = desk.submit(request, take=take)
                    run(desk.service.collect(task_id))
                texts += traceback.format_exception(caught.value)
        finally:
            desk.close()
    assert "[key]" in "".join(texts)
    assert KEY not in "".join(texts)
    assert KEY not in caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_the_media_are_not_in_the_journal(desk: Desk, tmp_path: Path) -> None:
    """The journal says which picture it was, and does not keep it."""
    image = from_pixels(picture(40, 40))
    desk.submit(ask(image=image))
    data = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("journal*"))
    start = next(iter(image.base64_chunks()))
    assert image.digest.encode() in data
    assert start[40:80] not in data
    assert image.data[40:80] not in data  # type: ignore[index,operator]


def test_a_link_that_is_refused_is_told_without_its_signature(
    quick: Simulator, tmp_path: Path
) -> None:
    """A signed link opens a file for anyone who reads the error."""
    url = f"{quick.cdn_url}/t/video.mp4?Expires=1&Signature=secret-signature"
    with client_of(quick.url) as client, pytest.raises(DownloadFailed) as caught:
        client.download("t", url, tmp_path / "v.part", lambda: None)
    assert "secret-signature" not in str(caught.value)


def test_an_error_shows_nobodys_folders() -> None:
    """ComfyUI shows an error's full name, and names a pack's modules by their path."""
    assert Refused.__module__ == "pika"


def test_the_key_in_an_error_is_masked() -> None:
    """A gateway that quotes the key does not put it on the node, at the edge of a long text too."""
    for text in (f"Key {KEY} is no good", "x" * 580 + KEY, json.dumps({"message": f"No: {KEY}"})):
        with (
            RawServer(answer(401, text.encode())) as server,
            client_of(server.url) as client,
            pytest.raises(Refused) as caught,
        ):
            client.submit(payload())
        assert KEY[:12] not in str(caught.value)
        assert "[key" in str(caught.value)
