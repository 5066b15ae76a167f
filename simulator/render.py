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

import av
import numpy as np
from PIL import Image, ImageDraw, ImageOps

from .camera import Still, View, view_at
from .picture import cover, frame_size, is_labelled, labels, oklch, open_picture
from .scene import Scene
from .strict import ASPECT_RATIO, PIKAFFECTS, GenerateRequest

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
    new = 1 if request.ratio is None else max(1, round(seconds * request.rate))
    frames = _frames(request, take, shorter, new)
    poster, thumbnail = stem.with_suffix(".jpg"), stem.with_name(f"{stem.name}_thumbnail.jpg")
    if request.ratio is None:
        main, duration = stem.with_suffix(".png"), 0.0
        picture = next(frames)
        picture.save(main, compress_level=1)
    else:
        main = stem.with_suffix(".mp4")
        count, picture = _encode(frames, main, request.rate, new // 2, stopped)
        duration = count / request.rate
    picture.save(poster, quality=85)
    picture.reduce(2).save(thumbnail, quality=80)
    return Rendering(main, poster, thumbnail, duration)


def _encode(
    frames: Iterator[Image.Image],
    file: Path,
    rate: int,
    poster: int,
    stopped: Callable[[], bool],
) -> tuple[int, Image.Image]:
    """Writes an H.264 MP4; returns its number of frames, and the frame with the index `poster`."""
    count, middle = 0, None
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        # One encoder thread, because several clips are rendered at once.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "qp": "23"}
        for picture in frames:
            if stopped():
                raise Cancelled
            if middle is None:
                stream.width, stream.height = picture.size
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


def _frames(request: GenerateRequest, take: int, shorter: int, new: int) -> Iterator[Image.Image]:
    """The original first if it is extended, then `new` frames; all with labels."""
    inputs = _inputs(request)
    first = next(inputs, None)
    low, high = ASPECT_RATIO
    # Without an aspect ratio a picture has the shape of its input, or is square.
    own = min(high, max(low, first.width / first.height)) if first else 1
    size = frame_size(request.ratio or own, shorter)
    variation = f"take {take}" if request.seed is None else f"seed {request.seed}"
    effect = _Effect(request.pikaffect) if request.pikaffect else None
    name = (effect.name, effect.colour) if effect else None
    details = _details(request, variation)
    over = first is not None and is_labelled(first)
    layer = labels(size, request.prompt, details, name, cover=over)

    def finish(picture: Image.Image) -> Image.Image:
        picture = picture.copy()
        picture.paste(layer, (0, 0), layer)
        return picture

    if first is None:
        # A URL that is not fetched gets its own arrangement.
        urls = [medium.url for medium in (request.image, request.video) if medium]
        source: Scene | Still = Scene(request.prompt, f"{variation} {urls}", size)
    else:
        source = Still(cover(first, size))
    if request.extend:
        yield finish(source.frame(0, 0, View()))
        for picture in inputs:
            source = Still(cover(picture, size))
            yield finish(source.picture)
    for number in range(new):
        if request.ratio is None:
            # The effect is half done.
            t, view = 0.5, View()
        else:
            t = number / max(1, new - 1)
            view = view_at(t, request.camera, request.motion, size)
        picture = source.frame(t, request.motion, view)
        yield finish(effect.apply(picture, t) if effect else picture)
        if (following := next(inputs, None)) is not None:
            source = Still(cover(following, size))


def _inputs(request: GenerateRequest) -> Iterator[Image.Image]:
    """The frames of the video, or the image; nothing without an input that can be read."""
    if request.video is not None and request.video.data is not None:
        yield from _video_frames(request.video.data, request.rate)
    elif request.image is not None and request.image.data is not None:
        yield open_picture(request.image.data)


def _details(request: GenerateRequest, variation: str) -> str:
    given = "video" if request.video else "image" if request.image else "text"
    result = "image" if request.ratio is None else "video"
    moves = ", ".join(f"{move} {way}" for move, way in request.camera.items())
    kind = "extended video" if request.extend else f"{given} to {result}"
    camera = f"camera {moves}" if moves else ""
    return " · ".join(filter(None, [kind, camera, f"motion {request.motion}", variation]))


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
        # Drawn twice as large, because Pillow's own edges are not smooth.
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
