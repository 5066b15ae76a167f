"""Inspects media files that were received, with limits on what is decoded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from .containers import Structure, check_structure
from .packets import check_packet
from .structure import DEFAULT_STRUCTURE_LIMITS, NotMedia, RefusedMedia, StructureLimits

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

#: Frames of the maximum size that threads may decode at the same time. Beside them, a decoder keeps
#: up to 17 frames to refer to.
_FRAMES_AT_ONCE: Final = 4
#: FFmpeg's own limit of threads.
_MAX_THREADS: Final = 16
#: Formats of a picture file, by Pillow's names.
PICTURES: Final = ("PNG", "JPEG", "GIF", "WEBP")


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of what is decoded.

    Attributes:
        pixels: Maximum number of pixels of a picture or a frame. 8K has 33 million.
        seconds: Maximum time to decode a clip. A small file can contain years of one colour.
        open_seconds: Maximum time until FFmpeg has read the header and the first packets.
        structure: Limits of what the file declares.
    """

    pixels: int = 50_000_000
    seconds: float = 120.0
    open_seconds: float = 30.0
    structure: StructureLimits = DEFAULT_STRUCTURE_LIMITS


DEFAULT_DECODE_LIMITS: Final = DecodeLimits()


class MediaKind(str, Enum):
    """What a media file contains."""

    VIDEO = "video"
    IMAGE = "image"


@dataclass(frozen=True)
class Probe:
    """What a media file is, as read from the file itself.

    Attributes:
        kind: Whether it is a video or a picture.
        container: The demuxer's names, such as ``mov,mp4,m4a,3gp,3g2,mj2``; an image's format.
        codec: The codec of the first video stream, such as ``h264``; an image's format.
        width, height: Pixels.
        duration: Seconds; 0 for an image.
        frame_rate: Frames per second; 0 for an image.
    """

    kind: MediaKind
    container: str
    codec: str
    width: int
    height: int
    duration: float
    frame_rate: float

    @property
    def is_mp4_h264(self) -> bool:
        """Whether the API accepts the file as it is."""
        return "mp4" in self.container.split(",") and self.codec == "h264"


def probe_file(
    path: Path, *, decode: bool = False, limits: DecodeLimits = DEFAULT_DECODE_LIMITS
) -> Probe:
    """Inspect a picture or video.

    Args:
        decode: Whether to decode a video from its first to its last frame, which finds a file that
            was cut off. A picture is always decoded.
        limits: Limits of what is decoded.

    Raises:
        NotMedia: It is something else, cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        return _probe_picture(path, limits)
    return _probe_video(path, structure, decode, limits)


def _probe_picture(path: Path, limits: DecodeLimits) -> Probe:
    with open_picture(path, limits) as picture:
        picture.load()
        form = (picture.format or "").lower().replace("mpo", "jpeg")  # several JPEGs in one file
        size = picture.width, picture.height
        return Probe(MediaKind.IMAGE, form, form, *size, 0.0, 0.0)


@contextmanager
def open_picture(
    source: Path | BinaryIO, limits: DecodeLimits = DEFAULT_DECODE_LIMITS
) -> Iterator[Image]:
    """Open a picture, for decoding within the ``with`` block. The only way to do so.

    Raises:
        NotMedia: It is something else, cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    from PIL import Image

    if check_structure(source, limits.pixels, limits.structure).demuxer is not None:
        raise NotMedia("it is a video")
    try:
        with Image.open(source, formats=PICTURES) as picture:
            check_size(picture.width, picture.height, limits)
            yield picture
    except MemoryError as error:
        raise RefusedMedia("there is not enough memory to decode it") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotMedia(f"the picture cannot be decoded: {error}") from error


def check_size(width: int, height: int, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> None:
    """Raise `NotMedia` if a picture or a frame has too many pixels to be decoded.

    Pillow has a limit of its own, but any other pack can disable it.
    """
    if width * height > limits.pixels:
        raise RefusedMedia(
            f"{width}x{height} is more than {limits.pixels // 1_000_000} million pixels"
        )


def _any_encoding() -> dict[str, Any]:
    """Arguments with which PyAV accepts tags in any encoding. It always does since version 19."""
    import av

    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_video(
    path: Path, structure: Structure, limits: DecodeLimits, **options: str
) -> InputContainer:
    """Open a file as the kind of video that was checked, and as nothing else.

    FFmpeg also reads playlists, which name further files, and renders text. A file from the network
    must not be able to choose that.
    """
    import av

    # FFmpeg decodes the first frames of every track already when it opens a file.
    pixels = str(limits.pixels // max(structure.video_tracks, 1))
    container: InputContainer = av.open(
        str(path),
        options={
            "format_whitelist": structure.demuxer or "",
            "protocol_whitelist": "file",
            "max_pixels": pixels,
            **options,
        },
        **_any_encoding(),
        timeout=limits.open_seconds,
    )
    for stream in container.streams.video:
        # Without a decoder PyAV before 18 has no codec context, and crashes when it decodes.
        if getattr(stream, "codec_context", None) is None:
            container.close()
            raise NotMedia("there is no decoder for it")
        # Also a limit for the decoder: the frames can be larger than the header says.
        stream.codec_context.options = {"max_pixels": str(limits.pixels)}
    return container


def _probe_video(path: Path, structure: Structure, decode: bool, limits: DecodeLimits) -> Probe:
    import av

    try:
        with open_video(path, structure, limits) as container:
            if not container.streams.video:
                raise NotMedia("it has sound but no video stream")
            stream = container.streams.video[0]
            check_size(stream.width, stream.height, limits)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            seconds = float(container.duration / av.time_base) if container.duration else 0.0
            expected = stream.frames
            if decode:
                frames = _count_frames(path, structure, limits)
                # A file that was cut inside its media data opens without an error and ends early.
                if frames == 0 or (expected and frames < expected):
                    raise NotMedia(
                        f"it is cut off: {frames} of {expected or '?'} frames can be decoded"
                    )
            codec = stream.codec_context.name
            name, size = container.format.name, (stream.width, stream.height)
            return Probe(MediaKind.VIDEO, name, codec, *size, seconds, rate)
    except (av.FFmpegError, MemoryError, IndexError) as error:
        raise undecodable(error) from error


def undecodable(error: Exception) -> NotMedia:
    """The error for one of PyAV. Too little memory or time does not mean that it is not media."""
    import av

    if isinstance(error, MemoryError):
        return RefusedMedia("there is not enough memory to decode it")
    if isinstance(error, IndexError):
        return NotMedia("it adds tracks while it is read")  # PyAV does not find them
    if isinstance(error, av.error.ExitError):
        return RefusedMedia("it takes too long to read")
    return NotMedia(f"it cannot be decoded: {getattr(error, 'strerror', error)}")


def _count_frames(path: Path, structure: Structure, limits: DecodeLimits) -> int:
    # The edit list of a trimmed clip hides samples that the header counts.
    with open_video(path, structure, limits, ignore_editlist="1") as container:
        use_threads(container.streams.video[0], limits)
        return sum(1 for _frame in _frames(container, limits))


def use_threads(stream: VideoStream, limits: DecodeLimits) -> None:
    """Decode with several threads, as far as their frames fit into the memory."""
    stream.thread_type = "AUTO"
    at_once = _FRAMES_AT_ONCE * limits.pixels // max(stream.width * stream.height, 1)
    threads = min((os.cpu_count() or 1) + 1, _MAX_THREADS, max(at_once, 1))
    stream.codec_context.thread_count = threads


def _frames(container: InputContainer, limits: DecodeLimits) -> Iterator[VideoFrame]:
    """The frames of the first video stream. Raises `NotMedia` and `FFmpegError`."""
    deadline = time.monotonic() + limits.seconds
    stream = container.streams.video[0]
    # Packet by packet: any number can pass without a frame.
    for packet in container.demux(stream):
        check_packet(stream.codec_context.name, packet)
        yield from packet.decode()
        if time.monotonic() > deadline:
            raise RefusedMedia(f"it takes over {limits.seconds:g} s to decode")


def first_frame(
    path: Path, limits: DecodeLimits = DEFAULT_DECODE_LIMITS
) -> npt.NDArray[np.float32]:
    """The first frame of a video, or a picture: ``[1,H,W,3]`` floats in 0…1.

    Raises:
        NotMedia: It cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    import numpy as np

    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        with open_picture(path, limits) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    else:
        import av

        _probe_video(path, structure, False, limits)
        try:
            with open_video(path, structure, limits) as container:
                frame = next(_frames(container, limits), None)
        except (av.FFmpegError, MemoryError, IndexError) as error:
            raise undecodable(error) from error
        if frame is None:
            raise NotMedia("it has no frame")
        pixels = frame.to_ndarray(format="rgb24")
    return (pixels.astype(np.float32) / 255.0)[None]
