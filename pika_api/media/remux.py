"""Copies the tracks of a video file into an MP4 file, without decoding the video."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .mp4 import SoundWriter, create_mp4
from .probe import DecodeLimits, open_video
from .reencode import convertible, decoded, nothing
from .structure import NotMedia, RefusedMedia
from .tracks import Tracks, Turn, find_tracks, find_turn

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

#: Most packets whose frames are shown in another order than they are stored: H.264 allows 16.
_REORDERED: Final = 32


def remux(
    source: Path,
    target: Path,
    tracks: Tracks,
    limits: DecodeLimits,
    check: Callable[[], None] = nothing,
) -> int:
    """Copy the chosen tracks. Sound that is not AAC is encoded again. Returns the number of frames.

    Args:
        check: Is called for each packet. What it raises ends the work.

    Raises:
        NotMedia: It cannot be copied, or the copy would be shown in another direction.
    """
    with convertible():
        frames = _copy(source, target, tracks, limits, check)
    try:
        copied = find_tracks(target, limits)
        same = first_turn(target, copied, limits) == first_turn(source, tracks, limits)
        if not copied.unchanged or not same:
            raise NotMedia("it is not the same as MP4")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return frames


def _copy(
    source: Path, target: Path, tracks: Tracks, limits: DecodeLimits, check: Callable[[], None]
) -> int:
    deadline = time.monotonic() + limits.seconds
    with open_video(source, tracks.structure, limits) as container, create_mp4(target) as output:
        video: VideoStream = container.streams[tracks.video]
        streams: list[VideoStream | AudioStream] = [video]
        copied = _Copy(output, video)
        copies = {video.index: copied}
        writer: SoundWriter | None = None
        if tracks.sound is not None:
            sound: AudioStream = container.streams[tracks.sound]
            streams.append(sound)
            if tracks.sound_copyable:
                copies[sound.index] = _Copy(output, sound)
            else:
                context = sound.codec_context
                rate, channels = context.sample_rate, context.channels
                writer = SoundWriter(output, rate, channels, Fraction(0), None)
        for packet in container.demux(*streams):
            check()
            if time.monotonic() > deadline:
                raise RefusedMedia(f"it takes over {limits.seconds:g} s to convert")
            if packet.stream.index in copies:
                copies[packet.stream.index].write(packet)
            elif writer is not None:
                for frame in decoded(packet):
                    writer.write(frame)
        if writer is not None:
            writer.finish()
    return copied.count


class _Copy:
    """A stream of the new file.

    Attributes:
        count: Number of packets that were written.
    """

    def __init__(self, output: OutputContainer, original: VideoStream | AudioStream) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(original, opaque=True)
        self._waiting: list[Packet[Any]] = []
        self._begun = False
        self.count = 0

    def write(self, packet: Packet[Any]) -> None:
        """Write a packet. Matroska has no decoding times; FFmpeg knows them after some packets."""
        if not packet.size:
            return  # the last one
        if packet.dts is None and not self._begun:
            self._waiting.append(packet)
            if len(self._waiting) > _REORDERED:
                raise NotMedia("its frames have no times")
            return
        step = max(packet.duration or 0, 1)
        while self._waiting and packet.dts is not None:
            early = self._waiting.pop(0)
            early.dts = packet.dts - step * (len(self._waiting) + 1)
            self._mux(early)
        self._begun = True
        self._mux(packet)

    def _mux(self, packet: Packet[Any]) -> None:
        packet.stream = self._stream
        self._output.mux(packet)
        self.count += 1


def first_turn(path: Path, tracks: Tracks, limits: DecodeLimits) -> Turn:
    """How the first frame of a video must be turned. Raises `NotMedia` if it has none."""
    with convertible(), open_video(path, tracks.structure, limits) as container:
        for packet in container.demux(container.streams[tracks.video]):
            for frame in decoded(packet):
                return find_turn(frame)
    raise NotMedia("it has no frame that can be decoded")
