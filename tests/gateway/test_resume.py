"""Only the same version of a file is resumed, and a file is checked to its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pika_api.errors import DownloadFailed
from pika_api.gateway.partial import ContentRange, PartInfo, part_info_path
from support.api import RawServer, answer, client_of, write_video
from support.media_host import MediaHost, Version

#: A gateway on this machine, so its links may lead to this machine. The port is closed.
GATEWAY = "http://127.0.0.1:9"
OLD = bytes(range(256)) * 40
NEW = bytes(reversed(range(256))) * 40
BEFORE, LATER = formatdate(1_700_000_000, usegmt=True), formatdate(1_700_000_001, usegmt=True)
#: How a version is named: by a strong tag, by its date, or by both.
NAMES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "tag": ({"etag": '"1"'}, {"etag": '"2"'}),
    "date": ({"modified": BEFORE}, {"modified": LATER}),
    "tag and date": (
        {"etag": '"1"', "modified": BEFORE},
        {"etag": '"2"', "modified": BEFORE},
    ),
}


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "v.part"


def fetch(url: str, part: Path) -> None:
    with client_of(GATEWAY) as client:
        client.download("t-1", url, part, lambda: None)


def fetch_until_complete(host: MediaHost, part: Path, attempts: int = 5) -> list[str]:
    """Fetch a file as the service does. Returns what the failed attempts said."""
    errors = []
    for _ in range(attempts):
        try:
            fetch(host.url, part)
        except DownloadFailed as error:
            if not error.retryable:
                raise
            errors.append(error.what)
        else:
            return errors
    raise AssertionError(errors)


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("length", ["length", "chunked"])
def test_same_version_is_resumed(part: Path, name: str, length: str) -> None:
    """Only the rest is requested, with the validator of the first part."""
    old, _new = NAMES[name]
    first = Version(OLD, cut=3000, length=length, **old)
    with MediaHost([first, replace(first, cut=None)]) as host:
        assert len(fetch_until_complete(host, part)) == 1
        start = host.seen[1]["Range"]
        assert start.startswith("bytes=")
        assert 0 < int(start[6:-1]) <= 3000
        assert host.seen[1]["If-Range"] == old.get("etag", BEFORE)
        assert host.statuses == [200, 206]
    assert part.read_bytes() == OLD


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("data", [NEW, NEW[:5000], NEW * 2], ids=["same size", "short", "long"])
def test_two_versions_are_never_mixed(part: Path, name: str, if_range: bool, data: bytes) -> None:
    """The file changes between two attempts. Also at a host that ignores If-Range."""
    old, new = NAMES[name]
    versions = [Version(OLD, cut=3000, **old), Version(data, if_range=if_range, **new)]
    with MediaHost(versions) as host:
        fetch_until_complete(host, part)
    assert part.read_bytes() == data


@pytest.mark.parametrize(
    "first",
    [
        {},
        {"etag": 'W/"1"'},
        {"etag": 'W/"1"', "modified": BEFORE},
        {"etag": "1"},
        {"modified": BEFORE, "date": BEFORE},
        {"modified": "yesterday"},
        {"modified": "Tue, 99 Foo 2026 00:00:00 GMT"},
    ],
    ids=["none", "weak", "weak, date", "no quotes", "same second", "no date", "wrong date"],
)
def test_download_without_a_strong_validator_starts_over(part: Path, first: Any) -> None:
    """A weak tag means that the bytes may differ; so does a date of the second of the answer."""
    with MediaHost([Version(OLD, cut=3000, **first), Version(NEW, **first)]) as host:
        assert len(fetch_until_complete(host, part)) == 1
        assert "Range" not in host.seen[1]
        assert "If-Range" not in host.seen[1]
    assert part.read_bytes() == NEW


@pytest.mark.parametrize("stored", [None, "", "{", "[]", '{"etag": 1}', '{"x": 1}', "[" * 9000])
def test_part_without_a_readable_validator_starts_over(part: Path, stored: str | None) -> None:
    """That of an earlier version of the pack, or with a damaged file beside it."""
    part.write_bytes(b"old" * 100)
    if stored is not None:
        part_info_path(part).write_text(stored)
    with MediaHost([Version(NEW, etag='"1"')]) as host:
        fetch(host.url, part)
        assert "Range" not in host.seen[0]
    assert part.read_bytes() == NEW


def test_host_that_ignores_ranges_sends_the_file_again(part: Path) -> None:
    """Its 200 replaces the bytes that are there, and the validator."""
    versions = [Version(OLD, '"1"', cut=3000), Version(NEW, '"2"', ranges=False, cut=900)]
    with MediaHost([*versions, Version(NEW, '"2"')]) as host:
        fetch_until_complete(host, part)
        assert host.seen[2]["If-Range"] == '"2"'
        assert host.seen[2]["Range"] == "bytes=900-"
    assert part.read_bytes() == NEW


@pytest.mark.parametrize(
    "span",
    [
        "bytes 0-10239/10240",
        "bytes 2999-10239/10240",
        "bytes 3001-10239/10240",
        "bytes 3000-10239/20480",
        "bytes 3000-10238/10240",
        "bytes 3000-10240/10240",
        "bytes 3000-2999/10240",
        "bytes=3000-10239/10240",
        "bytes 3000-/10240",
        "nonsense",
    ],
)
def test_wrong_range_starts_over(part: Path, span: str) -> None:
    """Another first byte, another size, an end behind the file, or not a range."""
    first = Version(OLD, '"1"', cut=3000)
    with MediaHost([first, replace(first, cut=None, span=span), Version(OLD, '"1"')]) as host:
        assert len(fetch_until_complete(host, part)) == 2
        assert host.statuses == [200, 206, 200]
        assert "Range" not in host.seen[2]
    assert part.read_bytes() == OLD


@pytest.mark.parametrize("tag", ["", 'W/"1"', '"2"'])
def test_part_with_another_tag_starts_over(part: Path, tag: str) -> None:
    """A 206 repeats the tag of the file. Without it, nothing proves that it is the same version."""
    first = Version(OLD, '"1"', cut=3000)
    second = Version(NEW, tag, if_range=False)
    with MediaHost([first, second, Version(OLD, '"1"')]) as host:
        assert len(fetch_until_complete(host, part)) == 2
        assert host.statuses == [200, 206, 200]
    assert part.read_bytes() == OLD


def test_shorter_range_than_asked_for_is_continued(part: Path) -> None:
    """A host may send a part of the range. The file is complete when all of it is there."""
    head = f"bytes 3000-3999/{len(OLD)}"
    rest = f"bytes 4000-{len(OLD) - 1}/{len(OLD)}"
    script = (
        answer(200, OLD[:3000], length=len(OLD), ETag='"1"'),
        answer(206, OLD[3000:4000], Content_Range=head, ETag='"1"'),
        answer(206, OLD[4000:], Content_Range=rest, ETag='"1"'),
    )
    with RawServer(*script) as server:
        for _ in range(2):
            with pytest.raises(DownloadFailed, match="broke off after"):
                fetch(server.url, part)
        fetch(server.url, part)
        assert server.seen[2].header("Range") == "bytes=4000-"
    assert part.read_bytes() == OLD


@pytest.mark.parametrize("length", ["length", "chunked"])
def test_complete_part_is_not_downloaded_again(part: Path, length: str) -> None:
    """The process ended before the file was moved to its name."""
    with MediaHost([Version(OLD, '"1"', length=length)]) as host:
        fetch(host.url, part)
        fetch(host.url, part)
        assert len(host.seen) == 1
    assert part.read_bytes() == OLD


def test_stored_data_have_no_link(part: Path) -> None:
    """The link is signed."""
    with MediaHost([Version(OLD, '"1"', cut=10)]) as host, pytest.raises(DownloadFailed):
        fetch(f"{host.url}?signature=secret", part)
    assert "secret" not in part_info_path(part).read_text()
    assert json.loads(part_info_path(part).read_text())["etag"] == '"1"'


def test_hostile_tag_is_not_sent_back(part: Path) -> None:
    """Only printable ASCII is a header of the next request."""
    for tag in ('"\x01"', '"é"', '"' + "x" * 5000 + '"', '"a" "b"'):
        headers = {"ETag": tag}
        assert PartInfo.of(headers, None, "").validator == ""


@pytest.mark.parametrize("text", ["", "bytes */5", "bytes 0-0/0", "bytes 5-4/9", "bytes ²-4/9"])
def test_invalid_content_range(text: str) -> None:
    """None of them tells where the bytes belong."""
    assert ContentRange.parse(text) is None


# Files without a Content-Length.


def files(folder: Path) -> dict[str, bytes]:
    """One complete file of several kinds."""
    write_video(folder / "a.mp4")
    write_video(folder / "b.mp4", faststart=True)
    write_video(folder / "c.webm", codec="libvpx-vp9")
    write_video(folder / "d.avi")
    pixels = Image.effect_noise((40, 30), 90)
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        pixels.save(folder / form, form)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def offsets(data: bytes, count: int) -> Sequence[int]:
    return range(0, len(data), max(len(data) // count, 1))


def test_chunked_body_without_its_last_chunk_is_broken(part: Path) -> None:
    """Cut at every kind of place, also behind the first digit of a size, which is a zero."""
    data = OLD[:2500]
    chunks = [b"%04x\r\n%s\r\n" % (len(each), each) for each in (data[:1500], data[1500:])]
    body = b"".join(chunks)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    second = len(chunks[0])
    cuts = {0, 1, 3, 5, 6, 700, *range(second - 3, second + 8), len(body) - 2, len(body)}
    for cut in sorted(cuts):
        with RawServer(head + body[:cut]) as server, pytest.raises(DownloadFailed):
            fetch(server.url, part)
    with RawServer(head + body + b"0\r\n\r\n") as server:
        fetch(server.url, part)
    assert part.read_bytes() == data


def test_body_that_ends_with_the_connection_is_checked(tmp_path: Path) -> None:
    """Cut anywhere, it counts as incomplete; the whole file is fetched from its start."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in files(folder).items():
        part = tmp_path / f"{name}.part"
        whole = Version(data, '"1"', length="close")
        for cut in offsets(data, 12):
            with MediaHost([replace(whole, cut=cut), whole]) as host:
                assert len(fetch_until_complete(host, part)) == 1, (name, cut)
                assert "Range" not in host.seen[1]
            assert part.read_bytes() == data
            part.unlink()


@pytest.mark.parametrize("name", ["a.ts", "a.flv", "a.bin"])
def test_file_that_proves_nothing_is_accepted_when_it_comes_twice(
    tmp_path: Path, name: str
) -> None:
    """A connection that breaks by chance does not break twice at the same byte."""
    path = tmp_path / name
    if name.endswith("bin"):
        path.write_bytes(bytes(5000))
    else:
        write_video(path)
    data, part = path.read_bytes(), tmp_path / "v.part"
    whole = Version(data, length="close")
    with MediaHost([replace(whole, cut=1000), replace(whole, cut=1001), whole]) as host:
        errors = fetch_until_complete(host, part)
        assert len(errors) == 3
        assert "1000 bytes" in errors[0]
    assert part.read_bytes() == data


def test_page_that_ends_with_the_connection_is_taken_as_it_is(part: Path) -> None:
    """It is not the file anyway, and a fresh link is needed."""
    page = b"<html><body>The link has expired"
    with MediaHost([Version(page, length="close")]) as host:
        fetch(host.url, part)
    assert part.read_bytes() == page


def test_empty_body_that_ends_with_the_connection_is_incomplete(part: Path) -> None:
    """However often it comes."""
    with MediaHost([Version(b"", length="close")]) as host:
        for _ in range(3):
            with pytest.raises(DownloadFailed, match="0 bytes"):
                fetch(host.url, part)


def test_unknown_transfer_encoding_is_refused(part: Path) -> None:
    """Python's HTTP library would store the chunk sizes as a part of the file."""
    with (
        RawServer(answer(200, OLD, Transfer_Encoding="gzip, chunked")) as server,
        pytest.raises(DownloadFailed, match="unknown encoding"),
    ):
        fetch(server.url, part)
    assert not part.exists()


def test_chunks_override_a_length(part: Path) -> None:
    """RFC 9112, section 6.3."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    with RawServer(answer(200, body, length=3, Transfer_Encoding="chunked")) as server:
        fetch(server.url, part)
    assert part.read_bytes() == b"hello"
