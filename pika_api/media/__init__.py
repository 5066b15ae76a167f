"""Pictures and videos: encodes what is sent, and inspects what is received."""

from .completeness import is_complete
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
from .kinds import FileKind, kind_of_file
from .probe import (
    PICTURES,
    DecodeLimits,
    Inspection,
    MediaKind,
    Probe,
    check_size,
    first_frame,
    inspect_file,
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
    "FileKind",
    "Inspection",
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
    "inspect_file",
    "is_complete",
    "kind_of_file",
    "open_picture",
    "prepare_image",
    "probe_file",
    "read_image_file",
    "read_video_file",
]
