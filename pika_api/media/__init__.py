"""Pictures and videos: encodes what is sent, and inspects what is received."""

from .containers import check_structure
from .images import (
    AS_IS,
    AUTO,
    FITS,
    FORMATS,
    PreparedImage,
    encode_image,
    prepare_image,
    read_image_file,
)
from .probe import (
    PICTURES,
    DecodeLimits,
    MediaKind,
    Probe,
    check_size,
    first_frame,
    open_picture,
    probe_file,
)
from .structure import NotMedia, RefusedMedia, StructureLimits, UnreadFormat
from .types import Media
from .video import read_video_file

__all__ = [
    "AS_IS",
    "AUTO",
    "FITS",
    "FORMATS",
    "PICTURES",
    "DecodeLimits",
    "Media",
    "MediaKind",
    "NotMedia",
    "PreparedImage",
    "Probe",
    "RefusedMedia",
    "StructureLimits",
    "UnreadFormat",
    "check_size",
    "check_structure",
    "encode_image",
    "first_frame",
    "open_picture",
    "prepare_image",
    "probe_file",
    "read_image_file",
    "read_video_file",
]
