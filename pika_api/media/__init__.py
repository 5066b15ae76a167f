"""Pictures and videos: encodes what is sent, and inspects what is received."""

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
    NotMedia,
    Probe,
    check_size,
    first_frame,
    probe_file,
)
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
    "check_size",
    "encode_image",
    "first_frame",
    "prepare_image",
    "probe_file",
    "read_image_file",
    "read_video_file",
]
