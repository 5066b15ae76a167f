"""Checks a packet of a video before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .structure import RefusedMedia

if TYPE_CHECKING:
    from av.packet import Packet

#: Maximum number of frames in one packet of AV1. One is shown; encoders hide a few before it.
#: PyAV keeps all that a packet shows, and a frame of one colour has 28 bytes.
AV1_FRAMES: Final = 16
#: Types of AV1's units that begin a frame: OBU_FRAME_HEADER and OBU_FRAME.
_AV1_FRAME_UNITS: Final = (3, 6)


def check_packet(codec: str, packet: Packet[Any]) -> None:
    """Raise `RefusedMedia` if a packet contains more frames than may be decoded at once.

    Other decoders of FFmpeg return at most one frame for each packet.

    Args:
        codec: FFmpeg's name of the decoder, such as ``libdav1d``.
    """
    if "av1" not in codec or not packet.size:
        return
    frames = sum(kind in _AV1_FRAME_UNITS for kind in _av1_units(memoryview(packet)))
    if frames > AV1_FRAMES:
        raise RefusedMedia(f"one packet has {frames} frames, more than {AV1_FRAMES}")


def _av1_units(data: memoryview) -> Iterator[int]:
    """The types of the units in a packet (AV1 Bitstream & Decoding Process, section 5.3)."""
    position = 0
    while position < len(data):
        head = data[position]
        yield head >> 3 & 15
        position += 2 if head & 4 else 1
        if not head & 2:
            return  # it has no size: it is the last
        size = shift = 0
        while position < len(data) and shift < 56:
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        position += size
