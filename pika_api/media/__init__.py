"""Pictures and videos: encodes what is sent, and inspects what is received."""

from .completeness import is_complete
from .containers import check_structure
from .frames import Frames, Sound, earlier_frames_digest, encode_frames
from .images import (
    AS_IS,
    AUTO,
    FITS,
    FORMATS,
    PreparedImage,
    encode_image,
    prepare_image,
)
from .kinds import FileKind, kind_of_file
from .pictures import read_image_file
from .probe import (
    PICTURES,
    DecodeLimits,
    Inspection,
    MediaKind,
    Probe,
    check_size,
    first_frame,
    inspect_file,
    last_frame,
    open_picture,
    probe_file,
)
from .reencode import WHOLE, Part
from .structure import NotMedia, RefusedMedia, StructureLimits, UnreadFormat
from .texts import NoPlaceForTexts, add_texts, read_text
from .types import Media
from .video import (
    PreparedVideo,
    file_digest,
    part_digest,
    prepare_video_file,
    probe_video,
    read_video_file,
)

__all__ = [
    "AS_IS",
    "AUTO",
    "FITS",
    "FORMATS",
    "PICTURES",
    "WHOLE",
    "DecodeLimits",
    "FileKind",
    "Frames",
    "Inspection",
    "Media",
    "MediaKind",
    "NoPlaceForTexts",
    "NotMedia",
    "Part",
    "PreparedImage",
    "PreparedVideo",
    "Probe",
    "RefusedMedia",
    "Sound",
    "StructureLimits",
    "UnreadFormat",
    "add_texts",
    "check_size",
    "check_structure",
    "earlier_frames_digest",
    "encode_frames",
    "encode_image",
    "file_digest",
    "first_frame",
    "inspect_file",
    "is_complete",
    "kind_of_file",
    "last_frame",
    "open_picture",
    "part_digest",
    "prepare_image",
    "prepare_video_file",
    "probe_file",
    "probe_video",
    "read_image_file",
    "read_text",
    "read_video_file",
]
