"""A video file as it is sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import InvalidInput
from .probe import NotMedia, probe_file
from .types import Media


def read_video_file(path: Path) -> Media | None:
    """A video file as it is, if it is MP4 with H.264; None if it must be encoded first.

    Raises:
        InvalidInput: Not a video, or not readable.
    """
    hint = "Connect a VIDEO that plays in ComfyUI's own video preview."
    try:
        seen = probe_file(path)
    except (NotMedia, OSError) as error:
        raise InvalidInput("video", f"{path.name} is no video: {error}.", hint) from error
    if seen.kind != "video":
        raise InvalidInput("video", f"{path.name} is a picture.", hint)
    if not seen.is_mp4_h264:
        return None
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            size += len(chunk)
            digest.update(chunk)
    return Media(digest.hexdigest(), "video/mp4", seen.width, seen.height, path, size)
