"""Encode the IMAGE and VIDEO inputs of a node for a request."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from comfy_api.latest import Input, InputImpl, Types

from ..pika_api.errors import InvalidInput
from ..pika_api.media import Media, images, probe_file, read_video_file
from ..pika_api.message import Message
from ..pika_api.request import Options
from . import host

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

#: Space reserved for the rest of a request beside its image, in bytes. A long prompt fits.
_RESERVED = 64 * 1024


def from_image(
    image: torch.Tensor, options: Options, form: str, fit: str, max_body: int
) -> images.PreparedImage:
    """Encode an IMAGE, float32 ``[1,H,W,C]`` in 0…1.

    Args:
        options: The request's options; their aspect ratio is used to fit the image.
        form, fit: As `prepare_image`.
        max_body: Maximum size of the whole request, in bytes.

    Raises:
        InvalidInput: As `prepare_image`.
    """
    ratio = options.aspect_ratio
    return images.prepare_image(
        image.detach().float().cpu().numpy(),
        form=form,
        fit=fit,
        ratio=ratio if isinstance(ratio, float) else None,
        limit=max_body - _RESERVED,
    )


def from_video(video: Input.Video) -> Media:
    """A VIDEO as MP4 with H.264: its own file if possible, else encoded.

    Raises:
        InvalidInput: It has no frames, or does not decode.
    """
    source = _file_of(video)
    if source is not None:
        media = read_video_file(source)
        # A VIDEO can be a part of a file, which the file itself does not show.
        whole = media and abs(video.get_duration() - probe_file(source).duration) < 0.01
        if media is not None and whole:
            return media
    return _encoded(video)


def _file_of(video: Input.Video) -> Path | None:
    """The file of a VIDEO; None if it consists of frames. A file in memory is written to disk."""
    if isinstance(video, InputImpl.VideoFromComponents):
        return None
    source = video.get_stream_source()
    if isinstance(source, io.BytesIO):
        path = host.temp_file(".video")
        path.write_bytes(source.getbuffer())
        return path
    return Path(source)


def _encoded(video: Input.Video) -> Media:
    parts = video.get_components()
    images = parts.images
    if images.ndim != 4 or 0 in images.shape:
        raise InvalidInput(
            "video", Message("the video has no frames."), Message("Check the node that created it.")
        )
    # H.264 with 4:2:0 chroma needs even sizes: an odd last row or column is dropped.
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    if not height or not width:
        raise InvalidInput(
            "video",
            Message("the video is one pixel wide or high."),
            Message("Check the node that created it."),
        )
    images = images[:, :height, :width, :3]
    rate = parts.frame_rate
    digest = hashlib.sha256(f"frames {tuple(images.shape)} {rate}\0".encode())
    for frame in images:
        digest.update(np.rint(frame.float().cpu().numpy().clip(0, 1) * 255).astype(np.uint8))
    if parts.audio:
        digest.update(np.ascontiguousarray(parts.audio["waveform"].cpu().numpy()))
    path = host.temp_file(".mp4")
    components = Types.VideoComponents(images=images, audio=parts.audio, frame_rate=rate)
    InputImpl.VideoFromComponents(components).save_to(
        str(path), format=Types.VideoContainer.MP4, codec=Types.VideoCodec.H264
    )
    media = read_video_file(path)
    if media is None:
        raise InvalidInput(
            "video", Message("it could not be encoded as MP4."), Message("Connect an MP4 file.")
        )
    return replace(media, digest=digest.hexdigest())


def preview(pixels: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Save a picture, ``[H,W,3]`` bytes, for the editor's preview."""
    from PIL import Image

    path = host.temp_file(".jpg")
    Image.fromarray(pixels).save(path, quality=90)
    return {"filename": path.name, "subfolder": "", "type": "temp"}
