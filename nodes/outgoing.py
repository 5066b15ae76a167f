"""Encode the IMAGE and VIDEO inputs of a node for a request."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from comfy_api.latest import Input, Types

from ..pika_api.media import (
    Frames,
    Media,
    Part,
    PreparedVideo,
    Probe,
    Sound,
    UnreadFormat,
    earlier_frames_digest,
    encode_frames,
    file_digest,
    images,
    part_digest,
    prepare_video_file,
    probe_video,
)
from ..pika_api.request import Options
from . import host

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

#: Space reserved for the rest of a request beside its image, in bytes. A long prompt fits.
_RESERVED = 64 * 1024
#: Seconds by which durations of the same video may differ.
_SAME = 0.01
#: Bytes of a pixel in ComfyUI's tensors, which are copied once while they are built.
_TENSOR_BYTES = 2 * 3 * 4


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


def from_video(video: Input.Video, *, earlier: bool = True) -> Media:
    """A VIDEO as MP4 with H.264: its own file if possible, else a new one.

    Args:
        earlier: Whether the digest of version 0.1.0 is wanted, too. If that was one of frames,
            ComfyUI decodes all of them at once for it.

    Raises:
        InvalidInput: It has no frames, or does not decode.
    """
    source = _file_of(video)
    if source is None:
        return _from_frames(video)
    try:
        probe = probe_video(source)
    except UnreadFormat:
        return _from_unread_file(video, source)
    part = _part_of(video, probe)
    if part is None:
        return _from_frames(video)
    prepared = prepare_video_file(source, _new_path, part=part, check=host.check_interrupt)
    media = prepared.media
    if prepared.frames and earlier:
        digest = _earlier_digest(video, source, probe, prepared)
        media = replace(media, earlier_digest="" if digest == media.digest else digest)
    return media


def _new_path() -> Path:
    return host.temp_file(".mp4")


def _file_of(video: Input.Video) -> Path | None:
    """The file of a VIDEO; None if it consists of frames. A file in memory is written to disk."""
    # Without a method of its own, ComfyUI encodes it to have a file.
    if type(video).get_stream_source is Input.Video.get_stream_source:
        return None
    source = video.get_stream_source()
    if isinstance(source, io.BytesIO):
        path = host.temp_file(".video")
        path.write_bytes(source.getbuffer())
        return path
    return Path(source)


def _part_of(video: Input.Video, probe: Probe) -> Part | None:
    """Which part of its file a VIDEO is; None if it is something else, such as a cut-out."""
    part = _trim_window(video)
    if part.start < 0:  # counted from the end
        part = replace(part, start=max(probe.duration + part.start, 0.0))
    if set(video.get_dimensions()) != {probe.width, probe.height}:
        return None
    if not probe.duration:  # as a browser records it; ComfyUI would decode all to know it
        return part
    expected = probe.duration - part.start
    if part.duration:
        expected = min(expected, part.duration)
    return part if abs(video.get_duration() - expected) < _SAME else None


def _trim_window(video: Input.Video) -> Part:
    """Start and duration of a trimmed VIDEO, in seconds."""
    if hasattr(video, "get_active_trim_window"):
        return Part(*map(float, video.get_active_trim_window()))
    # ComfyUI before that method, and since it can trim, has private fields. Earlier it has none.
    names = ("_VideoFromFile__start_time", "_VideoFromFile__duration")
    return Part(*(float(getattr(video, name, 0.0)) for name in names))


def _from_unread_file(video: Input.Video, source: Path) -> Media:
    """A VIDEO whose container the pack does not open. ComfyUI decodes it, as without the pack."""
    media = _from_frames(video)
    digest = part_digest(file_digest(source), _trim_window(video))
    return replace(media, digest=digest, earlier_digest=media.earlier_digest or media.digest)


def _from_frames(video: Input.Video) -> Media:
    return encode_frames(_frames_of(video.get_components()), _new_path, host.check_interrupt)


def _frames_of(parts: Types.VideoComponents) -> Frames:
    sound = None
    if parts.audio:
        waveform = parts.audio["waveform"].detach().cpu().numpy()
        sound = Sound(waveform, int(parts.audio["sample_rate"]))
    frames = (frame.detach().float().cpu().numpy() for frame in parts.images)
    return Frames(frames, tuple(parts.images.shape), parts.frame_rate, sound)


def _earlier_digest(video: Input.Video, source: Path, probe: Probe, prepared: PreparedVideo) -> str:
    """The digest of version 0.1.0 for a file that is converted now; empty if it cannot be known.

    That version sent any file with H.264 as it was. Of another it hashed the frames that ComfyUI
    decoded, all at once.
    """
    if probe.is_mp4_h264 and abs(video.get_duration() - probe.duration) < _SAME:
        return file_digest(source)
    media = prepared.media
    needed = prepared.frames * media.width * media.height * _TENSOR_BYTES
    if needed > host.free_memory() // 2:
        return ""
    try:
        return earlier_frames_digest(_frames_of(video.get_components()))
    except Exception:  # noqa: BLE001 - what ComfyUI cannot decode was never sent
        return ""


def preview(pixels: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Save a picture, ``[H,W,3]`` bytes, for the editor's preview."""
    from PIL import Image

    path = host.temp_file(".jpg")
    Image.fromarray(pixels).save(path, quality=90)
    return {"filename": path.name, "subfolder": "", "type": "temp"}
