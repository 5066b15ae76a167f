"""What the structure of a media file may declare, and the errors about it.

A file of a kilobyte can declare 60 million samples. FFmpeg allocates memory for them before it
notices that they are not there, so the declarations are checked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final


class NotMedia(Exception):
    """The file is neither a picture nor a video that can be decoded. The text says why."""


class RefusedMedia(NotMedia):
    """The file may be media, and is not opened because of what it declares. It must be kept."""


class UnreadFormat(RefusedMedia):
    """A video in a container that the pack does not open. Other programs may be able to."""


@dataclass(frozen=True)
class StructureLimits:
    """Limits of what a file declares, whatever its size.

    A video of 10 hours with 60 frames per second and sound has 4 million samples.

    Attributes:
        samples: Maximum number of samples of all tracks. FFmpeg keeps an index of about 40 bytes
            for each.
        sample_bytes: Maximum size of one sample. A frame of raw 8K video has 133 MB.
        tracks: Maximum number of tracks.
        boxes: Maximum number of boxes or elements outside the media data.
        header_bytes: Maximum size of everything that is kept in memory beside the index: codec
            parameters, tags, cover pictures.
        table_bytes: Maximum size of the tables of samples.
        fragments: Maximum number of fragments times the number of tracks.
        references: Maximum number of entries in the index of fragments, and of index points.
        comparisons: Maximum number of fragments times the entries in their index, each of which
            FFmpeg compares.
        chapters: Maximum number of chapters, tags and edits. FFmpeg compares each with all others.
        depth: Maximum nesting of boxes or elements.
        picture_bytes: Maximum size of a picture file.
        picture_chunks: Maximum number of blocks in a picture file.
        picture_metadata: Maximum size of the texts and profiles of a picture.
        scans: Maximum number of passes over a progressive JPEG. Encoders make about 10.
    """

    samples: int = 6_000_000
    sample_bytes: int = 256 * 1024 * 1024
    tracks: int = 64
    boxes: int = 400_000
    header_bytes: int = 64 * 1024 * 1024
    table_bytes: int = 192 * 1024 * 1024
    fragments: int = 2_000_000
    references: int = 50_000
    comparisons: int = 1_000_000_000
    chapters: int = 10_000
    depth: int = 12
    picture_bytes: int = 256 * 1024 * 1024
    picture_chunks: int = 100_000
    picture_metadata: int = 16 * 1024 * 1024
    scans: int = 64


DEFAULT_STRUCTURE_LIMITS: Final = StructureLimits()


class Reader:
    """Reads parts of a file.

    Attributes:
        size: Size of the file, in bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, start: int, count: int) -> bytes:
        """Exactly `count` bytes from `start`. Raises `NotMedia` if the file ends before."""
        self._file.seek(start)
        data = self._file.read(count)
        if len(data) < count:
            raise NotMedia("the file ends within its structure")
        return data

    def peek(self, start: int, count: int) -> bytes:
        """At most `count` bytes from `start`."""
        self._file.seek(start)
        return self._file.read(count)
