"""Pictures and videos: from arrays and files to what goes out, and a look at what came back."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: The colour under a transparent picture. The API has no alpha; white is what most viewers show.
BACKGROUND: Final = 1.0

#: Read sizes are multiples of 3 so that Base64 of the parts is Base64 of the whole.
_CHUNK: Final = 3 * 256 * 1024


@dataclass(frozen=True)
class Media:
    """One picture or video on its way out.

    Attributes:
        digest: SHA-256 of what the user gave (a picture's 8-bit pixels, a video's file), which
            stays the same when the encoding changes.
        mime: The type of `data`.
        width: Pixels.
        height: Pixels.
        data: The encoded bytes, or the file they are in.
        size: How many bytes `data` has.
    """

    digest: str
    mime: str
    width: int
    height: int
    data: bytes | Path = field(repr=False)
    size: int

    @property
    def base64_size(self) -> int:
        """How many characters it has in Base64."""
        return 4 * ((self.size + 2) // 3)

    def base64_chunks(self) -> Iterator[bytes]:
        """Its Base64 in parts; a file is read as it goes, never as a whole.

        Raises:
            InvalidInput: The file has another size than when it was looked at.
            OSError: The file cannot be read.
        """
        sent = 0
        source = io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")
        with source:
            while chunk := source.read(_CHUNK):
                sent += len(chunk)
                if sent > self.size:
                    break
                yield base64.b64encode(chunk)
        if sent != self.size:
            raise InvalidInput(
                "video", "the file changed while it was being sent.", "Queue again when it is done."
            )


def from_pixels(image: Any) -> Media:
    """A picture as PNG.

    Args:
        image: Array of floats in 0…1, ``[B,H,W,C]`` or ``[H,W,C]``; B is 1; C is 1 (grey),
            3 (RGB) or 4 (RGBA, laid over white). A CPU torch tensor will do.

    Raises:
        InvalidInput: Several pictures, another shape, or values that are not numbers.
    """
    from PIL import Image

    pixels = to_rgb8(image)
    height, width = pixels.shape[:2]
    encoded = io.BytesIO()
    # Level 1: on photographs a third of the default's time for a few per cent more bytes.
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    data = encoded.getvalue()
    digest = hashlib.sha256(f"rgb8 {width}x{height}\0".encode())
    digest.update(pixels.data)
    return Media(digest.hexdigest(), "image/png", width, height, data, len(data))


def to_rgb8(image: Any) -> npt.NDArray[np.uint8]:
    """Floats in 0…1 to contiguous ``[H,W,3]`` bytes: clamped, rounded, alpha laid over white.

    Raises:
        InvalidInput: As `from_pixels`.
    """
    import numpy as np

    pixels = np.asarray(image)
    if pixels.ndim == 4:
        if pixels.shape[0] != 1:
            raise InvalidInput(
                "image",
                f"a batch of {pixels.shape[0]} images, and a task takes one.",
                "Pick one (ImageFromBatch), or make the batch a list to get a task for each.",
            )
        pixels = pixels[0]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise InvalidInput(
            "image",
            f"the shape {tuple(np.shape(image))} is not a picture's.",
            "Connect an IMAGE of shape [1, height, width, 1, 3 or 4].",
        )
    pixels = pixels.astype(np.float32, copy=False)
    if not np.isfinite(pixels).all():
        raise InvalidInput(
            "image",
            "it has pixels that are not numbers (NaN or infinite).",
            "Look at the node that made the picture; a VAE in half precision can do this.",
        )
    pixels = np.clip(pixels, 0.0, 1.0)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3:]
        pixels = pixels[:, :, :3] * alpha + BACKGROUND * (1.0 - alpha)
    bytes8 = np.rint(pixels * 255.0).astype(np.uint8)
    if bytes8.shape[2] == 1:
        bytes8 = np.repeat(bytes8, 3, axis=2)
    return np.ascontiguousarray(bytes8)


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


def probe(path: Path, *, decode: bool = False) -> Probe:
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
        with Image.open(path) as picture:
            picture.load()
            form = (picture.format or "").lower()
            return Probe("image", form, form, picture.width, picture.height, 0.0, 0.0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotMedia(f"the picture does not decode: {error}") from error


def _probe_video(path: Path, decode: bool) -> Probe:
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise NotMedia("there is no picture in it, only sound")
            if container.format.name == "tty":
                raise NotMedia("it is a text")  # which FFmpeg would draw, letter by letter
            stream = container.streams.video[0]
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
        raise NotMedia(f"it does not decode: {error}") from error


def _count_frames(path: Path) -> int:
    import av

    # A trimmed clip has an edit list, which hides samples that the header counts.
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _frame in container.decode(stream))


def from_picture_file(path: Path) -> Media:
    """A picture file (PNG, JPEG, WebP …), turned upright, as PNG.

    Raises:
        InvalidInput: Not a picture, or not readable.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            has_alpha = upright.has_transparency_data
            pixels = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInput(
            "image", f"{path} is no picture: {error}.", "Give a PNG, JPEG or WebP file."
        ) from error
    return from_pixels(pixels.astype(np.float32) / 255.0)


def from_video_file(path: Path) -> Media | None:
    """A video file as it is, if it is MP4 with H.264; None if it must be encoded first.

    Raises:
        InvalidInput: Not a video, or not readable.
    """
    way_out = "Connect a VIDEO that plays in ComfyUI's own video preview."
    try:
        seen = probe(path)
    except (NotMedia, OSError) as error:
        raise InvalidInput("video", f"{path.name} is no video: {error}.", way_out) from error
    if seen.kind != "video":
        raise InvalidInput("video", f"{path.name} is a picture.", way_out)
    if not seen.is_mp4_h264:
        return None
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            size += len(chunk)
            digest.update(chunk)
    return Media(digest.hexdigest(), "video/mp4", seen.width, seen.height, path, size)


def first_frame(path: Path) -> npt.NDArray[np.float32]:
    """A video's first frame, or a picture: ``[1,H,W,3]`` floats in 0…1.

    Raises:
        NotMedia: Nothing decodes.
    """
    import numpy as np
    from PIL import Image

    if probe(path).kind == "image":
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    else:
        import av

        try:
            with av.open(str(path)) as container:
                frame = next(container.decode(video=0), None)
        except av.FFmpegError as error:
            raise NotMedia(f"it does not decode: {error}") from error
        if frame is None:
            raise NotMedia("it has no frame")
        pixels = frame.to_ndarray(format="rgb24")
    return (pixels.astype(np.float32) / 255.0)[None]
