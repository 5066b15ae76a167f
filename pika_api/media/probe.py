"""Pictures and videos: from arrays and files to what goes out, and a look at what came back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av.container import InputContainer

#: What a video file may be, in FFmpeg's words.
_CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf"
#: What a picture file may be, in Pillow's words.
PICTURES: Final = ("PNG", "JPEG", "GIF", "WEBP")
#: More pixels than this are not decoded; 8K has 33 million.
MAX_PIXELS: Final = 50_000_000
#: Seconds that a clip may take to decode: a small file can hold years of nothing.
DECODE_TIME: Final = 120.0


@dataclass(frozen=True)
class Probe:
    """What a media file is, as read back from the file itself.

    Attributes:
        kind: ``"video"`` or ``"image"``.
        container: The demuxer's names, such as ``mov,mp4,m4a,3gp,3g2,mj2``; an image's format.
        codec: The first video stream's codec, such as ``h264``.
        width: Pixels.
        height: Pixels.
        duration: Seconds; 0 for an image.
        frame_rate: Frames per second; 0 for an image.
    """

    kind: str
    container: str
    codec: str
    width: int
    height: int
    duration: float
    frame_rate: float

    @property
    def is_mp4_h264(self) -> bool:
        """Whether the API can take the file as it is."""
        return "mp4" in self.container.split(",") and self.codec == "h264"


class NotMedia(Exception):
    """A file that is neither a picture nor a video that can be decoded; the text says why."""


def probe_file(path: Path, *, decode: bool = False) -> Probe:
    """Look at a picture or video.

    Args:
        decode: Also decode it from its first to its last frame, which a cut file does not stand.

    Raises:
        NotMedia: It is something else, or breaks while decoding.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise NotMedia("the file is empty")
    if _is_picture(head):
        return _probe_picture(path)
    return _probe_video(path, decode)


def _is_picture(head: bytes) -> bool:
    return (
        head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    )  # fmt: skip


def _probe_picture(path: Path) -> Probe:
    from PIL import Image

    try:
        with Image.open(path, formats=PICTURES) as picture:
            check_size(picture.width, picture.height)
            picture.load()
            form = (picture.format or "").lower()
            return Probe("image", form, form, picture.width, picture.height, 0.0, 0.0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotMedia(f"the picture does not decode: {error}") from error


def check_size(width: int, height: int) -> None:
    """Raise `NotMedia` where a picture, or a clip's frame, would fill the memory.

    Pillow's own limit is one that any other pack may have switched off.
    """
    if width * height > MAX_PIXELS:
        raise NotMedia(f"{width}x{height} is more than {MAX_PIXELS // 1_000_000} million pixels")


def _open(path: Path, **options: str) -> InputContainer:
    """Open a file as a video and as nothing else.

    FFmpeg also reads play lists, which name further files, and draws texts: what comes over the
    network must not choose that.
    """
    import av

    allowed = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    container = av.open(str(path), options={**allowed, **options})
    for stream in container.streams.video:
        # PyAV before 18 has none where it knows no decoder, and dies if it is to decode.
        if getattr(stream, "codec_context", None) is None:
            container.close()
            raise NotMedia("there is no decoder for it")
        # The decoder's own limit: what the header says is not what the frames must be.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return container


def _probe_video(path: Path, decode: bool) -> Probe:
    import av

    try:
        with _open(path) as container:
            if not container.streams.video:
                raise NotMedia("there is no picture in it, only sound")
            stream = container.streams.video[0]
            check_size(stream.width, stream.height)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            seconds = float(container.duration / av.time_base) if container.duration else 0.0
            expected = stream.frames
            if decode:
                frames = _count_frames(path)
                # A file that was cut inside its media data opens well and ends too soon.
                if frames == 0 or (expected and frames < expected):
                    raise NotMedia(f"it breaks off: {frames} of {expected or '?'} frames decode")
            codec = stream.codec_context.name
            return Probe(
                "video", container.format.name, codec, stream.width, stream.height, seconds, rate
            )
    except av.FFmpegError as error:
        raise NotMedia(f"it does not decode: {error.strerror}") from error


def _count_frames(path: Path) -> int:
    deadline = time.monotonic() + DECODE_TIME
    # A trimmed clip has an edit list, which hides samples that the header counts.
    with _open(path, ignore_editlist="1") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        count = 0
        for _frame in container.decode(stream):
            count += 1
            if time.monotonic() > deadline:
                raise NotMedia(f"it takes over {DECODE_TIME:g} s to decode")
        return count


def first_frame(path: Path) -> npt.NDArray[np.float32]:
    """A video's first frame, or a picture: ``[1,H,W,3]`` floats in 0…1.

    Raises:
        NotMedia: Nothing decodes.
    """
    import numpy as np
    from PIL import Image

    if probe_file(path).kind == "image":
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    else:
        import av

        try:
            with _open(path) as container:
                frame = next(container.decode(video=0), None)
        except av.FFmpegError as error:
            raise NotMedia(f"it does not decode: {error.strerror}") from error
        if frame is None:
            raise NotMedia("it has no frame")
        pixels = frame.to_ndarray(format="rgb24")
    return (pixels.astype(np.float32) / 255.0)[None]
