"""From a link to bytes on disk, going on where it broke off."""

from __future__ import annotations

from pathlib import Path

import pytest

from pika_api.errors import DownloadFailed, LinkRefused
from pika_api.gateway import Client, downloads
from support.api import RawServer, answer, client_of, free_port

DATA = bytes(range(256)) * 40
#: A gateway on this machine, whose links may lead to this machine; nobody listens there.
NEIGHBOUR = "http://127.0.0.1:9"
URL = "/v.mp4?Signature=1%2Fabc%3D"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "v.part"


def fetch(server: RawServer, part: Path) -> None:
    """One download, with a client of another host."""
    with client_of(NEIGHBOUR) as client:
        load(client, server.url + URL, part)


def load(client: Client, url: str, part: Path) -> None:
    client.download("t-1", url, part, lambda: None)


def test_whole(part: Path) -> None:
    """The bytes as they came, from the link as it was signed, without Range."""
    with RawServer(answer(200, DATA)) as server:
        fetch(server, part)
        assert server.seen[0].line == f"GET {URL} HTTP/1.1"
        assert server.seen[0].header("Range") is None
    assert part.read_bytes() == DATA


def test_it_goes_on_from_where_it_broke_off(part: Path) -> None:
    """A cut leaves what came; the next try asks for the rest only."""
    rest = answer(206, DATA[1000:], Content_Range=f"bytes 1000-{len(DATA) - 1}/{len(DATA)}")
    with RawServer(answer(200, DATA[:1000], length=len(DATA)), rest) as server:
        with pytest.raises(DownloadFailed, match="broke off after 1000"):
            fetch(server, part)
        assert part.read_bytes() == DATA[:1000]
        fetch(server, part)
        assert server.seen[1].header("Range") == "bytes=1000-"
    assert part.read_bytes() == DATA


def test_a_host_that_cannot_go_on_begins_anew(part: Path) -> None:
    """200 to a Range is the whole file: what was there is replaced, not added to."""
    part.write_bytes(b"old" * 5000)
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
def test_a_part_that_does_not_fit_is_thrown_away(part: Path, raw: bytes) -> None:
    """What is there is not of this file: the next try starts at its beginning."""
    part.write_bytes(b"old" * 10)
    with RawServer(raw, answer(200, DATA)) as server:
        with pytest.raises(DownloadFailed, match="from"):
            fetch(server, part)
        assert not part.exists()
        fetch(server, part)
        assert server.seen[1].header("Range") is None
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416])
def test_a_refused_link_says_so(part: Path, status: int) -> None:
    """Expired or gone: an error that asks for a fresh link, in the host's words."""
    body = b"<Error><Code>AccessDenied</Code></Error>"
    with (
        RawServer(answer(status, body)) as server,
        pytest.raises(LinkRefused, match=f"HTTP {status}.*AccessDenied") as caught,
    ):
        fetch(server, part)
    assert caught.value.task_id == "t-1"
    assert not part.exists()


@pytest.mark.parametrize("raw", [answer(500, b"Oops"), answer(503, b"Oops"), answer(204), b""])
def test_trouble_is_no_refusal(part: Path, raw: bytes) -> None:
    """The link may still be good."""
    part.write_bytes(DATA[:5])
    with RawServer(raw) as server, pytest.raises(DownloadFailed) as caught:
        fetch(server, part)
    assert not isinstance(caught.value, LinkRefused)
    assert part.read_bytes() == DATA[:5]


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:{free_port()}/v.mp4", "http://127.0.0.1:99999/", "http://a..b/"],
    ids=["nobody listens", "no port", "no name"],  # a port by chance is no name for a test
)
def test_a_link_to_nowhere_names_the_task(part: Path, url: str) -> None:
    """No host, or an address that is none."""
    with client_of(NEIGHBOUR) as client, pytest.raises(DownloadFailed):
        load(client, url, part)


def test_a_redirect_to_nowhere_names_the_task(part: Path) -> None:
    """A Location that is no address is the host's trouble, not an accident of ours."""
    with (
        RawServer(answer(302, b"", Location="https://[bad")) as server,
        pytest.raises(DownloadFailed),
    ):
        fetch(server, part)


@pytest.mark.parametrize("told", [True, False])
def test_an_endless_file_is_bounded(
    part: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Told beforehand or not, no more than the limit is kept."""
    monkeypatch.setattr(downloads, "MAX_FILE", 1000)
    raw = answer(200, DATA) if told else b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + DATA
    with RawServer(raw) as server, pytest.raises(DownloadFailed, match="over"):
        fetch(server, part)
    assert not part.exists() or part.stat().st_size <= 1000


def test_it_stops_when_asked(part: Path) -> None:
    """`check` ends the download; what has come is kept."""

    def stop() -> None:
        raise KeyboardInterrupt

    with (
        RawServer(answer(200, DATA)) as server,
        client_of(NEIGHBOUR) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.download("t-1", server.url + URL, part, stop)
    assert part.exists()


def test_a_disk_error_is_the_disks(tmp_path: Path) -> None:
    """A path that cannot be written is not called trouble with the network."""
    (tmp_path / "file").write_text("in the way")
    with RawServer(answer(200, DATA)) as server, pytest.raises(NotADirectoryError):
        fetch(server, tmp_path / "file" / "v.part")
