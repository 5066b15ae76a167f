"""From a checked request to files: an H.264 MP4 or a PNG, with poster and thumbnail."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from .camera import view
from .effects import EFFECTS, stage_for
from .picture import Frame, caption, cover, frame_size, landscape, open_picture
from .strict import Ask


class Cancelled(Exception):
    """The simulator closes: nobody waits for this file any more."""


@dataclass(frozen=True)
class Rendering:
    """Finished files. `duration` is in seconds, 0 for a still picture."""

    main: Path
    poster: Path
    thumbnail: Path
    duration: float


def render(
    ask: Ask, stem: Path, *, shorter: int, seconds: float, stopped: Callable[[], bool]
) -> Rendering:
    """Draws what was asked into files whose names begin with `stem`.

    `shorter` is the shorter side in pixels, `seconds` the length of what is new in the clip.
    Raises Cancelled soon after `stopped` says so, av.FFmpegError on an input that breaks off.
    """
    poster, thumbnail = stem.with_suffix(".jpg"), stem.with_name(f"{stem.name}_thumbnail.jpg")
    if ask.ratio is None:
        picture = _still(ask, shorter)
        main = stem.with_suffix(".png")
        picture.save(main, compress_level=1)
        _posters(picture, poster, thumbnail)
        return Rendering(main, poster, thumbnail, 0)
    width, height = frame_size(ask.ratio, shorter)
    main = stem.with_suffix(".mp4")
    new = max(1, round(seconds * ask.rate))
    words = caption(ask.prompt, width, height)
    frames = (words.stamp(frame) for frame in _frames(ask, width, height, new))
    count, middle = _encode(frames, main, ask.rate, (width, height), new // 2, stopped)
    _posters(Image.fromarray(middle), poster, thumbnail)
    return Rendering(main, poster, thumbnail, count / ask.rate)


def _encode(
    frames: Iterator[Frame],
    file: Path,
    rate: int,
    size: tuple[int, int],
    poster: int,
    stopped: Callable[[], bool],
) -> tuple[int, Frame]:
    """Writes an H.264 MP4; returns how many frames it has, and the one numbered `poster`."""
    count, kept = 0, None
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        # One encoder thread: several clips render at once, and a desk has other work too.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "23"}
        for frame in frames:
            if stopped():
                raise Cancelled
            if kept is None or count == poster:
                kept = frame
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = count, Fraction(1, rate)
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode(None))
    if kept is None:
        raise ValueError("a clip needs at least one frame")
    return count, kept


def _posters(picture: Image.Image, poster: Path, thumbnail: Path) -> None:
    picture.save(poster, quality=85)
    small = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
    small.save(thumbnail, quality=80)


def _still(ask: Ask, shorter: int) -> Image.Image:
    """A request without aspectRatio: the input's own shape, square without an input."""
    source = None
    if ask.image is not None and ask.image.data is not None:
        source = open_picture(ask.image.data)
    elif ask.video is not None and ask.video.data is not None:
        source = next(_pictures(ask.video.data, ask.rate))
    ratio = min(2.5, max(0.4, source.width / source.height)) if source is not None else 1.0
    width, height = frame_size(ratio, shorter)
    base = cover(source, width, height) if source is not None else None
    base = base or landscape(ask.prompt, width, height)
    frame = np.asarray(base)
    if ask.pikaffect is not None:
        frame = EFFECTS[ask.pikaffect](frame, stage_for(frame), 0.5)
    return Image.fromarray(caption(ask.prompt, width, height).stamp(frame))


def _frames(ask: Ask, width: int, height: int, new: int) -> Iterator[Frame]:
    """The clip without its words: the original first when it is extended, then `new` frames."""
    sources = _sources(ask, width, height)
    source = next(sources)
    if ask.extend:
        yield np.asarray(source)
        for source in sources:
            yield np.asarray(source)
    stage = None
    for number in range(new):
        t = number / max(1, new - 1)
        frame = view(source, ask.camera, ask.motion, t)
        stage = stage or stage_for(frame)
        if ask.pikaffect is not None:
            frame = EFFECTS[ask.pikaffect](frame, stage, t)
        yield frame
        source = next(sources, source)


def _sources(ask: Ask, width: int, height: int) -> Iterator[Image.Image]:
    """Pictures to film, at the clip's size and rate; at least one, the last one stays."""
    if ask.video is not None and ask.video.data is not None:
        for picture in _pictures(ask.video.data, ask.rate):
            yield cover(picture, width, height)
    elif ask.image is not None and ask.image.data is not None:
        yield cover(open_picture(ask.image.data), width, height)
    else:
        # A URL that nobody fetches still makes its own picture.
        medium = ask.image or ask.video
        yield landscape(ask.prompt + (medium.fingerprint if medium else ""), width, height)


def _pictures(data: bytes, rate: int) -> Iterator[Image.Image]:
    """A video's frames, repeated or skipped so that `rate` of them make a second."""
    with av.open(io.BytesIO(data), mode="r") as container:
        sent = 0
        start: float | None = None
        for frame in container.decode(video=0):
            time = float(frame.time or 0)
            start = time if start is None else start
            length = float((frame.duration or 0) * (frame.time_base or 0))
            # Half a frame early is on time: 24 of 25 must not depend on rounding.
            due = round((time - start + length) * rate) if length else sent + 1
            if due > sent:
                picture = frame.to_image()
            while sent < due:
                yield picture
                sent += 1
