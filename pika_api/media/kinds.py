"""What a file seems to be, by its first bytes. For its name and for errors: nothing is decoded."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Final, NamedTuple

#: Bytes that are enough to recognise every kind. Three packets of a transport stream have 564.
HEAD_BYTES: Final = 576
#: Control characters that no text contains.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
#: Types of the first box of an MP4 or QuickTime file.
FIRST_BOXES: Final = frozenset(
    b"ftyp|styp|moov|mdat|wide|free|skip|pnot|junk|pict|uuid".split(b"|")
)
EBML: Final = b"\x1a\x45\xdf\xa3"
#: Sizes of the header behind the first 14 bytes of a BMP file, in its versions.
BMP_HEADERS: Final = frozenset({12, 40, 52, 56, 64, 108, 124})
TIFF_HEADS: Final = (b"II*\0", b"MM\0*")


class FileKind(NamedTuple):
    """The kind of a file.

    Attributes:
        suffix: For its name, such as ``.mp4``. ``.bin`` for an unknown kind.
        name: For an error: "it is …".
        video: Whether it is a video in a container that the pack does not open.
        text: Whether it is a page or another text, and therefore not the file that was asked for.
    """

    suffix: str
    name: str
    video: bool = False
    text: bool = False


EMPTY: Final = FileKind(".bin", "empty", text=True)
_TEXT: Final = FileKind(".txt", "a text", text=True)
_UNKNOWN: Final = FileKind(".bin", "of an unknown kind")
_MP4: Final = FileKind(".mp4", "MP4 or QuickTime")
_AVI: Final = FileKind(".avi", "AVI", video=True)
_TS: Final = FileKind(".ts", "an MPEG transport stream", video=True)
_BMP: Final = FileKind(".bmp", "BMP")
#: Beginnings of files.
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n", FileKind(".png", "PNG")),
    (b"\xff\xd8\xff", FileKind(".jpg", "JPEG")),
    (b"GIF8", FileKind(".gif", "GIF")),
    (EBML, FileKind(".webm", "Matroska or WebM")),
    (TIFF_HEADS[0], FileKind(".tiff", "TIFF")),
    (TIFF_HEADS[1], FileKind(".tiff", "TIFF")),
    (b"FLV\x01", FileKind(".flv", "FLV", video=True)),
    (b"OggS", FileKind(".ogg", "Ogg", video=True)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", FileKind(".wmv", "ASF or WMV", video=True)),
    (b"\x00\x00\x01\xba", FileKind(".mpg", "MPEG program stream", video=True)),
    (b"\x00\x00\x01\xb3", FileKind(".mpg", "MPEG video", video=True)),
    (b"\x1f\x8b\x08", FileKind(".gz", "compressed with gzip")),
)
#: The second name in a file that begins with RIFF.
_RIFF: Final = {b"AVI ": _AVI, b"WEBP": FileKind(".webp", "WebP")}


def kind_of_file(path: Path) -> FileKind:
    """The kind of a file. Raises `OSError` if it cannot be read."""
    with path.open("rb") as file:
        return kind_of(file.read(HEAD_BYTES))


def kind_of(head: bytes) -> FileKind:
    """The kind of a file with this beginning, of `HEAD_BYTES` or the whole file."""
    if not head:
        return EMPTY
    if _is_text(head):
        return _TEXT
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], _UNKNOWN)
    if head[4:8] in FIRST_BOXES:
        return _MP4
    if is_bmp(head):
        return _BMP
    kind = next((kind for start, kind in _BEGINNINGS if head.startswith(start)), _UNKNOWN)
    if kind.suffix == ".gz" and _is_text(_unpacked(head)):
        return _TEXT  # a page that was compressed although nobody asked for it
    return _TS if kind is _UNKNOWN and _is_transport_stream(head) else kind


def is_bmp(head: bytes) -> bool:
    """Whether a file with this beginning is BMP. Two letters alone could begin a text."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, or of 192 with a time stamp before each."""
    return any(head[start::size][:3] == b"\x47" * 3 for start, size in ((0, 188), (4, 192)))


def _is_text(head: bytes) -> bool:
    """Whether there are only printable characters, in whatever encoding."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
        return bool(text) and not _CONTROL.search(text.encode("utf-8")) and "\ufffd" not in text
    return bool(head) and not _CONTROL.search(head)


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""
