"""Reads a video file for a request."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import InvalidInput
from ..message import Message
from .probe import MediaKind, probe_file
from .structure import NotMedia, UnreadFormat
from .types import Media


def read_video_file(path: Path) -> Media | None:
    """The file as it is, if it is MP4 with H.264; None if it must be encoded first.

    Raises:
        InvalidInput: The file is not a video, or cannot be read. The message names the file
            without its folder.
    """
    hint = Message("Connect a VIDEO that ComfyUI's own video preview can play.")
    try:
        probe = probe_file(path)
    except UnreadFormat:
        return None  # ComfyUI decodes it, as it would without this pack
    except (NotMedia, OSError) as error:
        raise InvalidInput(
            "video", Message("{name} is not a video: {error}.", name=path.name, error=error), hint
        ) from error
    if probe.kind is not MediaKind.VIDEO:
        raise InvalidInput("video", Message("{name} is a picture.", name=path.name), hint)
    if not probe.is_mp4_h264:
        return None
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            size += len(chunk)
            digest.update(chunk)
    return Media(digest.hexdigest(), "video/mp4", probe.width, probe.height, path, size)
