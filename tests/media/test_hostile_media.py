"""Files that mean harm: they are not kept, and fill neither memory nor time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pika_api.errors import DownloadFailed
from pika_api.journal import Journal
from pika_api.media import NotMedia, first_frame, probe_file
from pika_api.media import probe as media
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, ServicePolicy
from support.api import KEY, RawServer, answer, run, write_video


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is this large; it holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        size, check = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return size + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (8_000, 8_000)], ids=str)
def test_a_picture_that_would_fill_the_memory_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Whether or not another pack has switched Pillow's own limit off."""
    path = tmp_path / "a.png"
    path.write_bytes(png_of(*size))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    for look in (probe_file, first_frame):
        with pytest.raises(NotMedia, match="million pixels"):
            look(path)


def test_a_clip_that_would_fill_the_memory_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its header says so, and nothing of it is decoded."""
    path = write_video(tmp_path / "a.mp4", size=(128, 96))
    monkeypatch.setattr(media, "MAX_PIXELS", 128 * 96 - 1)
    for look in (probe_file, first_frame):
        with pytest.raises(NotMedia, match="128x96"):
            look(path)


def test_a_clip_that_grows_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It begins small, as its header says, and goes on large."""
    parts = []
    for number, size in enumerate([(64, 48), (320, 240)]):
        part = write_video(tmp_path / f"{number}.ts", size=size)
        parts.append(part.read_bytes())
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    monkeypatch.setattr(media, "MAX_PIXELS", 320 * 240)
    assert probe_file(path, decode=True).width == 64
    monkeypatch.setattr(media, "MAX_PIXELS", 64 * 48)
    with pytest.raises(NotMedia, match="does not decode"):
        probe_file(path, decode=True)


def test_a_clip_that_never_ends_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small file can hold years of one colour: decoding it ends after its time."""
    path = write_video(tmp_path / "a.mp4", frames=48)
    monkeypatch.setattr(media, "DECODE_TIME", 0.0)
    with pytest.raises(NotMedia, match="to decode"):
        probe_file(path, decode=True)


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\x7fELF" + bytes(100),
        png_of(60_000, 60_000),
        b"",
    ],
    ids=["page", "svg", "play list", "concat", "sdp", "script", "program", "bomb", "empty"],
)
def test_what_is_no_media_is_not_kept(tmp_path: Path, data: bytes) -> None:
    """Whatever the link's ending: no file of it is left in the output folder."""
    with RawServer(answer(200, data)) as media_host:
        link = f"{media_host.url}/v.mp4"
        feed = answer(200, {"videos": [{"status": "finished", "resultUrl": link}]})
        with RawServer(feed) as gateway:
            settings = Settings(api_key=KEY, base_url=gateway.url)
            output = tmp_path / "output"
            service = Service(
                settings,
                Journal(sqlite_url(tmp_path)),
                output,
                policy=ServicePolicy(download_attempts=1),
            )
            try:
                with pytest.raises(DownloadFailed, match="neither a video nor a picture"):
                    run(service.collect("t"))
            finally:
                service.close()
    assert list(output.iterdir()) == []


def test_a_picture_with_a_page_in_it_is_a_picture(tmp_path: Path) -> None:
    """What the file is says its ending, and with it how a browser is told to take it."""
    from pika_api.tasks.collect import file_suffix

    path = tmp_path / "a.html"
    Image.new("RGB", (8, 8)).save(path, "GIF", comment=b"<script>alert(1)</script>")
    assert file_suffix(probe_file(path)) == ".gif"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        '<?xml version="1.0"?>\n<SMIL><video src="{path}"/></SMIL>\n',
    ],
    ids=["hls", "concat", "smil"],
)
def test_a_list_opens_no_other_file(tmp_path: Path, text: str) -> None:
    """Not even a good clip that lies beside it, as FFmpeg by itself does with a concat list."""
    clip = write_video(tmp_path / "clip.mp4")
    path = tmp_path / "list.mp4"
    path.write_text(text.format(path=clip.name))
    with pytest.raises(NotMedia):
        probe_file(path, decode=True)
