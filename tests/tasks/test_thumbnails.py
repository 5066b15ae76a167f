"""Thumbnails for the sidebar: created once, limited in size, and never an error."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pika_api.journal import Journal
from pika_api.media import NotMedia
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from support.api import Clock, ServiceHarness, run, write_video


def encoded(mode: str, size: tuple[int, int], form: str) -> bytes:
    """A picture of this mode, in this format."""
    data = io.BytesIO()
    Image.new(mode, size, 99 if mode in ("L", "P") else None).save(data, form)
    return data.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG that says it is this large and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture
def service(harness: ServiceHarness, tmp_path: Path) -> Any:
    """A service that keeps posters."""

    settings = Settings(api_key=harness.gateway.key, base_url=harness.gateway.url)
    made = Service(
        settings, Journal(sqlite_url(harness.home)), harness.output, thumbnails=tmp_path / "posters"
    )
    yield made
    made.close()


def poster(service: Service, task_id: str) -> Path | None:
    """A task's small picture."""
    entry = service.journal.find_by_task_id(task_id)
    assert entry is not None
    return run(service.thumbnail(entry))


@pytest.mark.parametrize(
    ("mode", "form"),
    [("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "JPEG"), ("RGBA", "PNG"), ("P", "GIF"),
     ("LA", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP")],
)  # fmt: skip
def test_every_poster_becomes_a_small_rgb_jpeg(service: Service, mode: str, form: str) -> None:
    """Whatever format and colour mode the host sends."""
    path = service._thumbnails.store("t", encoded(mode, (1280, 720), form))
    with Image.open(path) as small:
        assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (320, 180))
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_tall_picture_is_limited_in_height(service: Service) -> None:
    """A limit on the width alone would keep its full height."""
    with Image.open(service._thumbnails.store("t", encoded("RGB", (40, 9000), "PNG"))) as small:
        assert small.height <= 640


def test_small_picture_is_not_enlarged(service: Service) -> None:
    """It keeps its size."""
    with Image.open(service._thumbnails.store("t", encoded("RGB", (64, 36), "PNG"))) as small:
        assert small.size == (64, 36)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", encoded("RGB", (64, 64), "JPEG")[:200], encoded("RGB", (8, 8), "BMP"),
     claims(8000, 8000), claims(60_000, 60_000)],
    ids=["empty", "a page", "cut", "another format", "64 million pixels", "a bomb"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_invalid_picture_is_rejected(service: Service, tmp_path: Path, data: bytes) -> None:
    """A picture that claims a huge size is not decoded; nothing is stored."""
    with pytest.raises(NotMedia):
        service._thumbnails.store("t", data)
    assert list(tmp_path.glob("posters/*")) == []


def test_thumbnail_of_a_saved_task_comes_from_its_file(
    harness: ServiceHarness, service: Service
) -> None:
    """The file is read once: later the thumbnail exists even without the file."""
    task_id = harness.submit()
    file = run(harness.service.collect(task_id)).path
    before = len(harness.gateway.log)
    path = poster(service, task_id)
    assert path is not None
    file.unlink()
    assert poster(service, task_id) == path
    assert len(harness.gateway.log) == before


def test_thumbnail_of_a_finished_task_comes_from_the_feed(
    harness: ServiceHarness, service: Service
) -> None:
    """It is requested once."""
    task_id = harness.submit()
    run(harness.service.wait(task_id))
    before = len(harness.gateway.log)
    path = poster(service, task_id)
    assert path is not None
    assert poster(service, task_id) == path
    assert len(harness.gateway.log) == before + 2


@pytest.mark.parametrize("on", ["feed", "media"])
def test_missing_poster_is_requested_again_later(
    harness: ServiceHarness, service: Service, on: Any
) -> None:
    """Not at once: a list of thousands would ask all the time."""
    clock = Clock()
    service._thumbnails._clock = clock
    task_id = harness.submit()
    run(harness.service.wait(task_id))
    harness.gateway.fault(on=on, status=404, body={"message": "none yet"})
    assert poster(service, task_id) is None
    asked = len(harness.gateway.log)
    assert poster(service, task_id) is None
    assert len(harness.gateway.log) == asked
    clock.now += 1000.0
    assert poster(service, task_id) is not None


@pytest.mark.parametrize("seconds", [60.0, 0.5])
def test_no_thumbnail_is_requested_during_a_backoff(
    harness: ServiceHarness, service: Service, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """The back-off applies to the display as well, until its end."""
    task_id = harness.submit()
    run(harness.service.wait(task_id))
    before = len(harness.gateway.log)
    monkeypatch.setattr(service._workers.backoff, "wait", lambda: seconds)
    assert poster(service, task_id) is None
    assert len(harness.gateway.log) == before


def test_unreadable_file_gives_no_thumbnail(harness: ServiceHarness, service: Service) -> None:
    """A file that the user has changed costs only the thumbnail."""
    task_id = harness.submit()
    run(harness.service.collect(task_id)).path.write_bytes(b"edited")
    assert poster(service, task_id) is None


def test_thumbnail_of_a_video_is_its_first_frame(service: Service, tmp_path: Path) -> None:
    """In the video's proportions."""
    file = write_video(tmp_path / "v.mp4", size=(640, 360))
    with Image.open(service._thumbnails._from_file("t", file)) as small:
        assert small.size == (320, 180)
