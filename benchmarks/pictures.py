"""Pictures to encode: generated ones, and a still from ComfyUI's workflow templates."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.measure import Effort

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image as PilImage

    Floats = npt.NDArray[np.float32]

SMALL: Final = "256²"
LARGEST: Final = "4K"
#: Width and height in pixels.
SIZES: Final = {
    SMALL: (256, 256),
    "1024²": (1024, 1024),
    "1080p": (1920, 1080),
    LARGEST: (3840, 2160),
}
STILL: Final = "template still"
#: Pictures without grain: scaled up four times, and drawn.
UPSCALED: Final = "1080p upscaled"
DRAWN: Final = "1080p drawn"
SMOOTH: Final = (UPSCALED, DRAWN)
_SEED: Final = 7
_GRAIN: Final = 2.0 / 255.0
_SHAPES: Final = 60
#: Pixels of a large still.
_LARGE: Final = 1_000_000
#: How often the upscaled picture is larger than its original.
_SCALE: Final = 4


@dataclass(frozen=True)
class Picture:
    """A picture on disk: float32 ``[1,H,W,3]`` in 0…1, like an IMAGE."""

    path: Path

    def load(self) -> Any:
        """The torch tensor."""
        import torch

        return torch.from_numpy(np.load(self.path))


def gallery(folder: Path, effort: Effort) -> dict[str, Picture]:
    """The pictures for this effort by name, written into the folder."""
    names = effort.choose(["1024²", "1080p", LARGEST], ["1024²", "1080p"], [SMALL])
    pictures = {
        name: _saved(folder / f"{SIZES[name][0]}.npy", photograph(*SIZES[name])) for name in names
    }
    if effort is not Effort.SMOKE:
        pictures[UPSCALED] = _saved(folder / "upscaled.npy", upscaled(*SIZES["1080p"]))
        pictures[DRAWN] = _saved(folder / "drawn.npy", drawn(*SIZES["1080p"]))
        if (still := find_still()) is not None:
            pictures[STILL] = _saved(folder / "still.npy", _opened(still))
    return pictures


def _saved(path: Path, pixels: Floats) -> Picture:
    np.save(path, pixels)
    return Picture(path)


def photograph(width: int, height: int) -> Floats:
    """Always the same picture: 1/f texture, light, shapes with edges, and sensor grain."""
    chance = np.random.default_rng(_SEED)
    light = _texture(chance, width, height, 1.1) * 0.10
    down = np.linspace(0.75, 0.35, height, dtype=np.float32)[:, None]
    picture = np.empty((height, width, 3), np.float32)
    for channel, tint in enumerate((0.05, 0.0, -0.04)):
        colour = _texture(chance, width, height, 1.4) * 0.03
        picture[..., channel] = down + tint + light + colour
    for _ in range(_SHAPES):
        _add_shape(picture, chance)
    picture += chance.standard_normal(picture.shape, np.float32) * np.float32(_GRAIN)
    levels = np.rint(np.clip(picture, 0.0, 1.0) * 255.0)
    return (levels / np.float32(255.0)).astype(np.float32)[None]


def upscaled(width: int, height: int) -> Floats:
    """A photograph that was scaled up: smooth, with grain that is larger than a pixel."""
    from PIL import Image

    small = photograph(width // _SCALE, height // _SCALE)[0]
    original = Image.fromarray(np.rint(small * 255.0).astype(np.uint8))
    return _floats(original.resize((width, height), Image.Resampling.LANCZOS))


def drawn(width: int, height: int) -> Floats:
    """Flat colours with black outlines and smooth edges."""
    from PIL import Image, ImageDraw

    chance = np.random.default_rng(_SEED)
    canvas = Image.new("RGB", (2 * width, 2 * height), (240, 230, 210))
    pen = ImageDraw.Draw(canvas)
    for _ in range(3 * _SHAPES):
        left, top = chance.integers(0, 2 * width), chance.integers(0, 2 * height)
        right, bottom = left + chance.integers(20, 600), top + chance.integers(20, 500)
        red, green, blue = chance.integers(0, 256, 3).tolist()
        pen.ellipse((left, top, right, bottom), fill=(red, green, blue), outline=(0, 0, 0), width=6)
    return _floats(canvas.resize((width, height), Image.Resampling.LANCZOS))


def _texture(chance: np.random.Generator, width: int, height: int, power: float) -> Floats:
    """Noise with the spectrum of natural scenes, blurred as by a lens. Its deviation is 1."""
    noise = np.fft.rfft2(chance.standard_normal((height, width), np.float32))
    up = np.fft.fftfreq(height).astype(np.float32)[:, None]
    along = np.fft.rfftfreq(width).astype(np.float32)[None]
    frequency = np.hypot(up, along)
    frequency[0, 0] = 1.0
    noise *= frequency**-power * np.exp(-((frequency / 0.3) ** 2))
    noise[0, 0] = 0.0
    texture = np.fft.irfft2(noise, s=(height, width)).astype(np.float32)
    return texture / texture.std()


def _add_shape(picture: Floats, chance: np.random.Generator) -> None:
    """Draw an ellipse in a random colour. Its edge is two pixels soft."""
    height, width = picture.shape[:2]
    across, high = (chance.uniform(0.02, 0.15, 2) * min(width, height)).tolist()
    x, y = chance.uniform(0, width), chance.uniform(0, height)
    left, right = max(int(x - across) - 2, 0), min(int(x + across) + 3, width)
    top, bottom = max(int(y - high) - 2, 0), min(int(y + high) + 3, height)
    columns = (np.arange(left, right, dtype=np.float32) - x) / across
    rows = (np.arange(top, bottom, dtype=np.float32) - y) / high
    away = (1.0 - np.hypot(rows[:, None], columns[None])) * min(across, high)
    cover = np.clip(away / 2.0 + 0.5, 0.0, 1.0)[..., None]
    colour = chance.uniform(-0.3, 0.3, 3).astype(np.float32)
    picture[top:bottom, left:right] += cover * colour


def find_still() -> Path | None:
    """The most detailed large still among the pictures of ComfyUI's workflow templates."""
    paths = [
        path
        for place in sys.path
        for path in Path(place).glob("comfyui_workflow_templates*/templates/*.webp")
    ]
    for path in sorted(paths, key=lambda path: (-path.stat().st_size, path.name)):
        if _is_large_still(path):
            return path
    return None


def _is_large_still(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        single = getattr(picture, "n_frames", 1) == 1
        return single and picture.width * picture.height >= _LARGE


def _opened(path: Path) -> Floats:
    from PIL import Image

    with Image.open(path) as picture:
        return _floats(picture.convert("RGB"))


def _floats(picture: PilImage) -> Floats:
    return (np.asarray(picture, np.float32) / np.float32(255.0))[None]
