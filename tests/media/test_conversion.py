"""Videos as people have them: what is sent of each, and that it is upright, whole and bounded."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from devtools import ROOT
from pika_api.errors import InvalidInput
from pika_api.media import (
    DecodeLimits,
    Media,
    Part,
    PreparedVideo,
    UnreadFormat,
    part_digest,
    prepare_video_file,
    read_video_file,
)
from support.api import write_video
from support.clips import TURNS, Clip, turn, write_clip

Prepare = Callable[..., PreparedVideo]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepares a file; new files have numbers."""
    numbers = itertools.count()
    folder = tmp_path / "new"
    folder.mkdir()

    def run(path: Path, **options: Any) -> PreparedVideo:
        return prepare_video_file(path, lambda: folder / f"{next(numbers)}.mp4", **options)

    return run


def clip_of(media: Media) -> Clip:
    """What the gateway decodes."""
    assert isinstance(media.data, Path)
    data = media.data.read_bytes()
    assert (media.mime, media.size) == ("video/mp4", len(data))
    clip = Clip(data)
    assert (media.width, media.height) == clip.size
    return clip


def packets(path: Path) -> list[bytes]:
    """The encoded frames of a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0])]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


#: Files whose video is copied into MP4: their name, and how they are written.
COPIED: dict[str, tuple[str, dict[str, Any]]] = {
    "QuickTime": ("a.mov", {"sound": "aac"}),
    "QuickTime without sound": ("a.mov", {}),
    "QuickTime with a timecode track": ("a.mov", {"timecode": True}),
    "QuickTime with uncompressed sound": ("a.mov", {"sound": "pcm_s16le", "rate": 44100}),
    "variable frame rate": ("a.mov", {"times": (0, 40, 100, 101, 300, 700)}),
    "Matroska": ("a.mkv", {"sound": "aac"}),
    "Matroska with Opus": ("a.mkv", {"sound": "libopus"}),
    "two videos": ("a.mp4", {"videos": 2, "sound": "aac"}),
    "a cover picture": ("a.mp4", {"cover": True, "sound": "aac"}),
}
#: Files whose video is encoded again.
ENCODED: dict[str, tuple[str, dict[str, Any]]] = {
    "HEVC": ("a.mp4", {"codec": "libx265", "sound": "aac"}),
    "HEVC, 10 bits, QuickTime": ("a.mov", {"codec": "libx265", "form": "yuv420p10le"}),
    "HEVC, variable frame rate": (
        "a.mp4", {"codec": "libx265", "times": (0, 40, 100, 101, 300, 700), "sound": "aac"},
    ),
    "HEVC, two videos": ("a.mkv", {"codec": "libx265", "videos": 2, "sound": "aac", "sounds": 2}),
    "H.264, 10 bits": ("a.mp4", {"form": "yuv420p10le"}),
    "H.264 with full colour": ("a.mp4", {"form": "yuv444p", "sound": "aac"}),
    "VP9 in MP4": ("a.mp4", {"codec": "libvpx-vp9"}),
    "VP9 in WebM": ("a.webm", {"codec": "libvpx-vp9", "sound": "libopus"}),
    "VP8 in WebM, mono": ("a.webm", {"codec": "libvpx", "sound": "libopus", "layout": "mono"}),
    "WebM of a browser, without a duration": (
        "a.webm", {"codec": "libvpx", "sound": "libopus", "options": {"live": "1"}},
    ),
    "full range": ("a.webm", {"codec": "libvpx-vp9", "colour_range": 2}),
    "odd sizes": ("a.mp4", {"codec": "mpeg4", "size": (63, 47), "sound": "aac"}),
    "ProRes": ("a.mov", {"codec": "prores_ks", "form": "yuv422p10le", "sound": "pcm_s24le"}),
    "RGB": ("a.mov", {"codec": "qtrle", "form": "rgb24"}),
    "Motion JPEG": ("a.mov", {"codec": "mjpeg", "form": "yuvj422p"}),
    "5.1 sound": ("a.mkv", {"codec": "mpeg4", "sound": "aac", "layout": "5.1"}),
    "sound of 96 kHz": ("a.mov", {"codec": "mpeg4", "sound": "pcm_s16le", "rate": 96000}),
}  # fmt: skip


def check_clip(clip: Clip, options: dict[str, Any]) -> None:
    """MP4 with H.264 of 8 bits and AAC; the same picture, times and length of sound."""
    form = "yuvj420p" if options.get("colour_range") else "yuv420p"
    assert (clip.codec, clip.form, clip.brand) == ("h264", form, "isom")
    width, height = options.get("size", (64, 48))
    assert clip.size == (width // 2 * 2, height // 2 * 2)
    assert clip.quarters() == (0, 1, 2, 3)
    times = options.get("times", range(0, 480, 40))
    assert clip.times == pytest.approx([time / 960 for time in times], abs=0.002)
    assert clip.kinds.count("video") == 1
    if "sound" not in options:
        assert clip.sound == 0
        return
    assert clip.sound_codec == "aac"
    assert clip.kinds.count("audio") == 1
    length = (times[-1] + times[1] - times[0]) / 960
    assert clip.sound == pytest.approx(length, abs=0.05)
    assert clip.channels == (1 if options.get("layout") == "mono" else 2)


@pytest.mark.parametrize("kind", COPIED)
def test_video_is_copied_into_mp4(tmp_path: Path, prepare: Prepare, kind: str) -> None:
    """Not one frame is encoded again, other tracks are left out, and the digest is that of the
    file."""
    name, options = COPIED[kind]
    path = write_clip(tmp_path / name, **options)
    prepared = prepare(path)
    check_clip(clip_of(prepared.media), options)
    assert prepared.media.digest == digest(path)
    assert prepared.frames == len(options.get("times", range(12)))
    new = prepared.media.data
    assert isinstance(new, Path)
    assert packets(new) == packets(path)
    assert read_video_file(path) is None


@pytest.mark.parametrize("kind", ENCODED)
def test_video_is_encoded_as_mp4(tmp_path: Path, prepare: Prepare, kind: str) -> None:
    """The picture, the times and the sound stay, and the digest is that of the file."""
    name, options = ENCODED[kind]
    path = write_clip(tmp_path / name, **options)
    prepared = prepare(path)
    check_clip(clip_of(prepared.media), options)
    assert prepared.media.digest == digest(path)
    assert prepared.frames == len(options.get("times", range(12)))
    assert read_video_file(path) is None


def test_av1_is_encoded_as_mp4(tmp_path: Path, prepare: Prepare) -> None:
    """In MP4, as a recorder of the screen writes it."""
    codec = next((each for each in ("libsvtav1", "libaom-av1") if is_encoder(each)), "")
    if not codec:
        pytest.skip("this PyAV has no encoder for AV1")
    options = {"codec": codec, "size": (128, 96), "sound": "aac"}
    check_clip(clip_of(prepare(write_clip(tmp_path / "a.mp4", **options)).media), options)


def is_encoder(name: str) -> bool:
    try:
        return bool(av.Codec(name, "w"))
    except av.codec.codec.UnknownCodecError:
        return False


@pytest.mark.parametrize("name", ["a.mp4", "a.m4v", "no suffix"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sound": "aac"},
        {"sound": "aac", "sounds": 2},
        {"sound": "libmp3lame"},
        {"codec": "mpeg4"},
        {"options": {"movflags": "frag_keyframe+empty_moov"}},
        {"options": {"brand": "avc1"}},
    ],
    ids=str,
)
def test_mp4_with_h264_is_sent_unchanged(
    tmp_path: Path, prepare: Prepare, name: str, options: dict[str, Any]
) -> None:
    """Byte for byte, whatever its sound and its suffix are. Another codec never is."""
    path = write_clip(tmp_path / name, container="mp4", **options)
    prepared = prepare(path)
    unchanged = "codec" not in options
    assert (prepared.media.data == path) == unchanged
    assert (prepared.frames == 0) == unchanged
    assert prepared.media.digest == digest(path)
    read = read_video_file(path)
    assert read == (prepared.media if unchanged else None)


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("size", [(64, 48), (63, 47), (48, 64)], ids=str)
def test_rotation_is_applied(
    tmp_path: Path, prepare: Prepare, name: str, size: tuple[int, int]
) -> None:
    """A phone stores its portrait video lying down. The new file stands upright, and says nothing
    about turning."""
    path = turn(write_clip(tmp_path / "a.mp4", codec="mpeg4", size=size, sound="aac"), name)
    clip = clip_of(prepare(path).media)
    matrix, expected = TURNS[name]
    width, height = size[0] // 2 * 2, size[1] // 2 * 2
    assert clip.size == ((height, width) if matrix[0] == 0 else (width, height))
    assert clip.quarters() == expected
    assert clip.matrix is None


@pytest.mark.parametrize("name", ["90", "180", "270", "mirrored"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rotation_of_a_copy_is_kept(
    tmp_path: Path, prepare: Prepare, name: str, suffix: str
) -> None:
    """A file that is sent unchanged or copied still says how it is turned. A PyAV that loses it in
    the copy encodes the video upright."""
    path = turn(write_clip(tmp_path / f"a{suffix}"), name)
    clip = clip_of(prepare(path).media)
    if clip.matrix is None:
        assert suffix == ".mov"
        assert clip.quarters() == TURNS[name][1]
    else:
        assert clip.quarters() == (0, 1, 2, 3)
        assert bytes(clip.matrix) == bytes(Clip(path.read_bytes()).matrix)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path, prepare: Prepare) -> None:
    """A turned picture has pixels that are high instead of wide."""
    for name, expected in (("upright", Fraction(4, 3)), ("90", Fraction(3, 4))):
        path = turn(write_clip(tmp_path / "a.mp4", codec="mpeg4", aspect=Fraction(4, 3)), name)
        new = prepare(path).media.data
        assert isinstance(new, Path)
        with av.open(str(new)) as container:
            aspect = container.streams.video[0].sample_aspect_ratio
            assert Fraction(aspect.numerator, aspect.denominator) == expected


@pytest.mark.parametrize(("codec", "form"), [("ffv1", "yuv420p"), ("mjpeg", "yuvj422p")])
def test_frames_of_a_codec_for_editing_are_not_all_key_frames(
    tmp_path: Path, prepare: Prepare, codec: str, form: str
) -> None:
    """Each frame of the original is a key frame. The new file would be several times as large."""
    new = prepare(write_clip(tmp_path / "a.mkv", codec=codec, form=form, moving=True)).media.data
    assert isinstance(new, Path)
    with av.open(str(new)) as container:
        video = container.streams.video[0]
        assert sum(packet.is_keyframe for packet in container.demux(video) if packet.size) == 1


@pytest.mark.parametrize(
    ("part", "first", "count"),
    [
        (Part(0.5, 1.0), 12, 24),
        (Part(0.5), 12, 36),
        (Part(0.0, 0.5), 0, 12),
        (Part(1.9, 9.0), 46, 2),
        (Part(0.51, 0.1), 13, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_only_a_part_is_sent(
    tmp_path: Path, prepare: Prepare, name: str, part: Part, first: int, count: int
) -> None:
    """Its frames and its sound, beginning at 0. The digest says which part of which file it is."""
    path = write_clip(tmp_path / name, times=tuple(range(0, 48 * 40, 40)), sound="aac", moving=True)
    media = prepare(path, part=part).media
    clip = clip_of(media)
    assert clip.times == pytest.approx([number / 24 for number in range(count)], abs=0.002)
    whole = Clip(path.read_bytes())
    assert abs(clip.pixels.astype(int) - whole.frame(first)).mean() < 4
    length = min(part.duration or 9.0, 2.0 - part.start)
    assert clip.sound == pytest.approx(length, abs=0.05)
    assert media.digest not in (digest(path), prepare(path).media.digest)
    assert media.digest == prepare(path, part=part).media.digest


@pytest.mark.parametrize("part", [Part(0.0, 2.0), Part(0.0, 7.0), Part(-0.0), Part(1e-9)], ids=str)
def test_part_that_is_the_whole_is_the_whole(tmp_path: Path, prepare: Prepare, part: Part) -> None:
    """The file is sent unchanged, and has its own digest."""
    path = write_clip(tmp_path / "a.mp4", times=tuple(range(0, 48 * 40, 40)))
    assert prepare(path, part=part).media.data == path


def test_part_digest_ignores_what_no_one_sees() -> None:
    """A part of a microsecond more or less is the same; another file or time is not."""
    same = part_digest("0" * 64, Part(0.1 + 0.2, 1.0))
    assert same == part_digest("0" * 64, Part(0.3, 1.0))
    assert same != part_digest("1" * 64, Part(0.3, 1.0))
    assert same != part_digest("0" * 64, Part(0.3, 1.1))
    assert same != part_digest("0" * 64, Part(0.31, 1.0))


def test_part_without_a_frame_is_an_error(tmp_path: Path, prepare: Prepare) -> None:
    """Not an empty file."""
    path = write_clip(tmp_path / "a.mp4")
    with pytest.raises(InvalidInput, match=r"a\.mp4 cannot be sent: it has no frame"):
        prepare(path, part=Part(0.49, 0.001))
    assert list((tmp_path / "new").iterdir()) == []


def test_sound_alone_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    """A song with a cover picture is no video of one frame."""
    for cover in (False, True):
        path = write_clip(tmp_path / "a.mp4", videos=0, sound="aac", cover=cover)
        with pytest.raises(InvalidInput, match="no video stream"):
            prepare(path)


def test_one_pixel_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    """H.264 needs two."""
    path = write_clip(tmp_path / "a.mov", codec="qtrle", form="rgb24", size=(1, 48))
    with pytest.raises(InvalidInput, match="one pixel"):
        prepare(path)


@pytest.mark.parametrize("suffix", ["avi", "ts", "flv"])
def test_other_containers_are_not_opened(tmp_path: Path, prepare: Prepare, suffix: str) -> None:
    """What they declare is not checked. ComfyUI can decode them."""
    with pytest.raises(UnreadFormat):
        prepare(write_clip(tmp_path / f"a.{suffix}"))


def test_damaged_packet_does_not_end_the_video(tmp_path: Path, prepare: Prepare) -> None:
    """A player shows the rest, and so does the new file."""
    path = write_clip(tmp_path / "a.mp4", codec="mpeg4", moving=True, sound="aac")
    damaged = packets(path)[5]
    path.write_bytes(path.read_bytes().replace(damaged, bytes(len(damaged))))
    clip = clip_of(prepare(path).media)
    assert 10 <= len(clip.times) <= 12
    assert clip.quarters() == (0, 1, 2, 3)


def test_conversion_is_limited(tmp_path: Path, prepare: Prepare) -> None:
    """In time and in pixels, for copies, too. No half file is left."""
    for name, codec in (("a.mp4", "mpeg4"), ("a.mov", "libx264")):
        path = write_clip(tmp_path / name, codec=codec)
        with pytest.raises(InvalidInput, match="takes over 0 s"):
            prepare(path, limits=DecodeLimits(seconds=0.0))
        with pytest.raises(InvalidInput, match=r"64x48|cannot be decoded"):
            prepare(path, limits=DecodeLimits(pixels=64 * 48 - 1))
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "b.mp4"])
def test_interrupt_ends_the_conversion(tmp_path: Path, prepare: Prepare, name: str) -> None:
    """It is noticed between two packets, and removes the new file."""

    class Interrupt(Exception):
        pass

    calls = itertools.count()

    def check() -> None:
        if next(calls) == 5:
            raise Interrupt

    path = write_clip(tmp_path / name, codec="mpeg4" if name == "b.mp4" else "libx264")
    with pytest.raises(Interrupt):
        prepare(path, check=check)
    assert next(calls) == 6
    assert list((tmp_path / "new").iterdir()) == []


def test_file_that_changes_meanwhile_is_refused(tmp_path: Path, prepare: Prepare) -> None:
    """Its digest would not be that of what is sent."""
    path = write_clip(tmp_path / "a.mov")

    def check() -> None:
        path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(InvalidInput, match="changed while"):
        prepare(path, check=check)
    assert list((tmp_path / "new").iterdir()) == []


_MEASURE = """
import resource, sys
from pathlib import Path
from pika_api.media import prepare_video_file
prepare_video_file(Path(sys.argv[2]), lambda: Path(sys.argv[3]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare_video_file(Path(sys.argv[1]), lambda: Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """As tensors, the frames of the longer clip would take 800 MB more."""
    pytest.importorskip("resource")
    size = (640, 480)
    short = write_video(tmp_path / "short.mp4", codec="mpeg4", frames=60, size=size)
    long = write_video(tmp_path / "long.mp4", codec="mpeg4", frames=300, size=size)
    command = [sys.executable, "-c", _MEASURE, str(long), str(short), str(tmp_path / "new.mp4")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024  # kilobytes


def test_frames_of_another_size_are_scaled(tmp_path: Path, prepare: Prepare) -> None:
    """As players do, to the size of the first."""
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for begin, size in ((0, (64, 48)), (6, (32, 24))):
            encoder = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
            encoder.time_base = Fraction(1, 24)
            packets_ = []
            for number in range(6):
                pixels = np.full((size[1], size[0], 3), 128, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts = begin + number
                packets_ += encoder.encode(frame.reformat(format="yuv420p"))
            for packet in packets_ + encoder.encode(None):
                packet.stream, packet.time_base = stream, Fraction(1, 24)
                container.mux(packet)
    clip = clip_of(prepare(path).media)
    assert clip.size == (64, 48)
    assert len(clip.times) == 12
