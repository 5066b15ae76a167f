"""Packets that contain more frames than one are not decoded."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from media_samples import VIDEOS, clip, picture
from media_worker import Worker

from pika_api.media import (
    DecodeLimits,
    NotMedia,
    RefusedMedia,
    first_frame,
    open_picture,
    probe,
    probe_file,
)
from pika_api.media.packets import check_packet


def unit(kind: int, body: bytes = b"xyz", *, extended: bool = False) -> bytes:
    """A unit of AV1 with a size."""
    head = kind << 3 | extended << 2 | 2
    # LEB128 of two bytes also where one would do.
    size = bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([head]) + b"\0" * extended + size + body


@pytest.mark.parametrize("kind", [3, 6], ids=["header", "frame"])
@pytest.mark.parametrize("extended", [False, True])
def test_frames_in_a_packet_of_av1_are_limited(kind: int, extended: bool) -> None:
    """A frame of one colour has 28 bytes, and a decoded one can have 75 MB."""
    other = unit(2, b"") + unit(1, bytes(300)) + unit(5)
    frame = unit(kind, extended=extended)
    check_packet("libdav1d", av.Packet(other + frame * 16))
    with pytest.raises(RefusedMedia, match="17 frames"):
        check_packet("libdav1d", av.Packet(other + frame * 17))
    check_packet("h264", av.Packet(other + frame * 17))


def test_last_unit_needs_no_size() -> None:
    """And an empty packet, which ends the stream, has none."""
    check_packet("av1", av.Packet(unit(6) * 15 + bytes([6 << 3]) + unit(6) * 9))
    check_packet("av1", av.Packet(b""))
    check_packet("av1", av.Packet(bytes([6 << 3 | 2]) + b"\xff" * 20))


def many_frames(path: Path, codec: str) -> Path:
    """A clip whose second packet has 99 frames."""
    options = {"svtav1-params": "keyint=300:pred-struct=1:lookahead=0", "preset": "12"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 1024, 576, "yuv420p"
        frame = av.VideoFrame(1024, 576, "yuv420p")
        packets = []
        for number in range(100):
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode(None)
        first, *rest = packets
        second = av.Packet(b"".join(bytes(packet) for packet in rest))
        second.pts, second.dts = rest[0].pts, rest[0].dts
        second.time_base, second.stream = rest[0].time_base, stream
        container.mux([first, second])
    return path


def test_clip_with_many_frames_in_a_packet_is_refused(tmp_path: Path) -> None:
    """100 frames of 0.9 MB in a file of 3 KB. FFmpeg's decoder would return all at once."""
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no encoder for AV1; the units above are checked all the same")
    path = many_frames(tmp_path / "a.mp4", "libsvtav1")
    worker = Worker()
    try:
        verdict = worker.inspect(path)
    finally:
        worker.close()
    assert verdict.error == "RefusedMedia"
    assert "99 frames" in verdict.text
    assert verdict.megabytes < 64


def test_time_limit_holds_between_packets(tmp_path: Path) -> None:
    """Also for the first frame. The file is not called damaged because of it."""
    path = clip(tmp_path / "a.mp4")
    limits = DecodeLimits(seconds=0.0)
    with pytest.raises(RefusedMedia, match="to decode"):
        probe_file(path, decode=True, limits=limits)


def test_frames_of_all_tracks_share_the_limit_of_pixels(tmp_path: Path) -> None:
    """FFmpeg decodes the first frames of every track when it opens a file."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=24) for _ in range(3)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            for stream in streams:
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    limits = DecodeLimits(pixels=64 * 48)
    assert probe_file(path, decode=True, limits=limits).width == 64
    assert first_frame(path, limits).shape == (1, 48, 64, 3)


def test_clip_that_adds_tracks_is_refused(tmp_path: Path) -> None:
    """PyAV looks for a packet's track among those that it knew when the file was opened."""
    path = VIDEOS["mp4_segment_index"](tmp_path)
    path.write_bytes(path.read_bytes().replace(b"mfra", b"trak"))
    with pytest.raises(NotMedia, match="adds tracks"):
        probe_file(path, decode=True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "not enough memory"),
        (av.error.MemoryError(12, "Cannot allocate memory"), "not enough memory"),
        (av.error.ExitError(1, "Immediate exit requested"), "too long to read"),
    ],
)
def test_lack_of_memory_or_time_does_not_mean_that_it_is_no_media(
    error: Exception, text: str
) -> None:
    """Such a file is kept."""
    refused = probe.undecodable(error)
    assert isinstance(refused, RefusedMedia)
    assert text in str(refused)
    assert not isinstance(probe.undecodable(av.error.EOFError(1, "End of file")), RefusedMedia)
    assert "adds tracks" in str(probe.undecodable(IndexError("list index out of range")))


def test_picture_without_enough_memory_is_kept(tmp_path: Path) -> None:
    """The error of Pillow says nothing of the picture."""
    with pytest.raises(RefusedMedia, match="memory"), open_picture(picture(tmp_path / "a", "PNG")):
        raise MemoryError
