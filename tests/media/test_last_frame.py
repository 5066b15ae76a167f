"""The last frame is the one that a player shows last, whatever the container does with times."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pika_api.media import DecodeLimits, NotMedia, RefusedMedia, first_frame, last_frame
from support.clips import write_clip

#: Options of x264 with which the frames are stored in many ways.
GROUPS = {
    "one group": "keyint=250:bframes=3",
    "only key frames": "keyint=1",
    "short groups": "keyint=5:min-keyint=5:bframes=2",
    "open groups": "open-gop=1:keyint=6:min-keyint=6:bframes=3:scenecut=0",
    "a pyramid": "keyint=12:bframes=7:b-pyramid=2:b-adapt=0",
    "intra refresh": "intra-refresh=1:keyint=10",
}


def write(path: Path, times: list[int], **options: Any) -> Path:
    """A clip whose frames each have another brightness. Times are in 1/600 seconds."""
    params = options.pop("params", "")
    codec = options.pop("codec", "libx264")
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(
            codec, rate=24, options={"x264-params": params} if params else {}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 600)
        for number, time in enumerate(times):
            image = np.full((48, 64, 3), 10 + number * 5 % 240, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(path: Path) -> list[np.ndarray]:
    """All frames, decoded one by one, as ComfyUI's own nodes decode them."""
    with av.open(str(path)) as container:
        frames = []
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
    return frames


def check(path: Path) -> None:
    frame = last_frame(path)
    assert (frame.dtype, frame.ndim, frame.shape[0], frame.shape[3]) == (np.float32, 4, 1, 3)
    assert (np.rint(frame[0] * 255) == shown(path)[-1]).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("params", GROUPS.values(), ids=GROUPS)
def test_last_frame_of_reordered_frames(tmp_path: Path, params: str, suffix: str) -> None:
    """With key frames anywhere, and with frames that refer to later ones."""
    for count in (1, 2, 7, 41):
        times = [number * 25 for number in range(count)]
        check(write(tmp_path / f"{count}{suffix}", times, params=params))


@pytest.mark.parametrize("params", [GROUPS["open groups"], GROUPS["one group"]])
def test_last_frame_with_a_variable_rate(tmp_path: Path, params: str) -> None:
    """The last frame may be shown for a long time, or come right after the one before."""
    for number, times in enumerate(([0, 5, 300, 301, 302, 2400], [0, 600, 1200, 1201], [0, 9000])):
        check(write(tmp_path / f"{number}.mp4", times, params=params))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.webm", "libvpx-vp9"), ("a.webm", "libvpx"), ("a.mp4", "libx265"), ("a.mp4", "mpeg4"),
     ("a.mp4", "libsvtav1")],
)  # fmt: skip
def test_last_frame_of_other_codecs(tmp_path: Path, name: str, codec: str) -> None:
    """Some have packets that show nothing, or show an earlier frame."""
    check(write_clip(tmp_path / name, codec=codec, moving=True))


def cut(path: Path, seconds: float) -> Path:
    """Shorten the edit list of a clip: the frames behind are in the file, and are not shown."""
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12
    duration = int(seconds * 1000)  # in the unit of the movie, of which FFmpeg writes 1000
    data[place : place + 4] = duration.to_bytes(4, "big")
    target = path.with_name(f"cut_{path.name}")
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("params", GROUPS.values(), ids=GROUPS)
def test_frame_that_an_edit_list_hides_is_not_the_last(tmp_path: Path, params: str) -> None:
    """A clip that was trimmed without encoding it again ends before its last packet."""
    whole = write(tmp_path / "a.mp4", [number * 25 for number in range(40)], params=params)
    path = cut(whole, 0.8)
    check(path)
    assert (shown(path)[-1] != shown(whole)[-1]).any()


def destroyed(path: Path, number: int) -> Path:
    """The clip with a packet that cannot be decoded."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux() if packet.size][number]
        assert packet.pos is not None
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place + 4 : place + size] = bytes(size - 4)
    target = path.with_name(f"destroyed_{path.name}")
    target.write_bytes(data)
    return target


def test_damage_before_the_last_group_does_not_matter(tmp_path: Path) -> None:
    """Only the last group of pictures is decoded."""
    path = write(tmp_path / "a.mp4", [number * 25 for number in range(40)], params="keyint=1")
    assert (last_frame(destroyed(path, 1)) == last_frame(path)).all()


def test_last_frame_that_cannot_be_decoded(tmp_path: Path) -> None:
    """Then it is the last one that can, or with older versions of FFmpeg the one before."""
    path = write(tmp_path / "a.mp4", [number * 25 for number in range(20)], params="keyint=1")
    pixels = np.rint(last_frame(destroyed(path, -1))[0] * 255)
    assert any((pixels == each).all() for each in shown(tmp_path / "destroyed_a.mp4")[-2:])


def test_picture_is_its_own_last_frame(tmp_path: Path) -> None:
    """A still image, and an animation, of which the first picture is the image."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    other = Image.fromarray(255 - noise)
    for name, more in (("a.png", {}), ("b.webp", {"append_images": [other], "save_all": True})):
        file = io.BytesIO()
        form = "WEBP" if name.endswith("webp") else "PNG"
        Image.fromarray(noise).save(file, form, lossless=True, **more)
        (tmp_path / name).write_bytes(file.getvalue())
        assert (last_frame(tmp_path / name) == first_frame(tmp_path / name)).all()
        assert (np.rint(last_frame(tmp_path / name)[0] * 255) == noise).all()


def test_limits_hold_for_the_last_frame(tmp_path: Path) -> None:
    """Pixels and time are limited, and a text is not media."""
    path = write(tmp_path / "a.mp4", [number * 25 for number in range(30)])
    with pytest.raises(RefusedMedia, match="million pixels"):
        last_frame(path, DecodeLimits(pixels=64 * 48 - 1))
    with pytest.raises(RefusedMedia, match="takes over 0 s"):
        last_frame(path, DecodeLimits(seconds=0.0))
    (tmp_path / "a.txt").write_text("no video")
    with pytest.raises(NotMedia):
        last_frame(tmp_path / "a.txt")
