"""An encoded picture or video in a request."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import InvalidInput
from ..message import Message

#: How many bytes are read at a time. A multiple of 3: then the Base64 of the chunks, joined, is the
#: Base64 of the whole.
_CHUNK_BYTES: Final = 3 * 256 * 1024


@dataclass(frozen=True)
class Media:
    """A picture or video that is sent.

    Attributes:
        digest: SHA-256 of the input, 64 hexadecimal digits: of the 8-bit pixels of a picture, of
            the file of a video, or of its 8-bit frames and its sound. It does not change with the
            encoding.
        mime: The MIME type of `data`.
        width, height: Pixels.
        data: The encoded bytes, or the file that contains them.
        size: Size of `data` in bytes.
        earlier_digest: The digest that version 0.1.0 computed; empty if it is the same.
    """

    digest: str
    mime: str
    width: int
    height: int
    data: bytes | Path = field(repr=False)
    size: int
    earlier_digest: str = ""

    @property
    def base64_size(self) -> int:
        """Length of its Base64, in characters."""
        return 4 * ((self.size + 2) // 3)

    def base64_chunks(self) -> Iterator[bytes]:
        """Its Base64 in chunks. A file is read chunk by chunk.

        Raises:
            InvalidInput: The size of the file is not `size` any more.
            OSError: The file cannot be read.
        """
        sent = 0
        source = io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")
        with source:
            while chunk := source.read(_CHUNK_BYTES):
                sent += len(chunk)
                if sent > self.size:
                    break
                yield base64.b64encode(chunk)
        if sent != self.size:
            raise InvalidInput(
                "video",
                Message("the file changed while it was being sent."),
                Message("Queue again when the file is complete."),
            )
