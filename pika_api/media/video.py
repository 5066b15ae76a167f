"""Reads a video file for a request: unchanged if possible, else as a new MP4 file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..errors import InvalidInput
from ..message import Message
from .probe import DecodeLimits, MediaKind, Probe, probe_file
from .reencode import WHOLE, Part, nothing, reencode
from .remux import remux
from .structure import NotMedia, RefusedMedia, UnreadFormat
from .tracks import Tracks, find_tracks
from .types import Media

#: Limits for a file of the user. It may take longer than one from the network.
CONVERSION_LIMITS: Final = DecodeLimits(seconds=600.0)
_HINT: Final = Message(
    "Use a video that ComfyUI's own video preview can play, such as an MP4 file."
)


@dataclass(frozen=True)
class PreparedVideo:
    """A video that is ready to be sent.

    Attributes:
        media: The file.
        frames: Number of frames of a new file; 0 if the file is sent unchanged.
    """

    media: Media
    frames: int


def read_video_file(path: Path) -> Media | None:
    """The file as it is, if it is MP4 with H.264; None if it must be converted first.

    Raises:
        InvalidInput: The file is not a video, or cannot be read. The message names the file
            without its folder.
    """
    try:
        tracks = _find_tracks(path, CONVERSION_LIMITS)
    except UnreadFormat:
        return None
    return _unchanged(path, tracks) if tracks.unchanged else None


def prepare_video_file(
    path: Path,
    new_path: Callable[[], Path],
    *,
    part: Part = WHOLE,
    check: Callable[[], None] = nothing,
    limits: DecodeLimits = CONVERSION_LIMITS,
) -> PreparedVideo:
    """A video file as MP4 with H.264 and AAC: the file itself, or a new file.

    The digest is that of the original, whatever encodes it.

    Args:
        new_path: The path of a new file, if one is needed.
        part: What of the file is sent.
        check: Is called often. What it raises ends the work.

    Raises:
        InvalidInput: The file is not a video, or cannot be converted. The message names the file
            without its folder.
        UnreadFormat: Its container is not opened.
    """
    tracks = _find_tracks(path, limits)
    part = _within(part, tracks.seconds)
    if part == WHOLE and tracks.unchanged:
        return PreparedVideo(_unchanged(path, tracks), 0)
    before = path.stat()
    digest = part_digest(file_digest(path), part)
    target = new_path()
    try:
        frames = _convert(path, target, tracks, part, check, limits)
        size = find_tracks(target, limits).size
    except (NotMedia, OSError) as error:
        target.unlink(missing_ok=True)
        raise InvalidInput(
            "video", Message("{name} cannot be sent: {error}.", name=path.name, error=error), _HINT
        ) from error
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        target.unlink(missing_ok=True)
        raise InvalidInput(
            "video",
            Message("{name} changed while it was being read.", name=path.name),
            Message("Queue again when the file is complete."),
        )
    media = Media(digest, "video/mp4", *size, target, target.stat().st_size)
    return PreparedVideo(media, frames)


def _convert(
    path: Path,
    target: Path,
    tracks: Tracks,
    part: Part,
    check: Callable[[], None],
    limits: DecodeLimits,
) -> int:
    """Write the new file. Returns the number of its frames."""
    if part == WHOLE and tracks.copyable:
        try:
            return remux(path, target, tracks, limits, check)
        except RefusedMedia:
            raise
        except NotMedia:
            pass  # its packets do not fit into MP4; its frames always do
    return reencode(path, target, tracks, limits, part=part, check=check)


def probe_video(path: Path) -> Probe:
    """What a video file is. Raises as `prepare_video_file`."""
    try:
        probe = probe_file(path)
    except UnreadFormat:
        raise
    except (NotMedia, OSError) as error:
        raise _not_a_video(path, error) from error
    if probe.kind is not MediaKind.VIDEO:
        raise InvalidInput("video", Message("{name} is a picture.", name=path.name), _HINT)
    return probe


def _find_tracks(path: Path, limits: DecodeLimits) -> Tracks:
    try:
        return find_tracks(path, limits)
    except UnreadFormat:
        raise
    except (NotMedia, OSError) as error:
        raise _not_a_video(path, error) from error


def _not_a_video(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(
        "video", Message("{name} is not a video: {error}.", name=path.name, error=error), _HINT
    )


def _unchanged(path: Path, tracks: Tracks) -> Media:
    return Media(file_digest(path), "video/mp4", *tracks.size, path, path.stat().st_size)


def _within(part: Part, seconds: float) -> Part:
    """A part without what makes no difference: microseconds, and an end behind that of the file."""
    start, duration = max(round(part.start, 6), 0.0), max(round(part.duration, 6), 0.0)
    if seconds and start + duration >= seconds:
        duration = 0.0
    return replace(part, start=start, duration=duration)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()


def part_digest(digest: str, part: Part) -> str:
    """The digest of a part of a file with this digest."""
    if part == WHOLE:
        return digest
    text = f"part {part.start:.6f} {part.duration:.6f}\0{digest}"
    return hashlib.sha256(text.encode()).hexdigest()
