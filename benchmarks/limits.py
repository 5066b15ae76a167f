"""What this machine can do at most in each step that the benchmarks spend time on."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import statistics
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from benchmarks import ours
from benchmarks.measure import Effort, timed
from benchmarks.pictures import LARGEST, SIZES, SMALL, photograph
from benchmarks.upload import discarding_server

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

_MEGABYTE: Final = 1024 * 1024
#: Rows that are filtered together: they stay in the processor's cache.
_ROWS: Final = 32


def limits(effort: Effort) -> str:
    """A Markdown table for the 4K photograph, on one core."""
    size = effort.choose(LARGEST, LARGEST, SMALL)
    repetitions, sent = effort.choose(7, 3, 1), effort.choose(200, 200, 2) * _MEGABYTE
    floats = photograph(*SIZES[size])
    pixels = ours.to_rgb8(floats)
    filtered = _filter(pixels)
    file = ours.encode_png(pixels)
    picture = Image.fromarray(pixels)
    raw = pixels.nbytes
    steps: list[tuple[str, int, Callable[[], object]]] = [
        ("copy the tensor (memcpy)", floats.nbytes, floats.copy),
        ("tensor to 8 bits (`to_rgb8`)", floats.nbytes, lambda: ours.to_rgb8(floats)),
        ("hash the pixels (SHA-256)", raw, lambda: hashlib.sha256(pixels).digest()),
        ("PNG filter (Average)", raw, lambda: _filter(pixels)),
        ("zlib level 1, Z_RLE", raw, lambda: _compress(filtered, 1, zlib.Z_RLE)),
        ("zlib, Huffman coding alone", raw, lambda: _compress(filtered, 1, zlib.Z_HUFFMAN_ONLY)),
        ("zlib level 6, default strategy", raw, lambda: _compress(filtered, 6, 0)),
        ("CRC-32 of the PNG", len(file), lambda: zlib.crc32(file)),
        ("Base64 of the PNG", len(file), lambda: base64.b64encode(file)),
        ("our PNG (`encode_png`)", raw, lambda: ours.encode_png(pixels)),
        ("JPEG quality 95, 4:4:4 (libjpeg)", raw, lambda: _jpeg(picture)),
        ("to a server of this machine (loopback)", sent, lambda: _send(sent)),
    ]
    lines = [f"| step, {size} photograph | ms | MB/s of its input |", "| --- | ---: | ---: |"]
    for name, count, call in steps:
        call()
        seconds = statistics.median(timed(call) for _ in range(repetitions))
        lines.append(f"| {name} | {seconds * 1e3:.1f} | {count / seconds / 1e6:,.0f} |")
    return "\n".join(lines)


def _filter(pixels: Pixels) -> Pixels:
    """Each byte minus the mean of the byte above and that of the pixel to the left (PNG 9.2)."""
    height, width, channels = pixels.shape
    padded = np.zeros((height + 1, width + 1, channels), np.uint8)
    padded[1:, 1:] = pixels
    result = np.empty_like(pixels)
    for start in range(0, height, _ROWS):
        stop = min(start + _ROWS, height)
        left, up = padded[start + 1 : stop + 1, :-1], padded[start:stop, 1:]
        # The mean without a carry into a ninth bit.
        mean = (left & up) + ((left ^ up) >> 1)
        np.subtract(pixels[start:stop], mean, out=result[start:stop])
    return result


def _compress(data: Pixels, level: int, strategy: int) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return compressor.compress(data) + compressor.flush()


def _jpeg(picture: Image.Image) -> None:
    picture.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)


def _send(size: int) -> None:
    block = bytes(_MEGABYTE)
    with discarding_server() as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
            for _ in range(size // len(block)):
                connection.sendall(block)
            connection.recv(1024)
