"""Input media: a URL, or Base64 of a picture or an MP4 that can be decoded."""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import io
import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import av
from PIL import Image, UnidentifiedImageError

from .settings import MEGABYTE, is_loopback

Kind = Literal["image", "video"]

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP")
_DATA_URI = re.compile(r"data:(?P<type>[a-z]+)/[\w.+-]+;base64,", re.IGNORECASE)
_FETCH_SECONDS = 10
_FETCH_BYTES = 512 * MEGABYTE


class MediaError(Exception):
    """A medium that no gateway can use; the message says why."""


@dataclass(frozen=True)
class Medium:
    """A valid input. `data`, `width` and `height` are None for a URL that was not fetched."""

    kind: Kind
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    width: int | None = None
    height: int | None = None

    def summary(self) -> dict[str, Any] | str:
        """What the log shows: the URL as received, or the size and hash of the bytes."""
        if self.url is not None or self.data is None:
            return str(self.url)
        return {
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
        }


def read_medium(text: str, kind: Kind, *, data_uri: bool) -> Medium:
    """Reads the `image` or `video` string of a request. Raises MediaError.

    The API specification: "ensure it is a reachable URL or valid Base64 content".
    """
    if text.lower().startswith(("http://", "https://")):
        return _from_url(text, kind)
    data = _decode(text, kind, data_uri=data_uri)
    width, height = _measure(data, kind)
    return Medium(kind, None, data, width, height)


def _from_url(text: str, kind: Kind) -> Medium:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MediaError(f"is not a valid URL: {error}") from error
    if not host or any(character.isspace() for character in text):
        raise MediaError("is not a valid URL")
    # Only this machine is contacted: a test or a demo must not need the network.
    if parts.scheme.lower() != "http" or not is_loopback(host):
        return Medium(kind, text)
    data = _fetch(parts, host, port or 80)
    width, height = _measure(data, kind)
    return Medium(kind, text, data, width, height)


def _fetch(parts: SplitResult, host: str, port: int) -> bytes:
    """Downloads a loopback URL, without a proxy and without following redirects."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port, timeout=_FETCH_SECONDS)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        if answer.status != 200:
            raise MediaError(f"is not reachable: the URL answered {answer.status}")
        return answer.read(_FETCH_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise MediaError(f"is not reachable: {error}") from error
    finally:
        connection.close()


def _decode(text: str, kind: Kind, *, data_uri: bool) -> bytes:
    if text[:5].lower() == "data:":
        head = _DATA_URI.match(text)
        if not data_uri:
            raise MediaError("must be bare Base64 or an http(s) URL, not a data: URI")
        if head is None or head["type"].lower() != kind:
            raise MediaError(f"is not a data:{kind}/…;base64, URI")
        text = text[head.end() :]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"is neither an http(s) URL nor valid Base64: {error}") from error
    if not data:
        raise MediaError("contains no bytes")
    return data


def _measure(data: bytes, kind: Kind) -> tuple[int, int]:
    return _measure_picture(data) if kind == "image" else _measure_video(data)


def _measure_picture(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as picture:
            picture.load()
            width, height = picture.size
            return width, height
    except UnidentifiedImageError as error:
        raise MediaError("is not a PNG, JPEG or WebP picture") from error
    # Pillow raises SyntaxError on a broken PNG.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"is a picture that cannot be decoded: {error}") from error


def _measure_video(data: bytes) -> tuple[int, int]:
    if data[4:8] != b"ftyp" or data[8:12] == b"qt  ":
        raise MediaError("is not an MP4 video")
    try:
        with av.open(io.BytesIO(data), mode="r", format="mp4") as container:
            if not container.streams.video:
                raise MediaError("is an MP4 without a video track")
            stream = container.streams.video[0]
            # Without a decoder, PyAV before 18 has no codec_context, and crashes when it decodes.
            if getattr(stream, "codec_context", None) is None:
                raise MediaError("is an MP4 without a decoder")
            next(container.decode(stream))
            container.seek(0)
            # Counting packets detects a file that was cut short without decoding all of it.
            packets = sum(
                packet.size > 0 and not packet.is_corrupt for packet in container.demux(stream)
            )
            if packets < stream.frames:
                raise MediaError(f"is an MP4 cut short: {packets} of {stream.frames} frames")
            return stream.width, stream.height
    except StopIteration as error:
        raise MediaError("is an MP4 without a frame") from error
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"is an MP4 that cannot be decoded: {error}") from error
