"""Videos: what is sent unchanged, and whether a received file is complete."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pika_api.errors import InvalidInput
from pika_api.media import NotMedia, first_frame, probe_file, read_video_file
from support.api import write_video


def mp4(folder: Path, *, frames: int = 12, faststart: bool = False, shift: int = 0) -> Path:
    """A clip whose name has no video suffix, like that of a download."""
    path = write_video(folder / "v.mp4", frames=frames, faststart=faststart, shift=shift)
    return path.rename(folder / "v.part")


@pytest.mark.parametrize("faststart", [False, True])
@pytest.mark.parametrize("decode", [False, True])
def test_probe_of_an_mp4(tmp_path: Path, faststart: bool, decode: bool) -> None:
    """Size, codec, frame rate and duration, with the index at the front or at the end."""
    probe = probe_file(mp4(tmp_path, faststart=faststart), decode=decode)
    assert (probe.kind, probe.codec, probe.width, probe.height) == ("video", "h264", 64, 48)
    assert probe.is_mp4_h264
    assert probe.frame_rate == 24
    assert probe.duration == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif"])
def test_probe_of_a_picture(tmp_path: Path, form: str) -> None:
    """A still image comes from the same feed as a video."""
    Image.new("RGB", (9, 4)).save(tmp_path / "x", form)
    probe = probe_file(tmp_path / "x", decode=True)
    assert (probe.kind, probe.container, probe.width, probe.height) == ("image", form, 9, 4)
    assert probe.duration == probe.frame_rate == 0
    assert not probe.is_mp4_h264


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html><title>Sorry</title>" * 20,
        b'{"error": "gone"}',
        b"The link has expired.\n" * 50,
        b"\0" * 5000,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypmp42" + b"\0" * 12,
    ],
    ids=["empty", "html", "json", "text", "zeros", "png", "jpeg", "webp", "mp4 head"],
)
def test_file_that_is_not_media_is_refused(tmp_path: Path, data: bytes) -> None:
    """An error page, an empty file or only a header is never stored as a result."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(NotMedia):
        probe_file(tmp_path / "x", decode=True)


@pytest.mark.parametrize("faststart", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_mp4_is_refused(tmp_path: Path, faststart: bool, share: float) -> None:
    """Cut at any point; also with the index at the front, where the file still opens."""
    path = mp4(tmp_path, frames=48, faststart=faststart)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(NotMedia):
        probe_file(path, decode=True)


def test_mp4_cut_in_its_header_is_refused(tmp_path: Path) -> None:
    """Some versions of PyAV crash on a track without a decoder."""
    whole = mp4(tmp_path, faststart=True).read_bytes()
    head = whole.index(b"mdat")
    path = tmp_path / "cut.mp4"
    for length in range(40, head, 9):
        path.write_bytes(whole[:length])
        with pytest.raises(NotMedia):
            probe_file(path, decode=True)
        with pytest.raises(NotMedia):
            first_frame(path)


def test_cut_picture_is_refused(tmp_path: Path) -> None:
    """Half a PNG is not a result."""
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "x", "png")
    data = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(data[: len(data) // 2])
    with pytest.raises(NotMedia):
        probe_file(tmp_path / "x", decode=True)


def test_complete_mp4_with_an_edit_list_is_accepted(tmp_path: Path) -> None:
    """An edit list that skips the first frames hides samples that the header counts."""
    probe = probe_file(mp4(tmp_path, frames=24, shift=4), decode=True)
    assert probe.codec == "h264"


def test_first_frame_of_a_video(tmp_path: Path) -> None:
    """[1,H,W,3] floats in 0…1, of the first frame, which is the darkest."""
    frame = first_frame(mp4(tmp_path))
    assert frame.shape == (1, 48, 64, 3)
    assert frame.dtype == np.float32
    assert 0 <= frame.min() <= frame.max() <= 1
    assert np.median(frame) < 0.1


def test_first_frame_of_a_picture_is_exact(tmp_path: Path) -> None:
    """The pixels of the picture itself."""
    noise = np.random.default_rng(1).integers(0, 255, (5, 7, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "x", "png")
    assert (np.rint(first_frame(tmp_path / "x")[0] * 255) == noise).all()


def test_mp4_with_h264_is_sent_unchanged(tmp_path: Path) -> None:
    """The bytes of the file, read from its own path."""
    path = mp4(tmp_path)
    media = read_video_file(path)
    assert media is not None
    assert media.data == path
    assert media.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (media.mime, media.width, media.height) == ("video/mp4", 64, 48)
    assert media.size == path.stat().st_size


@pytest.mark.parametrize(
    ("codec", "name"), [("libvpx-vp9", "v.webm"), ("mpeg4", "v.mp4"), ("libx264", "v.mkv")]
)
def test_other_codecs_and_containers_must_be_encoded(tmp_path: Path, codec: str, name: str) -> None:
    """VP9, MPEG-4, and H.264 in Matroska are not sent unchanged."""
    assert read_video_file(write_video(tmp_path / name, codec=codec)) is None


def test_file_that_is_not_a_video_is_refused(tmp_path: Path) -> None:
    """Text, a picture, no file: InvalidInput with the name of the file and without its folder."""
    (tmp_path / "notes.txt").write_text("hello " * 100)
    Image.new("RGB", (9, 4)).save(tmp_path / "p.png")
    for name in ("notes.txt", "p.png"):
        with pytest.raises(InvalidInput, match=f"video: {name} is ") as caught:
            read_video_file(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(InvalidInput):
        read_video_file(tmp_path / "absent.mp4")
