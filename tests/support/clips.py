"""Clips as phones, recorders and editors write them, for the tests of what is sent."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

#: Colours of the four quarters of a picture: upper left, upper right, lower left, lower right.
QUARTERS = ((200, 30, 30), (30, 180, 30), (30, 30, 200), (220, 220, 220))
#: Display matrices (a, b, c, d) of ISO/IEC 14496-12, and the quarters as they are shown.
TURNS = {
    "upright": ((1, 0, 0, 1), (0, 1, 2, 3)),
    "90": ((0, 1, -1, 0), (2, 0, 3, 1)),
    "180": ((-1, 0, 0, -1), (3, 2, 1, 0)),
    "270": ((0, -1, 1, 0), (1, 3, 0, 2)),
    "mirrored": ((-1, 0, 0, 1), (1, 0, 3, 2)),
    "upside down": ((1, 0, 0, -1), (2, 3, 0, 1)),
    "transposed": ((0, 1, 1, 0), (0, 2, 1, 3)),
    "anti-transposed": ((0, -1, -1, 0), (3, 1, 2, 0)),
}
#: Options with which slow encoders are quick.
_QUICK = {
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime"},
    "libsvtav1": {"preset": "12"},
    "libaom-av1": {"cpu-used": "8"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error"},
}


def quarters(width: int, height: int) -> np.ndarray:
    """A picture of four colours, ``[H,W,3]`` bytes."""
    pixels = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left], pixels[:top, left:], pixels[top:, :left], pixels[top:, left:] = QUARTERS
    return pixels


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    form: str = "yuv420p",
    container: str | None = None,
    size: tuple[int, int] = (64, 48),
    times: Sequence[int] = tuple(range(0, 12 * 40, 40)),
    unit: Fraction = Fraction(1, 960),
    sound: str | None = None,
    rate: int = 48000,
    layout: str = "stereo",
    videos: int = 1,
    sounds: int = 1,
    cover: bool = False,
    timecode: bool = False,
    options: dict[str, str] | None = None,
    colour_range: int = 0,
    aspect: Fraction | None = None,
    moving: bool = False,
) -> Path:
    """Write a clip of `quarters`. The second of several video tracks is black.

    Args:
        times: The times of the frames, in `unit` seconds.
        sound: A codec for a tone that is as long as the video; None for no sound.
        moving: Whether each frame is a little darker than the one before.
    """
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        streams = []
        for _ in range(videos):
            stream = output.add_stream(codec, rate=24, options=_QUICK.get(codec, {}))
            stream.width, stream.height = size
            stream.pix_fmt = form
            stream.codec_context.time_base = unit
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            stream.codec_context.color_range = colour_range
            streams.append(stream)
        tracks = [
            output.add_stream(sound, rate=rate, layout=layout)
            for _ in range(sounds if sound else 0)
        ]
        attached = _add_cover(output) if cover else None
        if timecode:
            streams[0].metadata["timecode"] = "01:00:00:00"
        for number, stream in enumerate(streams):
            for shade, time in enumerate(times):
                light = 0.0 if number else 1 - shade / 100 if moving else 1.0
                pixels = (quarters(*size) * light).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)
                frame.pts, frame.time_base = time, unit
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
        seconds = float((times[-1] + times[1] - times[0]) * unit)
        for track in tracks:
            output.mux(track.encode(tone(seconds, rate, layout, track.codec_context.format.name)))
            output.mux(track.encode(None))
        if attached is not None:
            output.mux(attached)
    return path


def tone(seconds: float, rate: int, layout: str, form: str = "fltp") -> Any:
    """A frame of a tone of 440 Hz."""
    channels = len(av.AudioLayout(layout).channels)
    count = round(seconds * rate)
    wave = 0.3 * np.sin(2 * math.pi * 440 * np.arange(count) / rate)
    frame = av.AudioFrame.from_ndarray(
        np.tile(wave.astype(np.float32), (channels, 1)), format="fltp", layout=layout
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    (converted,) = av.AudioResampler(form, layout, rate).resample(frame)[:1]
    return converted


def _add_cover(output: Any) -> Any:
    """A cover picture, which FFmpeg shows as a video track of one frame."""
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 255)).save(picture, "JPEG")
    stream = output.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
    attached: Any = av.stream.Disposition.attached_pic
    stream.disposition = getattr(attached, "value", attached)
    packet = av.Packet(picture.getvalue())
    packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 90000), 0, 0
    return packet


def turn(path: Path, name: str) -> Path:
    """Set the display matrix of the first track of an MP4 or QuickTime file."""
    a, b, c, d = TURNS[name][0]
    file = bytearray(path.read_bytes())
    start = file.index(b"tkhd") + 4
    start += 4 + (32 if file[start] == 1 else 20) + 16
    one = 1 << 16
    struct.pack_into(">9i", file, start, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(file)
    return path


class Clip:
    """What a receiver decodes of a clip.

    Attributes:
        times: The times of the frames, in seconds.
        pixels: The first frame, ``[H,W,3]`` bytes, as it is stored.
        sound: Seconds of sound; 0 for none.
    """

    def __init__(self, data: bytes) -> None:
        with av.open(io.BytesIO(data)) as container:
            self.container = container.format.name
            self.brand = container.metadata.get("major_brand")
            self.kinds = [stream.type for stream in container.streams]
            stream = container.streams.video[0]
            self.codec, self.form = stream.codec_context.name, stream.codec_context.pix_fmt
            self.size = stream.width, stream.height
            frames = list(container.decode(stream))
            self.times = [float(frame.pts * frame.time_base) for frame in frames]
            # Old versions of PyAV do not take the colour space from the frame.
            rgb = frames[0].reformat(format="rgb24", src_colorspace=frames[0].colorspace)
            self.pixels = rgb.to_ndarray()
            self._frames = frames
            self.matrix = frames[0].side_data.get("DISPLAYMATRIX")
        self.sound, self.channels, self.rate, self.sound_codec = 0.0, 0, 0, None
        with av.open(io.BytesIO(data)) as container:
            if container.streams.audio:
                track = container.streams.audio[0]
                self.rate, self.channels = track.sample_rate, track.codec_context.channels
                self.sound_codec = track.codec_context.name
                samples = [frame.samples for frame in container.decode(track)]
                self.sound = sum(samples) / self.rate

    def frame(self, number: int) -> np.ndarray:
        """A frame, ``[H,W,3]`` numbers."""
        return self._frames[number].to_ndarray(format="rgb24").astype(int)

    def quarters(self) -> tuple[int, ...]:
        """Which of QUARTERS is in which quarter of the first frame."""
        height, width = self.pixels.shape[:2]
        found = []
        for y in (height // 4, height - height // 4 - 1):
            for x in (width // 4, width - width // 4 - 1):
                seen = self.pixels[y, x].astype(int)
                away = [np.abs(seen - colour).max() for colour in QUARTERS]
                assert min(away) < 20, f"no quarter has the colour {seen}"
                found.append(int(np.argmin(away)))
        return tuple(found)
