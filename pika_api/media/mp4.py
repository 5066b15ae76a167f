"""Writes MP4 with H.264 and AAC, which every gateway and player of the field reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: The index stands in front, so that a receiver can decode what it has.
_OPTIONS: Final = {"movflags": "faststart"}
#: x264's own default quality, at a preset that takes two thirds of the time of its default.
_X264: Final = {"preset": "fast"}
#: Sample rates of AAC (ISO/IEC 14496-3, table 1.18), without the highest.
_AAC_RATES: Final = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
#: Frames per second that x264 is told. A clip may have any; x264 only plans its bit rate by it.
_RATES: Final = (Fraction(1), Fraction(240))
#: Values of FFmpeg's enumerations of colour (ITU-T H.273) for BT.709, and its limited range.
_BT709: Final = 1
_LIMITED: Final = 1
_UNKNOWN: Final = 2


def to_fraction(value: Any, default: Fraction = Fraction(0)) -> Fraction:
    """A rational number of PyAV, whose type depends on its version; `default` for none or 0."""
    return Fraction(value.numerator, value.denominator) if value else default


@dataclass(frozen=True)
class Colour:
    """How the numbers of a frame become colours: values of ITU-T H.273, and FFmpeg's range."""

    range: int = _LIMITED
    matrix: int = _BT709
    primaries: int = _BT709
    transfer: int = _BT709


class Mp4Writer:
    """An open MP4 file.

    Args:
        size: Width and height in pixels, both even.
        rate: Frames per second, about.
        unit: Unit of the frames' times, in seconds.
        aspect: Width of a pixel, divided by its height; 0 if it is unknown.
    """

    def __init__(
        self,
        container: OutputContainer,
        size: tuple[int, int],
        rate: Fraction,
        unit: Fraction,
        *,
        colour: Colour,
        aspect: Fraction = Fraction(0),
    ) -> None:
        self._container = container
        rate = min(max(rate.limit_denominator(1001), _RATES[0]), _RATES[1])
        self._video: VideoStream = container.add_stream("h264", rate=rate, options=dict(_X264))
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = self._unit = unit
        # Reordered frames would need an edit list, and their durations would not be kept.
        context.max_b_frames = 0
        context.color_range, context.colorspace = colour.range, colour.matrix
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        if aspect:
            context.sample_aspect_ratio = aspect
        self._step = max(round(1 / (rate * unit)), 1)
        self._last = -self._step
        self._sound: SoundWriter | None = None

    @property
    def sound_ended(self) -> bool:
        """Whether sound that is written from now on is left out."""
        return self._sound is None or self._sound.ended

    def add_sound(self, rate: int, channels: int, start: Fraction, end: Fraction | None) -> None:
        """Add sound, before the first frame is written. Arguments as for `SoundWriter`."""
        self._sound = SoundWriter(self._container, rate, channels, start, end)

    def write_frame(self, frame: VideoFrame, time: int | None) -> None:
        """Encode a frame in yuv420p. A time that is missing or does not increase is corrected."""
        time = self._last + self._step if time is None else max(time, self._last + 1, 0)
        frame.pts, frame.time_base = time, self._unit
        self._last = time
        # Decoders set the type. x264 would take it over, and make every frame a key frame.
        frame.pict_type = 0
        self._container.mux(self._video.encode(frame))

    def write_sound(self, frame: AudioFrame) -> None:
        """Encode sound of any format."""
        if self._sound is not None:
            self._sound.write(frame)

    def finish(self) -> None:
        """Encode what the encoders still keep."""
        self._container.mux(self._video.encode(None))
        if self._sound is not None:
            self._sound.finish()


class SoundWriter:
    """Adds sound to a file as AAC, mono or stereo.

    Args:
        rate: Samples per second of the sound. AAC does not have all.
        channels: Number of channels of the sound.
        start: The time, in seconds, of the sound that is written at 0. What is before is left out.
        end: The time at which it ends; None for all.
    """

    def __init__(
        self,
        container: OutputContainer,
        rate: int,
        channels: int,
        start: Fraction,
        end: Fraction | None,
    ) -> None:
        from av.audio.resampler import AudioResampler

        self.ended = False
        self._start = start
        self._end = end
        self._rate = rate if rate in _AAC_RATES else _AAC_RATES[0]
        self._layout = "mono" if channels == 1 else "stereo"
        self._container = container
        self._stream: AudioStream = container.add_stream(
            "aac", rate=self._rate, layout=self._layout
        )
        self._resampler = AudioResampler("fltp", self._layout, self._rate)
        self._next = 0

    def write(self, frame: AudioFrame) -> None:
        """Encode a frame of sound of any format."""
        if not self.ended:
            self._encode(self._resampler.resample(frame))

    def finish(self) -> None:
        """Encode what the resampler and the encoder still keep."""
        self._encode(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))

    def _encode(self, frames: Iterable[AudioFrame | None]) -> None:
        for frame in frames:
            if frame is not None and (wanted := self._cut(frame)) is not None:
                self._container.mux(self._stream.encode(wanted))

    def _cut(self, frame: AudioFrame) -> AudioFrame | None:
        """The wanted samples of a frame, which has the format of the encoder."""
        import numpy as np
        from av.audio.frame import AudioFrame

        count = frame.samples
        position = self._next
        if frame.pts is not None and frame.time_base:
            moment = frame.pts * to_fraction(frame.time_base)
            position = round((moment - self._start) * self._rate)
        first = min(max(-position, 0), count)
        last = count
        if self._end is not None:
            last = min(count, ceil((self._end - self._start) * self._rate) - position)
            self.ended = last < count
        if first >= last:
            return None
        wanted = frame
        if (first, last) != (0, count):
            samples = np.ascontiguousarray(frame.to_ndarray()[:, first:last])
            wanted = AudioFrame.from_ndarray(samples, format="fltp", layout=self._layout)
            wanted.sample_rate = self._rate
        wanted.pts, wanted.time_base = position + first, Fraction(1, self._rate)
        self._next = position + last
        return wanted


@contextmanager
def create_mp4(path: Path) -> Iterator[OutputContainer]:
    """A new MP4 file, which is removed again if the block fails."""
    import av

    try:
        with av.open(str(path), "w", format="mp4", options=dict(_OPTIONS)) as container:
            yield container
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def frame_colour(frame: VideoFrame, context: Any) -> Colour:
    """The colours of a frame after `to_yuv420`. A decoder's context has what a frame lacks."""
    if frame.format.is_rgb or frame.format.name == "pal8":
        return Colour()
    limited = frame.format.name.startswith(("yuvj", "gray"))
    return Colour(
        range=_LIMITED if limited else int(frame.color_range),
        matrix=int(frame.colorspace),
        primaries=int(getattr(context, "color_primaries", _UNKNOWN)),
        transfer=int(getattr(context, "color_trc", _UNKNOWN)),
    )


def to_yuv420(frame: VideoFrame) -> VideoFrame:
    """A frame with 8 bits and a quarter of the colour, as nearly all H.264 decoders require."""
    if frame.format.is_rgb or frame.format.name == "pal8":
        return frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    return frame.reformat(format="yuv420p")
