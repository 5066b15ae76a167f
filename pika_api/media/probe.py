"""Inspects media files that were received, with limits on what is decoded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
#: Those of a result, which is paid for whatever its format is.
_RESULTS: Final = (*PICTURES, "BMP", "TIFF")


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of what is decoded.

    Attributes:
        pixels: Maximum number of pixels of a picture or a frame. 8K has 33 million.
        seconds: Maximum time to decode a clip. A small file can contain years of one colour.
        slow_frames: Maximum number of frames of a clip which is accepted although decoding it takes
            longer, because the machine is slow. 14 minutes have 20,000 frames.
        open_seconds: Maximum time until FFmpeg has read the header and the first packets.
        structure: Limits of what the file declares.
    """

    pixels: int = 50_000_000
    seconds: float = 120.0
    slow_frames: int = 20_000
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


@dataclass(frozen=True)
class Inspection:
    """What can be read of a file that was received completely.

    Attributes:
        probe: Its properties.
        problem: What is odd about it, as the end of a sentence; empty if it is sound.
        damaged: Whether a part of it cannot be decoded. False if it was not decoded to its end.
    """

    probe: Probe
    problem: str = ""
    damaged: bool = False


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
    probe, declared = _probe_video(path, structure, limits)
    if decode:
        decoding = _decode(path, structure, limits)
        if decoding.slow:
            raise _too_slow(limits)
        if problem := decoding.damage(declared):
            raise NotMedia(problem)
    return probe


def inspect_file(path: Path, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> Inspection:
    """Inspect a picture or video, and accept a video of which only a part can be decoded.

    Raises:
        RefusedMedia: It must not be opened.
        NotMedia: It is something else, or nothing of it can be decoded.
        OSError: The file cannot be read.
    """
    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        return Inspection(_probe_picture(path, limits))
    probe, declared = _probe_video(path, structure, limits)
    decoding = _decode(path, structure, limits)
    if decoding.slow:
        count = declared or round(probe.duration * probe.frame_rate)
        # A small file can contain years of one colour; another program would decode all of it.
        if not 0 < count <= limits.slow_frames or not _begins(path, structure, limits):
            raise _too_slow(limits)
        return Inspection(probe, str(_too_slow(limits)))
    problem = decoding.damage(declared)
    if problem and not decoding.frames:
        raise NotMedia(problem)
    return Inspection(probe, problem, damaged=bool(problem))


def _probe_picture(path: Path, limits: DecodeLimits) -> Probe:
    with open_picture(path, limits, _RESULTS) as picture:
        picture.load()
        form = (picture.format or "").lower().replace("mpo", "jpeg")  # several JPEGs in one file
        size = picture.width, picture.height
        return Probe(MediaKind.IMAGE, form, form, *size, 0.0, 0.0)


@contextmanager
def open_picture(
    source: Path | BinaryIO,
    limits: DecodeLimits = DEFAULT_DECODE_LIMITS,
    formats: tuple[str, ...] = PICTURES,
) -> Iterator[Image]:
    """Open a picture, for decoding within the ``with`` block. The only way to do so.

    Args:
        formats: Pillow's names of those that are opened.

    Raises:
        NotMedia: It is something else, cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    from PIL import Image

    if check_structure(source, limits.pixels, limits.structure).demuxer is not None:
        raise NotMedia("it is a video")
    try:
        with Image.open(source, formats=formats) as picture:
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


def _probe_video(path: Path, structure: Structure, limits: DecodeLimits) -> tuple[Probe, int]:
    """The properties of a video, and the number of its frames; 0 if the file does not say it."""
    with ffmpeg_errors(), open_video(path, structure, limits) as container:
        import av

        if not container.streams.video:
            raise NotMedia("it has sound but no video stream")
        stream = container.streams.video[0]
        check_size(stream.width, stream.height, limits)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        seconds = float(container.duration / av.time_base) if container.duration else 0.0
        codec = stream.codec_context.name
        name, size = container.format.name, (stream.width, stream.height)
        return Probe(MediaKind.VIDEO, name, codec, *size, seconds, rate), stream.frames


@contextmanager
def ffmpeg_errors() -> Iterator[None]:
    """Raise the errors of PyAV as `NotMedia`."""
    import av

    try:
        yield
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


def _too_slow(limits: DecodeLimits) -> RefusedMedia:
    return RefusedMedia(f"it takes over {limits.seconds:g} s to decode")


@dataclass
class _Decoding:
    """The result of decoding a video.

    Attributes:
        frames: How many frames were decoded.
        errors: How many packets could not be decoded.
        error: The first error.
        slow: Whether the time was over before the end.
    """

    frames: int = 0
    errors: int = 0
    error: str = ""
    slow: bool = False

    def damage(self, declared: int) -> str:
        """What is missing; empty if nothing is.

        Args:
            declared: The number of frames according to the file; 0 if it does not say it.
        """
        # A file that was cut inside its media data opens without an error and ends early.
        if self.frames == 0 or self.frames < declared:
            cut = f"it is cut off: {self.frames} of {declared or '?'} frames can be decoded"
            return f"{cut} ({self.error})" if self.error else cut
        if self.errors:
            return f"it cannot be decoded in {self.errors} places: {self.error}"
        return ""


def _decode(path: Path, structure: Structure, limits: DecodeLimits) -> _Decoding:
    """Decode a video as far as possible."""
    decoding = _Decoding()
    # The edit list of a trimmed clip hides samples that the header counts.
    with ffmpeg_errors(), open_video(path, structure, limits, ignore_editlist="1") as container:
        use_threads(container.streams.video[0], limits)
        for _frame in _frames(container, limits, decoding):
            decoding.frames += 1
    return decoding


def use_threads(stream: VideoStream, limits: DecodeLimits) -> None:
    """Decode with several threads, as far as their frames fit into the memory."""
    stream.thread_type = "AUTO"
    at_once = _FRAMES_AT_ONCE * limits.pixels // max(stream.width * stream.height, 1)
    threads = min((os.cpu_count() or 1) + 1, _MAX_THREADS, max(at_once, 1))
    stream.codec_context.thread_count = threads


def _begins(path: Path, structure: Structure, limits: DecodeLimits) -> bool:
    """Whether a frame can be decoded in reasonable time."""
    patient = replace(limits, seconds=limits.open_seconds)
    with ffmpeg_errors(), open_video(path, structure, patient) as container:
        return next(_frames(container, patient, _Decoding()), None) is not None


def _frames(
    container: InputContainer, limits: DecodeLimits, decoding: _Decoding
) -> Iterator[VideoFrame]:
    """The frames of the first video stream.

    Packets that cannot be decoded are counted in `decoding` and skipped: a clip that was cut at an
    open group of pictures begins with some. Raises `NotMedia` and `FFmpegError`.
    """
    import av

    deadline = time.monotonic() + limits.seconds
    stream = container.streams.video[0]
    # Packet by packet: any number can pass without a frame.
    for packet in container.demux(stream):
        check_packet(stream.codec_context.name, packet)
        try:
            yield from packet.decode()
        except (av.error.InvalidDataError, av.error.PatchWelcomeError) as error:
            decoding.errors += 1
            decoding.error = decoding.error or str(error.strerror)
        if time.monotonic() > deadline:
            decoding.slow = True
            return


def first_frame(
    path: Path, limits: DecodeLimits = DEFAULT_DECODE_LIMITS
) -> npt.NDArray[np.float32]:
    """The first frame of a video, or a picture: ``[1,H,W,3]`` floats in 0…1.

    Raises:
        NotMedia: It cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        return _picture_pixels(path, limits)
    _probe_video(path, structure, limits)
    decoding = _Decoding()
    with ffmpeg_errors(), open_video(path, structure, limits) as container:
        frame = next(_frames(container, limits, decoding), None)
    return _frame_pixels(frame, decoding, limits)


def last_frame(path: Path, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> npt.NDArray[np.float32]:
    """The frame that a player shows last, or a picture: ``[1,H,W,3]`` floats in 0…1.

    Decodes from the last key frame, and the whole video where that does not lead to the last time
    of its packets. A frame that an edit list hides does not count.

    Raises:
        NotMedia: It cannot be decoded, or exceeds a limit.
        OSError: The file cannot be read.
    """
    structure = check_structure(path, limits.pixels, limits.structure)
    if structure.demuxer is None:
        return _picture_pixels(path, limits)
    _probe_video(path, structure, limits)
    with ffmpeg_errors():
        end = _last_time(path, structure, limits)
        frame, decoding = _last_decoded(path, structure, limits, end)
        if frame is None or frame.pts != end:
            frame, decoding = _last_decoded(path, structure, limits, None)
    return _frame_pixels(None if decoding.slow else frame, decoding, limits)


def _last_time(path: Path, structure: Structure, limits: DecodeLimits) -> int | None:
    """The largest time of the shown packets, in units of the stream. Nothing is decoded."""
    deadline = time.monotonic() + limits.seconds
    last: int | None = None
    with open_video(path, structure, limits) as container:
        for packet in container.demux(container.streams.video[0]):
            shown = packet.pts is not None and not packet.is_discard
            if shown and (last is None or packet.pts > last):
                last = packet.pts
            if time.monotonic() > deadline:
                return None
    return last


def _last_decoded(
    path: Path, structure: Structure, limits: DecodeLimits, end: int | None
) -> tuple[VideoFrame | None, _Decoding]:
    """The frame with the largest time, the later one of two.

    Args:
        end: Begin at the last key frame before this time; None to begin at the start.
    """
    import av

    decoding = _Decoding()
    last: VideoFrame | None = None
    with open_video(path, structure, limits) as container:
        stream = container.streams.video[0]
        use_threads(stream, limits)
        if end is not None:
            try:
                container.seek(end, stream=stream)
            except av.FFmpegError:
                return None, decoding
        for frame in _frames(container, limits, decoding):
            if last is None or last.pts is None or frame.pts is None or frame.pts >= last.pts:
                last = frame
    return last, decoding


def _picture_pixels(path: Path, limits: DecodeLimits) -> npt.NDArray[np.float32]:
    import numpy as np

    with open_picture(path, limits, _RESULTS) as picture:
        return _to_floats(np.asarray(picture.convert("RGB")))


def _frame_pixels(
    frame: VideoFrame | None, decoding: _Decoding, limits: DecodeLimits
) -> npt.NDArray[np.float32]:
    if frame is None:
        raise _too_slow(limits) if decoding.slow else NotMedia("it has no frame")
    return _to_floats(frame.to_ndarray(format="rgb24"))


def _to_floats(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    import numpy as np

    return (pixels.astype(np.float32) / 255.0)[None]
