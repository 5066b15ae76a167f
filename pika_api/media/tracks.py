"""Chooses what is sent of a video file: one video track and one sound track."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .containers import Structure, check_structure
from .probe import DecodeLimits, check_size, open_video, undecodable
from .structure import NotMedia

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_Stream = TypeVar("_Stream", "VideoStream", "AudioStream")

#: Values of FFmpeg's AV_DISPOSITION_DEFAULT and AV_DISPOSITION_ATTACHED_PIC.
_DEFAULT: Final = 1
_PICTURE: Final = 1024
#: Formats of H.264 that players and gateways decode: 8 bits, a quarter of the colour.
_COMMON_FORMATS: Final = (None, "yuv420p", "yuvj420p", "gray")
#: The brand of a QuickTime file, which is also that of a file without a brand.
_QUICKTIME: Final = "qt  "
#: Sample rates of sound that can be real. From others a resampler makes gigabytes.
_SOUND_RATES: Final = range(4000, 768_001)


@dataclass(frozen=True)
class Tracks:
    """What is sent of a video file.

    Attributes:
        structure: What the file is.
        video, sound: Indices of the streams; None for no sound.
        size: Width and height of the video in pixels, as they are stored.
        seconds: Duration; 0 if it is unknown.
        copyable: Whether the video track can be sent without encoding it again.
        sound_copyable: Whether the sound can, or there is none.
        unchanged: Whether the file is MP4 with one video track that is copyable.
    """

    structure: Structure
    video: int
    sound: int | None
    size: tuple[int, int]
    seconds: float
    copyable: bool
    sound_copyable: bool
    unchanged: bool


def find_tracks(path: Path, limits: DecodeLimits) -> Tracks:
    """Choose the tracks of a file. Nothing is decoded, except what FFmpeg decodes to open it.

    Raises:
        NotMedia: It is no video, or exceeds a limit.
        OSError: The file cannot be read.
    """
    import av

    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        raise NotMedia("it is a picture")
    try:
        with open_video(path, structure, limits) as container:
            videos = [each for each in container.streams.video if not _flags(each) & _PICTURE]
            if not videos:
                kind = "a cover picture" if container.streams.video else "sound"
                raise NotMedia(f"it has {kind} but no video stream")
            video = _preferred(videos)
            check_size(video.width, video.height, limits)
            sound = _find_sound(container)
            context = video.codec_context
            # Not `pix_fmt`: without a pixel format, PyAV 17 ends the process there.
            pixels = context.format.name if context.format else ""
            copyable = context.name == "h264" and pixels in _COMMON_FORMATS
            brand = container.metadata.get("major_brand", _QUICKTIME)
            is_mp4 = "mp4" in container.format.name.split(",") and brand != _QUICKTIME
            return Tracks(
                structure,
                video.index,
                None if sound is None else sound.index,
                (video.width, video.height),
                container.duration / av.time_base if container.duration else 0.0,
                copyable,
                sound is None or sound.codec_context.name == "aac",
                is_mp4 and copyable and len(container.streams.video) == 1,
            )
    except (av.FFmpegError, MemoryError, IndexError) as error:
        raise undecodable(error) from error


def _preferred(streams: list[_Stream]) -> _Stream:
    """The stream that a player chooses: the first that is marked as default, else the first."""
    return next((each for each in streams if _flags(each) & _DEFAULT), streams[0])


def _flags(stream: VideoStream | AudioStream) -> int:
    """FFmpeg's flags of a stream. PyAV before 15 has an enumeration that is no number."""
    flags: Any = stream.disposition
    return int(getattr(flags, "value", flags))


def _find_sound(container: InputContainer) -> AudioStream | None:
    """The sound of a file. Streams that cannot be decoded are left out."""
    streams = [
        each
        for each in container.streams.audio
        if getattr(each, "codec_context", None) is not None
        and each.codec_context.sample_rate in _SOUND_RATES
        and each.codec_context.channels
    ]
    return _preferred(streams) if streams else None


@dataclass(frozen=True)
class Turn:
    """A rotation by a multiple of 90°, perhaps mirrored.

    Attributes:
        filters: Names and arguments of FFmpeg's filters.
        swaps: Whether width and height change places.
    """

    filters: tuple[tuple[str, str | None], ...] = ()
    swaps: bool = False


_UPRIGHT: Final = Turn()
#: By the signs of a display matrix (a, b, c, d): x' = a·x + c·y, y' = b·x + d·y, with y downwards
#: (ISO/IEC 14496-12, 6.2.2).
_TURNS: Final = {
    (1, 0, 0, 1): _UPRIGHT,
    (-1, 0, 0, -1): Turn((("hflip", None), ("vflip", None))),
    (-1, 0, 0, 1): Turn((("hflip", None),)),
    (1, 0, 0, -1): Turn((("vflip", None),)),
    (0, 1, -1, 0): Turn((("transpose", "clock"),), True),
    (0, -1, 1, 0): Turn((("transpose", "cclock"),), True),
    (0, 1, 1, 0): Turn((("transpose", "cclock_flip"),), True),
    (0, -1, -1, 0): Turn((("transpose", "clock_flip"),), True),
}


def find_turn(frame: VideoFrame) -> Turn:
    """How a frame must be turned, by its display matrix. A skewed one is left as it is."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return _UPRIGHT
    a, b, _u, c, d = struct.unpack_from("=5i", bytes(matrix))
    largest = max(abs(each) for each in (a, b, c, d)) or 1
    signs = round(a / largest), round(b / largest), round(c / largest), round(d / largest)
    return _TURNS.get(signs, _UPRIGHT)
