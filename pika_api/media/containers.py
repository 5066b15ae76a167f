"""The one place through which every media file passes before FFmpeg or Pillow opens it.

A gateway sends MP4 or WebM, or a picture, and only these are opened. A user's VIDEO in another
container is decoded by ComfyUI itself, which has opened it before, and then encoded as MP4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .bitmaps import check_bitmap
from .isobmff import check_isobmff
from .kinds import EBML, FIRST_BOXES, HEAD_BYTES, kind_of
from .matroska import check_matroska
from .picture_files import check_picture
from .structure import (
    DEFAULT_STRUCTURE_LIMITS,
    NotMedia,
    Reader,
    StructureLimits,
    UnreadFormat,
)

#: FFmpeg's names of the demuxers that are used.
_ISOBMFF: Final = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA: Final = "matroska,webm"


@dataclass(frozen=True)
class Structure:
    """What a file is, by its structure.

    Attributes:
        demuxer: The names of FFmpeg's demuxer for it; None for a picture. FFmpeg must not use
            another, which would read what was not checked.
        video_tracks: Number of video tracks.
    """

    demuxer: str | None
    video_tracks: int = 0


def check_structure(
    source: Path | BinaryIO, pixels: int, limits: StructureLimits = DEFAULT_STRUCTURE_LIMITS
) -> Structure:
    """Check what a media file declares. Nothing is decoded, and little is read.

    Args:
        pixels: Maximum number of pixels of a picture.

    Raises:
        NotMedia: It is not media, or declares more than it can hold or than `limits`.
        OSError: The file cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return check_structure(file, pixels, limits)
    try:
        return _check(Reader(source), pixels, limits)
    finally:
        source.seek(0)


def _check(reader: Reader, pixels: int, limits: StructureLimits) -> Structure:
    head = reader.peek(0, HEAD_BYTES)
    if not head:
        raise NotMedia("the file is empty")
    if check_picture(reader, limits, pixels) or check_bitmap(reader, limits, pixels):
        return Structure(None)
    if head.startswith(EBML):
        return Structure(_MATROSKA, check_matroska(reader, limits))
    if head[4:8] in FIRST_BOXES:
        return Structure(_ISOBMFF, check_isobmff(reader, limits))
    kind = kind_of(head)
    if kind.video:
        raise UnreadFormat(
            f"it is {kind.name}, and only MP4, QuickTime, Matroska and WebM are opened"
        )
    raise NotMedia("it begins like neither a picture nor a video")
