"""IMAGE and VIDEO from the graph to what goes out."""

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
from ..pika_api.request import Options
from . import host

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

#: Bytes of a request that are not its image: a long prompt and all options fit well.
_REST = 64 * 1024


def from_image(
    image: torch.Tensor, options: Options, form: str, fit: str, max_body: int
) -> images.PreparedImage:
    """An IMAGE, float32 ``[1,H,W,C]`` in 0…1, ready to go.

    Args:
        options: The request's, for the shape that the image is fitted to.
        form, fit: As `images.prepare`.
        max_body: Bytes that the whole request may have.

    Raises:
        InvalidInput: As `images.prepare`.
    """
    ratio = options.aspect_ratio
    return images.prepare_image(
        image.detach().float().cpu().numpy(),
        form=form,
        fit=fit,
        ratio=ratio if isinstance(ratio, float) else None,
        limit=max_body - _REST,
    )


def from_video(video: Input.Video) -> Media:
    """A VIDEO: the file that it is, if that is MP4 with H.264; else encoded to one.

    Raises:
        InvalidInput: It has no frames, or does not decode.
    """
    source = _file_of(video)
    if source is not None:
        made = read_video_file(source)
        # A VIDEO can be a cut-out of a file, which its file does not show.
        whole = made and abs(video.get_duration() - probe_file(source).duration) < 0.01
        if made is not None and whole:
            return made
    return _encoded(video)


def _file_of(video: Input.Video) -> Path | None:
    """The file behind a VIDEO; one in memory is written out; None for one made of frames."""
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
        raise InvalidInput("video", "it has no frames.", "Look at the node that made it.")
    # H.264 in its common form has even sides only: an odd row or column is left out.
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    if not height or not width:
        raise InvalidInput("video", "it is one pixel thin.", "Look at the node that made it.")
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
    made = read_video_file(path)
    if made is None:
        raise InvalidInput("video", "it could not be encoded as MP4.", "Connect an MP4 file.")
    return replace(made, digest=digest.hexdigest())


def preview(pixels: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Put a picture where the editor can show it; ``[H,W,3]`` bytes."""
    from PIL import Image

    path = host.temp_file(".jpg")
    Image.fromarray(pixels).save(path, quality=90)
    return {"filename": path.name, "subfolder": "", "type": "temp"}
