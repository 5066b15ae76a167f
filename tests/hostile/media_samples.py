"""Small real files of many kinds, which all must be read."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from PIL import Image

from support.api import write_video

#: Name, and what writes the file into a folder.
VIDEOS: dict[str, Callable[[Path], Path]] = {}


def video(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    VIDEOS[make.__name__] = make
    return make


def clip(
    path: Path,
    *,
    codec: str = "libx264",
    sound: str | None = None,
    frames: int = 24,
    pixels: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    container_format: str | None = None,
    metadata: dict[str, str] | None = None,
    sound_tracks: int = 1,
    **options: str,
) -> Path:
    """Write a clip of 64x48 pixels and 24 frames per second, with or without sound."""
    with av.open(str(path), "w", format=container_format, options=options) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=24, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        tracks = [add_sound(container, sound) for _ in range(sound_tracks if sound else 0)]
        for number in range(frames):
            image = np.full((48, 64, 3), number * 8 % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
            for track in tracks:
                container.mux(track.encode(tone(track, number, 2000)))
        container.mux(stream.encode(None))
        for track in tracks:
            container.mux(track.encode(None))
    return path


def add_sound(container: Any, codec: str) -> Any:
    return container.add_stream(codec, rate=48_000, layout="mono")


def tone(track: Any, number: int, samples: int) -> AudioFrame:
    """Silence, in the format that the encoder takes."""
    form = track.codec_context.format.name
    kind = {"s16": np.int16, "s32": np.int32, "flt": np.float32}[form.removesuffix("p")]
    frame = AudioFrame.from_ndarray(np.zeros((1, samples), kind), format=form, layout="mono")
    frame.sample_rate = 48_000
    frame.pts, frame.time_base = number * samples, Fraction(1, 48_000)
    return frame


@video
def mp4(folder: Path) -> Path:
    return clip(folder / "a.mp4")


@video
def mp4_index_first(folder: Path) -> Path:
    return clip(folder / "a.mp4", movflags="faststart")


@video
def mp4_with_sound(folder: Path) -> Path:
    return clip(folder / "a.mp4", sound="aac", codec_options={"bf": "3"})


@video
def mp4_edit_list(folder: Path) -> Path:
    return write_video(folder / "a.mp4", frames=24, shift=4)


@video
def mp4_fragments(folder: Path) -> Path:
    return clip(folder / "a.mp4", sound="aac", movflags="frag_keyframe+empty_moov")


@video
def mp4_fragment_for_each_frame(folder: Path) -> Path:
    return clip(folder / "a.mp4", movflags="frag_every_frame+empty_moov+default_base_moof")


@video
def mp4_segments(folder: Path) -> Path:
    return clip(folder / "a.mp4", movflags="dash+cmaf", frag_duration="200000")


@video
def mp4_segment_index(folder: Path) -> Path:
    flags = "dash+global_sidx+frag_keyframe"
    return clip(folder / "a.mp4", movflags=flags, codec_options={"g": "6"}, container_format="mp4")


@video
def mp4_hybrid(folder: Path) -> Path:
    """Fragments and a movie, as OBS writes."""
    return clip(folder / "a.mp4", movflags="frag_keyframe", codec_options={"g": "6"})


@video
def mp4_tags(folder: Path) -> Path:
    tags = {"title": "x" * 5000, "artist": "é", "comment": "{}" * 1000, "com.apple.x": "y"}
    return clip(folder / "a.mp4", metadata=tags, movflags="use_metadata_tags")


@video
def mp4_itunes_tags(folder: Path) -> Path:
    return clip(folder / "a.mp4", metadata={"title": "x", "genre": "y", "comment": "z" * 70_000})


@video
def mp4_hevc(folder: Path) -> Path:
    return clip(folder / "a.mp4", codec="libx265", codec_options={"x265-params": "log-level=none"})


@video
def mp4_mpeg4(folder: Path) -> Path:
    return clip(folder / "a.mp4", codec="mpeg4")


@video
def mp4_vp9(folder: Path) -> Path:
    return clip(folder / "a.mp4", codec="libvpx-vp9", codec_options={"cpu-used": "8"})


@video
def mp4_time_code(folder: Path) -> Path:
    return clip(folder / "a.mp4", metadata={"timecode": "01:00:00:00"}, write_tmcd="1")


@video
def three_gp(folder: Path) -> Path:
    return clip(folder / "a.3gp", sound="aac")


@video
def mov_uncompressed_sound(folder: Path) -> Path:
    return clip(folder / "a.mov", sound="pcm_s16le", sound_tracks=4)


@video
def mov_uncompressed_sound_of_32_bits(folder: Path) -> Path:
    return clip(folder / "a.mov", sound="pcm_s32le")


@video
def mov_adpcm(folder: Path) -> Path:
    return clip(folder / "a.mov", sound="adpcm_ima_qt")


@video
def mov_alac(folder: Path) -> Path:
    return clip(folder / "a.mov", sound="alac")


@video
def mov_prores(folder: Path) -> Path:
    return clip(folder / "a.mov", codec="prores_ks", pixels="yuv422p10le")


@video
def mov_animation(folder: Path) -> Path:
    """Every frame is a key frame of PNG."""
    return clip(folder / "a.mov", codec="png", pixels="rgb24")


@video
def mov_motion_jpeg(folder: Path) -> Path:
    return clip(folder / "a.mov", codec="mjpeg", pixels="yuvj420p")


@video
def webm_vp8(folder: Path) -> Path:
    return clip(folder / "a.webm", codec="libvpx", sound="libopus")


@video
def webm_vp9(folder: Path) -> Path:
    options = {"cpu-used": "8", "g": "6"}
    return clip(folder / "a.webm", codec="libvpx-vp9", sound="libopus", codec_options=options)


@video
def webm_index_first(folder: Path) -> Path:
    return clip(folder / "a.webm", codec="libvpx", cues_to_front="1")


@video
def webm_live(folder: Path) -> Path:
    """The segment and its clusters have no known length."""
    return clip(folder / "a.webm", codec="libvpx", live="1", cluster_time_limit="200")


@video
def mkv(folder: Path) -> Path:
    return clip(folder / "a.mkv", sound="aac", metadata={"title": "x", "a": "b"})


@video
def mkv_flac(folder: Path) -> Path:
    return clip(folder / "a.mkv", codec="ffv1", sound="flac", cluster_size_limit="1000")


def picture(path: Path, form: str, **options: Any) -> Path:
    """Write a picture of noise."""
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(path, form, **options)
    return path
