"""Downloads: from a link to bytes on disk, resumed after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import DownloadFailed, LinkRefused
from pika_api.gateway import Client, SizeLimits
from pika_api.gateway.partial import PartInfo
from support.api import RawServer, answer, client_of, free_port

DATA = bytes(range(256)) * 40
#: A gateway on this machine, so its links may lead to this machine. The port is closed.
LOCAL_GATEWAY = "http://127.0.0.1:9"
URL = "/v.mp4?Signature=1%2Fabc%3D"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "v.part"


def fetch(server: RawServer, part: Path, **options: Any) -> None:
    """One download, with the client of a gateway at another port."""
    with client_of(LOCAL_GATEWAY, **options) as client:
        load(client, server.url + URL, part)


def load(client: Client, url: str, part: Path) -> None:
    client.download("t-1", url, part, lambda: None)


def test_file_is_downloaded_unchanged(part: Path) -> None:
    """From the link as it was signed, without a Range header."""
    with RawServer(answer(200, DATA)) as server:
        fetch(server, part)
        assert server.seen[0].line == f"GET {URL} HTTP/1.1"
        assert server.seen[0].header("Range") is None
    assert part.read_bytes() == DATA


def test_download_is_resumed(part: Path) -> None:
    """An interrupted download keeps its bytes; the next attempt requests the rest only."""
    span = f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"
    rest = answer(206, DATA[1000:], Content_Range=span, ETag='"1"')
    with RawServer(answer(200, DATA[:1000], length=len(DATA), ETag='"1"'), rest) as server:
        with pytest.raises(DownloadFailed, match="broke off after 1000"):
            fetch(server, part)
        assert part.read_bytes() == DATA[:1000]
        fetch(server, part)
        assert server.seen[1].header("Range") == "bytes=1000-"
        assert server.seen[1].header("If-Range") == '"1"'
    assert part.read_bytes() == DATA


def test_host_without_ranges_sends_the_file_again(part: Path) -> None:
    """A 200 to a Range request is the whole file: it replaces the bytes that are there."""
    part.write_bytes(b"old" * 5000)
    PartInfo(etag='"1"').save(part)
    with RawServer(answer(200, DATA)) as server:
        fetch(server, part)
    assert part.read_bytes() == DATA


@pytest.mark.parametrize(
    "raw",
    [
        answer(416, b"", Content_Range="bytes */5"),
        answer(206, DATA, Content_Range="bytes 0-9/10"),
        answer(206, DATA),
    ],
    ids=["416", "another byte", "no range"],
)
def test_part_of_another_file_is_deleted(part: Path, raw: bytes) -> None:
    """The next attempt starts from byte 0."""
    part.write_bytes(b"old" * 10)
    PartInfo(etag='"1"').save(part)
    with RawServer(raw, answer(200, DATA)) as server:
        with pytest.raises(DownloadFailed, match="from"):
            fetch(server, part)
        assert not part.exists()
        fetch(server, part)
        assert server.seen[1].header("Range") is None
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416])
def test_refused_link_is_reported(part: Path, status: int) -> None:
    """Expired or gone: an error that asks for a fresh link, with the host's message."""
    body = b"<Error><Code>AccessDenied</Code></Error>"
    with (
        RawServer(answer(status, body)) as server,
        pytest.raises(LinkRefused, match=f"HTTP {status}.*AccessDenied") as caught,
    ):
        fetch(server, part)
    assert caught.value.task_id == "t-1"
    assert caught.value.retryable
    assert not part.exists()


@pytest.mark.parametrize("raw", [answer(500, b"Oops"), answer(503, b"Oops"), answer(204), b""])
def test_server_error_is_not_a_refused_link(part: Path, raw: bytes) -> None:
    """The link may still be valid."""
    part.write_bytes(DATA[:5])
    with RawServer(raw) as server, pytest.raises(DownloadFailed) as caught:
        fetch(server, part)
    assert not isinstance(caught.value, LinkRefused)
    assert caught.value.retryable
    assert part.read_bytes() == DATA[:5]


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:{free_port()}/v.mp4", "http://127.0.0.1:99999/", "http://a..b/"],
    ids=["closed port", "invalid port", "invalid name"],  # a random port would be a random id
)
def test_unreachable_link_is_a_failed_download(part: Path, url: str) -> None:
    """No such host, or not a valid address. Another attempt may succeed."""
    with client_of(LOCAL_GATEWAY) as client, pytest.raises(DownloadFailed) as caught:
        load(client, url, part)
    assert caught.value.retryable


def test_invalid_redirect_is_a_failed_download(part: Path) -> None:
    """An invalid Location header does not cause an exception of another type."""
    with (
        RawServer(answer(302, b"", Location="https://[bad")) as server,
        pytest.raises(DownloadFailed),
    ):
        fetch(server, part)


@pytest.mark.parametrize("has_length", [True, False])
def test_file_size_is_limited(part: Path, has_length: bool) -> None:
    """With and without a Content-Length, no more than the limit is stored."""
    raw = (
        answer(200, DATA) if has_length else b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + DATA
    )
    with RawServer(raw) as server, pytest.raises(DownloadFailed, match="over"):
        fetch(server, part, limits=SizeLimits(file=1000))
    assert not part.exists() or part.stat().st_size <= 1000


def test_download_stops_when_check_raises(part: Path) -> None:
    """The bytes that arrived are kept."""

    def stop() -> None:
        raise KeyboardInterrupt

    with (
        RawServer(answer(200, DATA)) as server,
        client_of(LOCAL_GATEWAY) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.download("t-1", server.url + URL, part, stop)
    assert part.exists()


def test_disk_error_is_not_a_network_error(tmp_path: Path) -> None:
    """A path that cannot be written raises the OSError itself."""
    (tmp_path / "file").write_text("in the way")
    with RawServer(answer(200, DATA)) as server, pytest.raises(NotADirectoryError):
        fetch(server, tmp_path / "file" / "v.part")
