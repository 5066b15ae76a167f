"""Copies the tracks of a video file into an MP4 file, without decoding the video."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from .mp4 import SoundWriter, create_mp4
from .probe import DecodeLimits, open_video
from .reencode import convertible, decoded, nothing
from .structure import NotMedia, RefusedMedia
from .tracks import Tracks, Turn, find_tracks, find_turn

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.stream import Stream
    from av.video.stream import VideoStream


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
    frames = 0
    deadline = time.monotonic() + limits.seconds
    with open_video(source, tracks.structure, limits) as container, create_mp4(target) as output:
        video: VideoStream = container.streams[tracks.video]
        outputs: dict[int, Stream] = {video.index: output.add_stream_from_template(video)}
        streams: list[VideoStream | AudioStream] = [video]
        writer: SoundWriter | None = None
        if tracks.sound is not None:
            sound: AudioStream = container.streams[tracks.sound]
            streams.append(sound)
            if tracks.sound_copyable:
                outputs[sound.index] = output.add_stream_from_template(sound)
            else:
                context = sound.codec_context
                writer = SoundWriter(
                    output, context.sample_rate, context.channels, Fraction(0), None
                )
        for packet in container.demux(*streams):
            check()
            if time.monotonic() > deadline:
                raise RefusedMedia(f"it takes over {limits.seconds:g} s to convert")
            if packet.stream.index in outputs:
                if packet.dts is not None:  # the last one is empty
                    frames += packet.stream.index == video.index
                    packet.stream = outputs[packet.stream.index]
                    output.mux(packet)
            elif writer is not None:
                for frame in decoded(packet):
                    writer.write(frame)
        if writer is not None:
            writer.finish()
    return frames


def first_turn(path: Path, tracks: Tracks, limits: DecodeLimits) -> Turn:
    """How the first frame of a video must be turned. Raises `NotMedia` if it has none."""
    with convertible(), open_video(path, tracks.structure, limits) as container:
        for packet in container.demux(container.streams[tracks.video]):
            for frame in decoded(packet):
                return find_turn(frame)
    raise NotMedia("it has no frame that can be decoded")
