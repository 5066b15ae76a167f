"""Pictures and videos: encode what is sent, inspect what is received."""

from .images import AS_IS, AUTO, FITS, FORMATS, encode_image, read_image_file
from .probe import PICTURES, NotMedia, Probe, check_size, first_frame, probe_file
from .types import Media
from .video import read_video_file

__all__ = [
    "AS_IS",
    "AUTO",
    "FITS",
    "FORMATS",
    "PICTURES",
    "Media",
    "NotMedia",
    "Probe",
    "check_size",
    "encode_image",
    "first_frame",
    "probe_file",
    "read_image_file",
    "read_video_file",
]
