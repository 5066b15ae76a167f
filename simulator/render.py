"""From a checked request to files: an H.264 MP4 or a PNG, with a poster and a thumbnail.

A clip shows its input, or else a scene of its prompt, as the camera moves. An effect is a circle in
a colour of its own that grows from the middle. Every frame is labelled.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from PIL import Image, ImageDraw, ImageOps

from .picture import Labels, cover, frame_size, oklch, open_picture
from .scene import Scene, Still, View
from .strict import ASPECT_RATIO, PIKAFFECTS, GenerateRequest

Source: TypeAlias = Scene | Still

# From the first to the last frame: a factor, a share of the frame, and radians to either side.
_ZOOM = 1.35
_SHIFT = 0.14
_ANGLE = math.radians(7)
_RAMP = Image.linear_gradient("L").crop((0, 0, 1, 256))


class Cancelled(Exception):
    """The simulator is closing: the file is no longer needed."""


@dataclass(frozen=True)
class Rendering:
    """Finished files. `duration` is in seconds, 0 for a still picture."""

    main: Path
    poster: Path
    thumbnail: Path
    duration: float


def render(
    request: GenerateRequest,
    take: int,
    stem: Path,
    *,
    shorter: int,
    seconds: float,
    stopped: Callable[[], bool],
) -> Rendering:
    """Renders a request into files whose names begin with `stem`.

    `take` counts the requests with this body, from 1. `shorter` is the shorter side in pixels,
    `seconds` the length of what is new in the clip. Raises Cancelled soon after `stopped` returns
    true, av.FFmpegError on an input that breaks off.
    """
    clip = _Clip(request, take, shorter)
    poster, thumbnail = stem.with_suffix(".jpg"), stem.with_name(f"{stem.name}_thumbnail.jpg")
    if request.ratio is None:
        main, duration = stem.with_suffix(".png"), 0.0
        middle = clip.still()
        middle.save(main, compress_level=1)
    else:
        main, new = stem.with_suffix(".mp4"), max(1, round(seconds * request.rate))
        count, middle = _encode(clip.frames(new), main, request.rate, clip.size, new // 2, stopped)
        duration = count / request.rate
    middle.save(poster, quality=85)
    middle.reduce(2).save(thumbnail, quality=80)
    return Rendering(main, poster, thumbnail, duration)


def _encode(
    frames: Iterator[Image.Image],
    file: Path,
    rate: int,
    size: tuple[int, int],
    poster: int,
    stopped: Callable[[], bool],
) -> tuple[int, Image.Image]:
    """Writes an H.264 MP4; returns its number of frames, and the frame with the index `poster`."""
    count, middle = 0, None
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        # One encoder thread, because several clips are rendered at once.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "qp": "23"}
        for picture in frames:
            if stopped():
                raise Cancelled
            if middle is None or count == poster:
                middle = picture
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = count, Fraction(1, rate)
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    if middle is None:
        raise ValueError("a clip needs at least one frame")
    return count, middle


class _Clip:
    """The labelled frames of one request."""

    def __init__(self, request: GenerateRequest, take: int, shorter: int) -> None:
        self._request = request
        self._variation = f"take {take}" if request.seed is None else f"seed {request.seed}"
        self.size = frame_size(request.ratio or self._own_ratio(), shorter)
        self._effect = _Effect(request.pikaffect) if request.pikaffect else None
        pill = (self._effect.name, self._effect.colour) if self._effect else None
        self._labels = Labels(self.size, request.prompt, self._details(), pill)

    def still(self) -> Image.Image:
        """The picture for a request without an aspect ratio."""
        return self._frame(next(self._sources()), 0.5)

    def frames(self, new: int) -> Iterator[Image.Image]:
        """The original first if it is extended, then `new` frames."""
        sources = self._sources()
        source = next(sources)
        if self._request.extend:
            yield self._labels.stamp(source.frame(0, 0, View()))
            for source in sources:
                yield self._labels.stamp(source.frame(0, 0, View()))
        for number in range(new):
            yield self._frame(source, number / max(1, new - 1))
            source = next(sources, source)

    def _frame(self, source: Source, t: float) -> Image.Image:
        view = _view(self._request, t, self.size[0] / self.size[1])
        picture = source.frame(t, self._request.motion, view)
        if self._effect is not None:
            picture = self._effect.apply(picture, t)
        return self._labels.stamp(picture)

    def _details(self) -> str:
        request = self._request
        given = "video" if request.video else "image" if request.image else "text"
        result = "image" if request.ratio is None else "video"
        moves = ", ".join(f"{move} {way}" for move, way in request.camera.items())
        return " · ".join(
            [
                "extended video" if request.extend else f"{given} to {result}",
                *([f"camera {moves}"] if moves else []),
                f"motion {request.motion}",
                self._variation,
            ]
        )

    def _own_ratio(self) -> float:
        """Width / height of the input, within the limits of aspectRatio; 1 without an input."""
        picture = next(self._inputs(), None)
        low, high = ASPECT_RATIO
        return min(high, max(low, picture.width / picture.height)) if picture else 1

    def _inputs(self) -> Iterator[Image.Image]:
        """The frames of the video or the image; none without an input that can be read."""
        request = self._request
        if request.video is not None and request.video.data is not None:
            yield from _video_frames(request.video.data, request.rate)
        elif request.image is not None and request.image.data is not None:
            yield open_picture(request.image.data)

    def _sources(self) -> Iterator[Source]:
        """What to film in each frame; at least one, and the last one stays."""
        empty = True
        for picture in self._inputs():
            empty = False
            yield Still(cover(picture, self.size))
        if empty:
            # A URL that is not fetched makes its own arrangement.
            urls = [medium.url for medium in (self._request.image, self._request.video) if medium]
            yield Scene(self._request.prompt, f"{self._variation} {urls}", self.size)


def _view(request: GenerateRequest, t: float, ratio: float) -> View:
    """Where the camera is at a time from 0 to 1, so that no edge of a picture is seen.

    Motion adds a slow sway; with 0 and no camera the view stays the same.
    """
    camera = request.camera
    glide = t * t * (3 - 2 * t)
    sway = 0.012 * request.motion
    x = sway * math.sin(2 * math.pi * t)
    y = 0.6 * sway * math.sin(4 * math.pi * t)
    # The view moves right, so what is seen moves left.
    x += _SHIFT * (glide - 0.5) * {"right": 1, "left": -1}.get(camera.get("pan", ""), 0)
    y += _SHIFT * (glide - 0.5) * {"down": 1, "up": -1}.get(camera.get("tilt", ""), 0)
    angle = _ANGLE * (2 * glide - 1) * {"cw": 1, "ccw": -1}.get(camera.get("rotate", ""), 0)
    # The picture must be this much larger than the frame for its edges to stay outside.
    scale = 1.0
    if angle or "rotate" in camera:
        scale = math.cos(_ANGLE) + math.sin(_ANGLE) * max(ratio, 1 / ratio)
    across = sway + (_SHIFT / 2 if "pan" in camera else 0)
    down = 0.6 * sway + (_SHIFT / 2 if "tilt" in camera else 0)
    scale /= 1 - 2 * max(across, down)
    scale *= 1 + (_ZOOM - 1) * {"in": glide, "out": 1 - glide}.get(camera.get("zoom", ""), 0.0)
    return View(x, y, angle, scale)


class _Effect:
    """A disc in the effect's colour that grows from the middle until it fills the frame."""

    def __init__(self, name: str) -> None:
        self.name = name
        # 7 and 16 have no common factor, so each effect has its own hue.
        hue = 150 + 260 * (7 * PIKAFFECTS.index(name) % len(PIKAFFECTS)) / len(PIKAFFECTS)
        self.colour = oklch(0.6, 0.18, hue)
        self._light = oklch(0.96, 0.05, hue)
        scale = ImageOps.colorize(_RAMP, oklch(0.15, 0.06, hue), self._light, self.colour)
        self._table = [value for band in scale.split() for value in band.tobytes()]

    def apply(self, picture: Image.Image, t: float) -> Image.Image:
        """The picture at a time from 0 to 1."""
        tinted = picture.convert("L").convert("RGB").point(self._table)
        # Drawn twice as large: Pillow's own edges are not smooth.
        x, y = picture.size
        radius = math.hypot(x, y) * 1.05 * t * t * (3 - 2 * t)
        box = (x - radius, y - radius, x + radius, y + radius)
        disc, rim = Image.new("L", (2 * x, 2 * y)), Image.new("L", (2 * x, 2 * y))
        ImageDraw.Draw(disc).ellipse(box, fill=255)
        ImageDraw.Draw(rim).ellipse(box, outline=230, width=max(2, min(x, y) // 50))
        picture = Image.composite(tinted, picture, disc.reduce(2))
        picture.paste(self._light, (0, 0), rim.reduce(2))
        return picture


def _video_frames(data: bytes, rate: int) -> Iterator[Image.Image]:
    """A video's frames, repeated or skipped so that there are `rate` of them in a second."""
    with av.open(io.BytesIO(data), mode="r") as container:
        count = 0
        start: float | None = None
        for frame in container.decode(video=0):
            time = float(frame.time or 0)
            start = time if start is None else start
            length = float((frame.duration or 0) * (frame.time_base or 0))
            # Rounded to the nearest frame, so that 24 of 25 do not depend on rounding errors.
            due = round((time - start + length) * rate) if length else count + 1
            if due > count:
                picture = frame.to_image()
            while count < due:
                yield picture
                count += 1
