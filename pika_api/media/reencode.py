"""Encodes any video file as MP4 with H.264, upright and frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .mp4 import Mp4Writer, create_mp4, frame_colour, to_fraction, to_yuv420
from .packets import check_packet
from .probe import DecodeLimits, open_video, undecodable, use_threads
from .structure import NotMedia, RefusedMedia
from .tracks import Tracks, Turn, find_turn

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Frames per second of a stream that does not say.
_USUAL_RATE: Final = Fraction(25)
#: Unit of times of a stream that does not say, in seconds.
_USUAL_UNIT: Final = Fraction(1, 90_000)
#: Bytes of sound that may stand in front of the first frame.
_EARLY_SOUND: Final = 64 * 1024 * 1024


def nothing() -> None:
    """Called for each packet if the caller has nothing to check."""


@dataclass(frozen=True)
class Part:
    """A part of a video, in seconds. A duration of 0 reaches to the end."""

    start: float = 0.0
    duration: float = 0.0


WHOLE: Final = Part()


def reencode(
    source: Path,
    target: Path,
    tracks: Tracks,
    limits: DecodeLimits,
    *,
    part: Part = WHOLE,
    check: Callable[[], None] = nothing,
) -> int:
    """Encode a video file, or a part of it, as MP4. Returns the number of frames.

    The frames are turned upright, keep their times, and lose an odd last row or column. Only the
    frames in the decoder and the encoder are in memory.

    Args:
        check: Is called for each packet. What it raises ends the work.

    Raises:
        NotMedia: It cannot be decoded, exceeds a limit, or has no frame in the part.
    """
    with convertible(), open_video(source, tracks.structure, limits) as container:
        return _Reencoder(container, tracks, limits, part, check).run(target)


@contextmanager
def convertible() -> Iterator[None]:
    """A block in which errors of PyAV mean that a file cannot be converted."""
    import av

    try:
        yield
    except (av.FFmpegError, MemoryError, IndexError, ValueError) as error:
        raise undecodable(error) from error


class _Reencoder:
    """One run of `reencode`."""

    def __init__(
        self,
        container: InputContainer,
        tracks: Tracks,
        limits: DecodeLimits,
        part: Part,
        check: Callable[[], None],
    ) -> None:
        self._container = container
        self._limits = limits
        self._check = check
        self._video: VideoStream = container.streams[tracks.video]  # type: ignore[assignment]
        self._sound: AudioStream | None = None
        if tracks.sound is not None:
            self._sound = container.streams[tracks.sound]  # type: ignore[assignment]
        self._unit = to_fraction(self._video.time_base, _USUAL_UNIT)
        self._part = part
        self._first = int(part.start / self._unit)
        #: Time of the first frame behind the part, in units of the stream.
        self._behind = int((part.start + part.duration) / self._unit) if part.duration else None
        self._ended = False
        self._origin: int | None = None
        self._frames = 0
        self._early: list[Packet[Any]] = []
        self._early_bytes = 0
        self._writer: Mp4Writer | None = None
        self._shaper = _Shaper(Turn())

    def run(self, target: Path) -> int:
        """Encode everything into a file. Returns the number of frames."""
        use_threads(self._video, self._limits)
        with create_mp4(target) as output:
            for packet in self._packets():
                if packet.stream.index != self._video.index:
                    self._take_sound(packet)
                    continue
                for frame in decoded(packet):
                    self._take_frame(output, frame)
            if self._writer is None:
                raise NotMedia("it has no frame that can be decoded")
            self._writer.finish()
        return self._frames

    def _packets(self) -> Iterator[Packet[Any]]:
        deadline = time.monotonic() + self._limits.seconds
        streams = [self._video] if self._sound is None else [self._video, self._sound]
        if self._first > 0:
            self._container.seek(self._first, stream=self._video)
        for packet in self._container.demux(*streams):
            self._check()
            if time.monotonic() > deadline:
                raise RefusedMedia(f"it takes over {self._limits.seconds:g} s to convert")
            if packet.stream.index == self._video.index:
                check_packet(self._video.codec_context.name, packet)
            yield packet
            if self._ended and (self._writer is None or self._writer.sound_ended):
                return

    def _take_frame(self, output: OutputContainer, frame: VideoFrame) -> None:
        if frame.pts is not None:
            if frame.pts < self._first:
                return
            if self._behind is not None and frame.pts >= self._behind:
                self._ended = True
        if self._ended:
            return
        if self._writer is None:
            self._start(output, frame)
        assert self._writer is not None
        assert self._origin is not None
        moment = None if frame.pts is None else frame.pts - self._origin
        self._writer.write_frame(self._shaper.apply(to_yuv420(frame)), moment)
        self._frames += 1

    def _start(self, output: OutputContainer, frame: VideoFrame) -> None:
        """Open the encoders. The first frame says what they need."""
        self._shaper = _Shaper(find_turn(frame))
        self._origin = frame.pts or 0
        aspect = to_fraction(self._video.sample_aspect_ratio)
        if aspect and self._shaper.turn.swaps:
            aspect = 1 / aspect
        self._writer = Mp4Writer(
            output,
            self._shaper.size(frame),
            to_fraction(self._video.average_rate or self._video.guessed_rate, _USUAL_RATE),
            self._unit,
            colour=frame_colour(frame, self._video.codec_context),
            aspect=aspect,
        )
        if self._sound is not None:
            context = self._sound.codec_context
            start = Fraction(self._part.start) if self._part.start else self._origin * self._unit
            end = start + Fraction(self._part.duration) if self._part.duration else None
            self._writer.add_sound(context.sample_rate, context.channels, start, end)
        early, self._early = self._early, []
        for packet in early:
            self._take_sound(packet)

    def _take_sound(self, packet: Packet[Any]) -> None:
        if self._writer is None:
            self._early.append(packet)
            self._early_bytes += packet.size
            if self._early_bytes > _EARLY_SOUND:
                raise RefusedMedia("its sound begins long before its first frame")
            return
        for frame in decoded(packet):
            self._writer.write_sound(frame)


def decoded(packet: Packet[Any]) -> list[Any]:
    """The frames of a packet; none if it is damaged, as players do it."""
    import av

    try:
        return list(packet.decode())
    except av.error.InvalidDataError:
        return []


class _Shaper:
    """Turns frames upright and cuts off an odd last row and column."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._graph: Graph | None = None
        self._graph_size = (0, 0)

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height of a frame afterwards. Raises `NotMedia` if nothing is left."""
        width, height = frame.width // 2 * 2, frame.height // 2 * 2
        if not width or not height:
            raise NotMedia("it is one pixel wide or high")
        return (height, width) if self.turn.swaps else (width, height)

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """The shaped frame; `frame` has the format yuv420p."""
        width, height = frame.width, frame.height
        if not self.turn.filters and width % 2 == height % 2 == 0:
            return frame
        if self._graph is None or self._graph_size != (width, height):
            self.size(frame)
            self._graph, self._graph_size = self._build(frame), (width, height)
        self._graph.push(frame)
        shaped: VideoFrame = self._graph.pull()  # type: ignore[assignment]
        return shaped

    def _build(self, frame: VideoFrame) -> Graph:
        from av.filter import Graph

        graph = Graph()
        width, height = frame.width, frame.height
        last = graph.add_buffer(
            width=width,
            height=height,
            format=frame.format,
            time_base=to_fraction(frame.time_base, _USUAL_UNIT),
        )
        even = f"{width // 2 * 2}:{height // 2 * 2}:0:0"
        for name, argument in (("crop", even), *self.turn.filters, ("buffersink", None)):
            step = graph.add(name, argument)
            last.link_to(step)
            last = step
        graph.configure()
        return graph
