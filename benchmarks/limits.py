"""What this machine can do at most, for the steps that the benchmarks spend their time in."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import statistics
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.measure import timed
from benchmarks.picture import LARGEST, SIZES, photograph
from benchmarks.uploading import discarding
from pika_api.media import images, png

_TIMES: Final = 7
#: Bytes that go to the server.
_SENT: Final = 200 * 1024 * 1024


def limits() -> str:
    """A Markdown table for the 4K photograph, one core."""
    floats = photograph(*SIZES[LARGEST])
    pixels = images.to_rgb8(floats)
    height = pixels.shape[0]
    residue = np.ascontiguousarray(png._filtered(pixels, 0, height, png._AVERAGE))
    file = png.encode_png(pixels)
    picture = Image.fromarray(pixels)
    raw = pixels.nbytes
    steps: list[tuple[str, int, Callable[[], object]]] = [
        ("copy the tensor (memcpy)", floats.nbytes, floats.copy),
        ("tensor to 8 bits (`to_rgb8`)", floats.nbytes, lambda: images.to_rgb8(floats)),
        ("hash the pixels (SHA-256)", raw, lambda: hashlib.sha256(pixels).digest()),
        ("PNG filter (Average)", raw, lambda: _filter(pixels)),
        ("zlib level 1, Z_RLE", raw, lambda: _squeeze(residue, 1, zlib.Z_RLE)),
        ("zlib, Huffman coding alone", raw, lambda: _squeeze(residue, 1, zlib.Z_HUFFMAN_ONLY)),
        ("zlib level 6, default strategy", raw, lambda: _squeeze(residue, 6, 0)),
        ("CRC-32 of the PNG", len(file), lambda: zlib.crc32(file)),
        ("Base64 of the PNG", len(file), lambda: base64.b64encode(file)),
        ("our PNG (`png.encode`)", raw, lambda: png.encode_png(pixels)),
        ("JPEG quality 95, 4:4:4 (libjpeg)", raw, lambda: _jpeg(picture)),
        ("to a server of this machine (loopback)", _SENT, _send),
    ]
    lines = ["| step, 4K photograph | ms | MB/s of its input |", "| --- | ---: | ---: |"]
    for name, size, call in steps:
        call()
        seconds = statistics.median(timed(call) for _ in range(_TIMES))
        lines.append(f"| {name} | {seconds * 1e3:.1f} | {size / seconds / 1e6:,.0f} |")
    return "\n".join(lines)


def _filter(pixels: png.Pixels) -> None:
    rows = max(png._BAND // (3 * pixels.shape[1]), 1)
    for start in range(0, pixels.shape[0], rows):
        png._filtered(pixels, start, start + rows, png._AVERAGE)


def _squeeze(data: png.Pixels, level: int, strategy: int) -> bytes:
    squeeze = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return squeeze.compress(data) + squeeze.flush()


def _jpeg(picture: Image.Image) -> None:
    picture.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)


def _send() -> None:
    piece = bytes(1024 * 1024)
    with discarding() as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\nContent-Length: {_SENT}\r\n\r\n".encode())
            for _ in range(_SENT // len(piece)):
                connection.sendall(piece)
            connection.recv(1024)
