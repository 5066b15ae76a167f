"""Encodes a video that consists of frames and sound in memory, and says what makes it the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidInput
from ..message import Message
from .images import to_rgb8
from .mp4 import Colour, Mp4Writer, create_mp4, to_yuv420
from .reencode import convertible, nothing
from .structure import NotMedia
from .types import Media

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Largest denominator of a frame rate. 23.976 and 24000/1001 are exact.
_MOST_PARTS: Final = 100_000
#: Samples that are encoded at a time.
_SOUND_BLOCK: Final = 48_000
#: Most channels that are mixed to two.
_LAYOUTS: Final = {
    1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1",
}  # fmt: skip
_SAMPLE_RATES: Final = range(1000, 768_001)
_CHECK_NODE: Final = Message("Check the node that created it.")


@dataclass(frozen=True)
class Sound:
    """Sound in memory.

    Attributes:
        waveform: ``[C,S]`` or ``[1,C,S]``: floats in -1…1, or whole numbers of any size. A torch
            tensor on the CPU works, too.
        rate: Samples per second.
    """

    waveform: Any
    rate: int


@dataclass(frozen=True)
class Frames:
    """Frames in memory.

    Attributes:
        frames: The pictures, ``[H,W,C]`` floats in 0…1. They are read once.
        shape: ``(N, H, W, C)``; C is 1, 3 or 4.
        rate: Frames per second.
        sound: Sound; None for no sound.
    """

    frames: Iterable[Any]
    shape: tuple[int, ...]
    rate: Fraction | float
    sound: Sound | None = None


def encode_frames(
    video: Frames, new_path: Callable[[], Path], check: Callable[[], None] = nothing
) -> Media:
    """Encode frames as MP4 with H.264. An odd last row or column is dropped.

    The digest is that of the 8-bit frames, the frame rate and the sound: of all that is encoded,
    and of nothing that the encoder adds.

    Args:
        new_path: The path of the new file.
        check: Is called for each frame. What it raises ends the work.

    Raises:
        InvalidInput: The frames or the sound cannot be encoded.
    """
    if len(video.shape) != 4 or 0 in video.shape:
        raise InvalidInput("video", Message("the video has no frames."), _CHECK_NODE)
    count, height, width = video.shape[0], video.shape[1] // 2 * 2, video.shape[2] // 2 * 2
    if not height or not width:
        raise InvalidInput("video", Message("the video is one pixel wide or high."), _CHECK_NODE)
    rate = _frame_rate(video.rate)
    samples = _samples(video.sound, count / rate)
    digests = _Digests(video, (count, height, width), rate)
    target = new_path()
    try:
        with convertible(), create_mp4(target) as output:
            writer = Mp4Writer(output, (width, height), rate, 1 / rate, colour=Colour())
            if samples is not None and video.sound is not None:
                writer.add_sound(video.sound.rate, len(samples), Fraction(0), None)
            for number, frame in enumerate(video.frames):
                check()
                pixels = to_rgb8(frame, "video")[:height, :width]
                digests.add(frame, pixels)
                writer.write_frame(_video_frame(pixels), number)
            if samples is not None and video.sound is not None:
                for sound in _audio_frames(samples, video.sound.rate):
                    writer.write_sound(sound)
            writer.finish()
    except NotMedia as error:
        raise InvalidInput(
            "video", Message("it could not be encoded: {error}.", error=error), _CHECK_NODE
        ) from error
    digest, earlier = digests.finish(samples)
    return Media(digest, "video/mp4", width, height, target, target.stat().st_size, earlier)


def earlier_frames_digest(video: Frames) -> str:
    """The digest of version 0.1.0 for frames. It reads them."""
    earlier = _EarlierDigest(video)
    for frame in video.frames:
        earlier.add(frame)
    return earlier.finish()


class _EarlierDigest:
    """The digest of version 0.1.0.

    The sound was hashed as bytes. So the same bytes at another sample rate, or in another number of
    channels, were the same video.
    """

    def __init__(self, video: Frames) -> None:
        count, height, width, channels = video.shape
        self._height, self._width = height // 2 * 2, width // 2 * 2
        self._sound = video.sound
        shape = (count, self._height, self._width, min(channels, 3))
        self.head = f"frames {shape} {video.rate}\0"
        self.hash = hashlib.sha256(self.head.encode())

    def add(self, frame: Any) -> None:
        """Add a frame as the node got it."""
        import numpy as np

        floats = np.asarray(frame, np.float32)[: self._height, : self._width, :3]
        eight = np.rint(np.clip(floats, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)
        self.hash.update(np.ascontiguousarray(eight))

    def finish(self) -> str:
        """Add the sound, and return the digest."""
        import numpy as np

        if self._sound is not None:
            self.hash.update(np.ascontiguousarray(self._sound.waveform))
        return self.hash.hexdigest()


class _Digests:
    """The digest of a video, and that of version 0.1.0, which differs only in rare cases.

    Args:
        size: Number of frames, and their height and width as they are encoded.
    """

    def __init__(self, video: Frames, size: tuple[int, int, int], rate: Fraction) -> None:
        head = f"frames {(*size, 3)} {rate}\0"
        self._digest = hashlib.sha256(head.encode())
        self._earlier = _EarlierDigest(video)
        self._same = head == self._earlier.head and video.shape[3] == 3
        self._sound = video.sound

    def add(self, frame: Any, pixels: npt.NDArray[np.uint8]) -> None:
        """Add a frame: what the node got, and its 8-bit pixels as they are encoded."""
        import numpy as np

        self._digest.update(np.ascontiguousarray(pixels))
        if not self._same:
            self._earlier.add(frame)

    def finish(self, samples: npt.NDArray[np.float32] | None) -> tuple[str, str]:
        """The digest, and that of version 0.1.0; empty if it is the same.

        Args:
            samples: The sound as it is encoded, ``[C,S]``; None for no sound.
        """
        if self._same:
            self._earlier.hash = self._digest.copy()
        earlier = self._earlier.finish()
        if samples is not None and self._sound is not None:
            self._digest.update(f"sound {self._sound.rate} Hz {samples.shape}\0".encode())
            self._digest.update(samples.astype("<f4", copy=False))
        digest = self._digest.hexdigest()
        return digest, "" if digest == earlier else earlier


def _frame_rate(rate: Fraction | float) -> Fraction:
    """A frame rate as a reduced fraction: 29.97 is 2997/100, whoever wrote it."""
    try:
        fraction = Fraction(rate).limit_denominator(_MOST_PARTS)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "video", Message("the frame rate {rate!r} is not a number.", rate=rate), _CHECK_NODE
        ) from error
    if fraction <= 0:
        raise InvalidInput(
            "video", Message("the frame rate {rate} is not positive.", rate=rate), _CHECK_NODE
        )
    return fraction


def _samples(sound: Sound | None, seconds: Fraction) -> npt.NDArray[np.float32] | None:
    """The sound as floats, ``[C,S]``, no longer than the video; None if there is none."""
    import numpy as np

    if sound is None:
        return None
    waveform = np.asarray(sound.waveform)
    if waveform.ndim == 3 and waveform.shape[0] == 1:
        waveform = waveform[0]
    if waveform.ndim != 2 or waveform.shape[0] not in _LAYOUTS or sound.rate not in _SAMPLE_RATES:
        raise InvalidInput(
            "video",
            Message(
                "its sound has the shape {shape} at {rate} Hz.",
                shape=tuple(waveform.shape),
                rate=sound.rate,
            ),
            Message("Connect an AUDIO with 1 to 8 channels, or remove the sound."),
        )
    waveform = waveform[:, : ceil(seconds * sound.rate)]
    if not waveform.shape[1]:
        return None
    floats = waveform.astype(np.float32)
    if waveform.dtype.kind in "iu":
        floats /= np.float32(np.iinfo(waveform.dtype).max)
    if not np.isfinite(floats).all():
        raise InvalidInput(
            "video", Message("its sound has values that are not numbers."), _CHECK_NODE
        )
    return floats + np.float32(0.0)  # there is no difference between 0 and -0


def _video_frame(pixels: npt.NDArray[np.uint8]) -> Any:
    import numpy as np
    from av.video.frame import VideoFrame

    return to_yuv420(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))


def _audio_frames(samples: npt.NDArray[np.float32], rate: int) -> Iterable[Any]:
    import numpy as np
    from av.audio.frame import AudioFrame

    for start in range(0, samples.shape[1], _SOUND_BLOCK):
        block = np.ascontiguousarray(samples[:, start : start + _SOUND_BLOCK])
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=_LAYOUTS[len(samples)])
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame
