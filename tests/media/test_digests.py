"""What makes an input the same: digests that no version of Python or of a library may change.

A changed digest would make an update of the pack pay a second time for an old request. The inputs
are generated without an encoder or decoder, so the table holds everywhere.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pika_api.errors import InvalidInput
from pika_api.media import (
    Frames,
    Media,
    Part,
    Sound,
    earlier_frames_digest,
    encode_frames,
    encode_image,
    file_digest,
    part_digest,
    prepare_image,
)
from support.clips import Clip

Encode = Callable[[Frames], Media]


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    numbers = itertools.count()
    return lambda video: encode_frames(video, lambda: tmp_path / f"{next(numbers)}.mp4")


def ramp(*shape: int) -> np.ndarray:
    """All 8-bit values, as floats in 0…1."""
    values = np.arange(int(np.prod(shape)), dtype=np.int64) * 37 % 256
    return (values.reshape(shape) / 255.0).astype(np.float32)


def wave(channels: int = 2, samples: int = 4000, kind: Any = np.float32) -> np.ndarray:
    """A saw tooth whose values are exact in binary, ``[1,C,S]``."""
    values = np.arange(channels * samples, dtype=np.int64) * 12 % 256 - 128
    if np.dtype(kind).kind == "i":
        return (values * 256).reshape(1, channels, samples).astype(kind)
    return (values / 256).reshape(1, channels, samples).astype(kind)


def frames(images: np.ndarray, rate: Any = Fraction(24), sound: Sound | None = None) -> Frames:
    return Frames(iter(images), images.shape, rate, sound)


PIXELS = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(5, 7, 3)
IMAGES = ramp(5, 16, 18, 3)
#: The inputs, and the digest of each: that of now, and that of version 0.1.0 if it is another.
VIDEOS: dict[str, tuple[Callable[[], Frames], str, str]] = {
    "no sound": (
        lambda: frames(IMAGES),
        "35fb55e5da6cf3de261dba815896ff6b013c1e2e4632596f9c435cebc6606ddb",
        "",
    ),
    "25 per second": (
        lambda: frames(IMAGES, Fraction(25)),
        "1581916209e401468a22ca1034c27402bbb0e8329e15860b97bdd226f89f1c08",
        "",
    ),
    "30000/1001 per second": (
        lambda: frames(IMAGES, Fraction(30000, 1001)),
        "e8344984fae9001349a41ff6cce3e38cca69d097105fcfe75f79f4f0d4e63f9d",
        "",
    ),
    "a float as rate": (
        lambda: frames(IMAGES, 23.976),
        "4bf4b50aa4ff38dca64d9eaa16df9994b1b177691d89267b5623d067f76a5437",
        "fddb087111ceb81a33ad85dec2363790a4fc0f541e761649df4f8e8e4616c647",
    ),
    "odd size": (
        lambda: frames(ramp(2, 17, 19, 3)),
        "1fded51f5c7d467020a283d9b7918fdf85f66dd0329da0078f0eb7cd0ef924e8",
        "",
    ),
    "grey": (
        lambda: frames(ramp(2, 16, 16, 1)),
        "34c8df29cdb47a3e11c5875a6856fdabb88fd3aa7d4be38565b78d85b2a489cb",
        "1ab00f2c50b30c283e030218473969bc29d6f83d0be3917e6f95a8856c7c6aec",
    ),
    "with alpha": (
        lambda: frames(ramp(2, 16, 16, 4)),
        "77a24743e7b8ef0088df1620d129d4119ec592d8d66d728bd1f3249db3170cb2",
        "7ecc85c4b3ae795e8a8f6d35836888ff26a79b131da7b8fbbfb3dcda98f899e9",
    ),
    "values out of range": (
        lambda: frames(IMAGES * 2 - 0.5),
        "3bbe62d0fd7c169f1659b46880806a892aff03ac12783a925ada01fa1d91569a",
        "",
    ),
    "stereo": (
        lambda: frames(IMAGES, sound=Sound(wave(), 44100)),
        "693205897172d1dbde4f4bc3d53a0baabcdd1a3480e45961168e53a0b6588a60",
        "19feff23082e4dbcb61256b716568070c2145024e79c2a6090f3b20103be83f1",
    ),
    "stereo at 48 kHz": (
        lambda: frames(IMAGES, sound=Sound(wave(), 48000)),
        "618520ab7c0411a5b1dd79066800c13ec2826a8b2b0c06d2e477b6b3179e8216",
        "19feff23082e4dbcb61256b716568070c2145024e79c2a6090f3b20103be83f1",
    ),
    "mono": (
        lambda: frames(IMAGES, sound=Sound(wave(1, 8000), 44100)),
        "72a95826d561e9cd2ae34f053e37bc0657f5fa1cd7b5f28703cd853aaac88dae",
        "19feff23082e4dbcb61256b716568070c2145024e79c2a6090f3b20103be83f1",
    ),
    "whole numbers": (
        lambda: frames(IMAGES, sound=Sound(wave(kind=np.int16), 44100)),
        "f8e51a911607f62a48339c126481960e1b1c02934cda6a741cc00c524e940834",
        "a7b222215b94dffe13c99d9f25954ae5fd9c9ef9db202b8a463972c1b0dea7ef",
    ),
    "long sound": (
        lambda: frames(IMAGES, sound=Sound(wave(2, 20_000), 44100)),
        "51a0b566db31ff60c1bfe54c1787090055394f352f1c42a5bced8ff216484fa4",
        "285e9e49f1e56efb7a72111b2d1cf3a4185860e5ea434f05070f83614afbf0ed",
    ),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_digest_of_frames_is_frozen(encode: Encode, name: str) -> None:
    """Version 0.1.0 hashed the sound as bytes. Its digest is kept, so that its tasks are found."""
    make, digest, earlier = VIDEOS[name]
    media = encode(make())
    assert (media.digest, media.earlier_digest) == (digest, earlier)
    assert earlier_frames_digest(make()) == (earlier or digest)


def test_digest_of_a_picture_is_frozen() -> None:
    """That of its 8-bit pixels, whatever they were decoded from or are encoded as."""
    expected = "255d866a1acb00ba764c7909041d4ada0c074826829490eb90c06a883fde41cf"
    assert encode_image(PIXELS)[0].digest == expected
    assert encode_image(PIXELS, "jpeg")[0].digest == expected
    assert prepare_image(PIXELS[None] / np.float32(255)).media.digest == expected
    assert prepare_image(ramp(1, 9, 8, 4)).media.digest == (
        "e36f77dcf1b4603dec1db943920241f4f733b07d246a456e26de2a08c8c6c33d"
    )


def test_digest_of_a_file_is_frozen(tmp_path: Path) -> None:
    """SHA-256 of its bytes; of a part, that and its times in microseconds."""
    path = tmp_path / "a"
    path.write_bytes(b"pika" * 700_000)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_digest(path) == digest
    assert part_digest(digest, Part()) == digest
    assert part_digest("0" * 64, Part(1.5, 2.25)) == (
        "df80c3c989413d4f3d942f43bdd0797e187119c44a325e5a35cb569e70d09c1a"
    )


def test_what_differs_has_another_digest(encode: Encode) -> None:
    """Each change that a person could see or hear: size, order and values of the frames, their
    rate; the sound, its rate, its channels, its length within the video, and having none."""
    stereo = Sound(wave(), 44100)
    different = [
        frames(IMAGES),
        frames(IMAGES[::-1]),
        frames(IMAGES[:4]),
        frames(IMAGES.reshape(5, 18, 16, 3)),
        frames(np.rint(IMAGES * 254) / np.float32(255)),
        frames(IMAGES, Fraction(25)),
        frames(IMAGES, Fraction(24000, 1001)),
        frames(IMAGES, sound=stereo),
        frames(IMAGES, sound=replace(stereo, rate=48000)),
        frames(IMAGES, sound=replace(stereo, waveform=wave(1, 8000))),
        frames(IMAGES, sound=replace(stereo, waveform=wave(4, 2000))),
        frames(IMAGES, sound=replace(stereo, waveform=wave()[:, ::-1])),
        frames(IMAGES, sound=replace(stereo, waveform=wave() / 2)),
        frames(IMAGES, sound=replace(stereo, waveform=wave()[:, :, :3999])),
        frames(IMAGES, Fraction(25), stereo),
    ]
    digests = [encode(video).digest for video in different]
    assert len(set(digests)) == len(different)


def test_what_no_one_notices_has_the_same_digest(encode: Encode) -> None:
    """How a number is stored, what is clipped or rounded away, and sound behind the last frame."""
    stereo = Sound(wave(), 44100)
    same = [
        frames(IMAGES, 24, stereo),
        frames(IMAGES, 24.0, stereo),
        frames(IMAGES.astype(np.float64), Fraction(48, 2), stereo),
        frames(IMAGES + np.float32(0.0001), Fraction(24), stereo),
        frames(np.where(IMAGES == 1, np.float32(3), IMAGES), 24, stereo),
        frames(np.where(IMAGES == 0, np.float32(-3), IMAGES), 24, stereo),
        frames(IMAGES, 24, replace(stereo, waveform=wave()[0])),
        frames(IMAGES, 24, replace(stereo, waveform=wave().astype(np.float64))),
        frames(IMAGES, 24, replace(stereo, waveform=np.where(wave() == 0, -0.0, wave()))),
        frames(np.concatenate([IMAGES, np.ones((5, 1, 18, 3), np.float32)], 1), 24, stereo),
    ]
    assert len({encode(video).digest for video in same}) == 1
    assert len({encode(frames(IMAGES, rate)).digest for rate in (29.97, Fraction(2997, 100))}) == 1
    behind = [Sound(wave(2, 20_000)[:, :, :count], 44100) for count in (20_000, 15_000, 9188)]
    assert len({encode(frames(IMAGES, sound=sound)).digest for sound in behind}) == 1
    none = [None, Sound(np.zeros((1, 2, 0), np.float32), 44100)]
    assert len({encode(frames(IMAGES, sound=sound)).digest for sound in none}) == 1


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_frames_and_sound_are_encoded(encode: Encode, rate: int, channels: int) -> None:
    """MP4 with all frames and as much sound as there is video, at any rate."""
    time = np.arange(rate) / rate
    tone = np.tile(np.sin(2 * np.pi * 440 * time).astype(np.float32) / 4, (1, channels, 1))
    images = np.repeat(ramp(1, 47, 63, 3), 12, axis=0)
    media = encode(frames(images, Fraction(24), Sound(tone, rate)))
    assert isinstance(media.data, Path)
    clip = Clip(media.data.read_bytes())
    assert (clip.codec, clip.form, clip.size) == ("h264", "yuv420p", (62, 46))
    assert clip.times == pytest.approx([number / 24 for number in range(12)])
    assert (clip.sound_codec, clip.channels) == ("aac", min(channels, 2))
    assert clip.sound == pytest.approx(0.5, abs=2100 / clip.rate)
    expected = np.rint(images[0, :46, :62] * 255)
    assert abs(clip.pixels.astype(int).mean((0, 1)) - expected.mean((0, 1))).max() < 6


@pytest.mark.parametrize(
    ("video", "words"),
    [
        (frames(ramp(0, 16, 16, 3)), "no frames"),
        (frames(ramp(2, 16, 16, 2)), "shape"),
        (frames(ramp(2, 1, 16, 3)), "one pixel"),
        (frames(np.full((2, 4, 4, 3), np.nan, np.float32)), "not numbers"),
        (frames(IMAGES, 0), "not positive"),
        (frames(IMAGES, float("nan")), "not a number"),
        (frames(IMAGES, sound=Sound(wave() * np.nan, 44100)), "not numbers"),
        (frames(IMAGES, sound=Sound(np.zeros((2, 2, 9), np.float32), 44100)), "shape"),
        (frames(IMAGES, sound=Sound(wave(), 0)), "0 Hz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_encoded_is_refused(
    encode: Encode, tmp_path: Path, video: Frames, words: str
) -> None:
    """The error names the input, and no file is left."""
    with pytest.raises(InvalidInput, match=f"video: .*{words}"):
        encode(video)
    assert list(tmp_path.iterdir()) == []
