"""Hostile media files: they are not stored, and use neither too much memory nor too much time."""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from pika_api.errors import DownloadFailed
from pika_api.journal import Journal
from pika_api.media import DecodeLimits, NotMedia, first_frame, probe_file
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, ServicePolicy
from support.api import KEY, RawServer, answer, run, write_video


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header has this size, with almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        size, check = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return size + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (8_000, 8_000)], ids=str)
def test_picture_with_too_many_pixels_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Also if another pack has disabled Pillow's own limit."""
    path = tmp_path / "a.png"
    path.write_bytes(png_of(*size))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    for inspect in (probe_file, first_frame):
        with pytest.raises(NotMedia, match="million pixels"):
            inspect(path)


def test_clip_with_too_many_pixels_is_refused(tmp_path: Path) -> None:
    """The header says so, and no frame is decoded."""
    path = write_video(tmp_path / "a.mp4", size=(128, 96))
    for inspect in (probe_file, first_frame):
        with pytest.raises(NotMedia, match="128x96"):
            inspect(path, limits=DecodeLimits(pixels=128 * 96 - 1))


def growing_clip(path: Path) -> Path:
    """A clip of VP8, whose key frames have a size each: small ones, then large ones."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for begin, (width, height) in ((0, (64, 48)), (12, (320, 240))):
            encoder = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base = Fraction(1, 24)
            frame = av.VideoFrame(width, height, "yuv420p")
            packets = []
            for number in range(12):
                frame.pts = begin + number
                packets += encoder.encode(frame)
            for packet in packets + encoder.encode(None):
                packet.stream, packet.time_base = stream, Fraction(1, 24)
                container.mux(packet)
    return path


def test_clip_with_growing_frames_is_refused(tmp_path: Path) -> None:
    """The header has a small size, and later frames are larger."""
    path = growing_clip(tmp_path / "a.webm")
    assert probe_file(path, decode=True, limits=DecodeLimits(pixels=320 * 240)).width == 64
    with pytest.raises(NotMedia, match="cannot be decoded"):
        probe_file(path, decode=True, limits=DecodeLimits(pixels=64 * 48))


def test_clip_that_takes_too_long_to_decode_is_refused(tmp_path: Path) -> None:
    """A small file can contain years of one colour."""
    path = write_video(tmp_path / "a.mp4", frames=48)
    with pytest.raises(NotMedia, match="takes over 0 s to decode"):
        probe_file(path, decode=True, limits=DecodeLimits(seconds=0.0))


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "<html><body>链接已过期</body></html>".encode("gbk"),
        "<html>expired</html>".encode("utf-16"),
        gzip.compress(b"<html><body>The link has expired</body></html>" * 9),
        b"",
    ],
    ids=["page", "svg", "playlist", "concat", "sdp", "script", "gbk", "utf-16", "gzip", "empty"],
)
def test_text_instead_of_media_is_deleted(tmp_path: Path, data: bytes) -> None:
    """Whatever the suffix of the link is: no file is left in the output folder."""
    output = tmp_path / "output"
    with pytest.raises(DownloadFailed, match="neither a video nor a picture"):
        collect_file(tmp_path, output, data)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [b"\x7fELF" + bytes(100), bytes(5000), gzip.compress(bytes(5000)), b"\xff\x0a" + bytes(100)],
    ids=["program", "zeros", "gzip", "jpeg xl"],
)
def test_unknown_file_is_kept_and_not_opened(tmp_path: Path, data: bytes) -> None:
    """It may be what was paid for. Its suffix is one that no program runs or renders."""
    output = tmp_path / "output"
    with pytest.raises(DownloadFailed, match="cannot be read here") as caught:
        collect_file(tmp_path, output, data)
    (path,) = output.iterdir()
    assert path.suffixes in ([".as-received", ".bin"], [".as-received", ".gz"])
    assert path.read_bytes() == data
    assert str(path) in str(caught.value)
    assert not os.access(path, os.X_OK)


def test_picture_with_too_many_pixels_is_kept_and_not_opened(tmp_path: Path) -> None:
    """It was paid for. Its name has no suffix that a program opens."""
    output = tmp_path / "output"
    with pytest.raises(
        DownloadFailed, match=r"not opened: 60000x60000.*pika_t-[0-9a-f]{10}\.unchecked"
    ):
        collect_file(tmp_path, output, png_of(60_000, 60_000))
    (path,) = output.iterdir()
    assert re.fullmatch(r"pika_t-[0-9a-f]{10}\.unchecked", path.name)


def collect_file(home: Path, output: Path, data: bytes) -> None:
    """Collect a task whose file has this content."""
    with RawServer(answer(200, data)) as media_host:
        link = f"{media_host.url}/v.mp4"
        feed = answer(200, {"videos": [{"status": "finished", "resultUrl": link}]})
        with RawServer(feed) as gateway:
            settings = Settings(api_key=KEY, base_url=gateway.url)
            journal = Journal(sqlite_url(home))
            service = Service(
                settings,
                journal,
                output,
                policy=ServicePolicy(download_attempts=1),
            )
            try:
                run(service.collect("t"))
            finally:
                service.close()
                journal.close()


def test_suffix_is_chosen_by_the_content(tmp_path: Path) -> None:
    """A browser opens the file by its suffix."""
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
def test_playlist_opens_no_other_file(tmp_path: Path, text: str) -> None:
    """Not even a valid clip beside it; FFmpeg alone would open that for a concat list."""
    clip = write_video(tmp_path / "clip.mp4")
    path = tmp_path / "list.mp4"
    path.write_text(text.format(path=clip.name))
    with pytest.raises(NotMedia):
        probe_file(path, decode=True)
