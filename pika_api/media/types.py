"""An encoded picture or video that a request contains."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import InvalidInput

#: Read sizes are multiples of 3 so that Base64 of the parts is Base64 of the whole.
_CHUNK: Final = 3 * 256 * 1024


@dataclass(frozen=True)
class Media:
    """One picture or video on its way out.

    Attributes:
        digest: SHA-256 of what the user gave (a picture's 8-bit pixels, a video's file), which
            stays the same when the encoding changes.
        mime: The type of `data`.
        width: Pixels.
        height: Pixels.
        data: The encoded bytes, or the file they are in.
        size: How many bytes `data` has.
    """

    digest: str
    mime: str
    width: int
    height: int
    data: bytes | Path = field(repr=False)
    size: int

    @property
    def base64_size(self) -> int:
        """How many characters it has in Base64."""
        return 4 * ((self.size + 2) // 3)

    def base64_chunks(self) -> Iterator[bytes]:
        """Its Base64 in parts; a file is read as it goes, never as a whole.

        Raises:
            InvalidInput: The file has another size than when it was looked at.
            OSError: The file cannot be read.
        """
        sent = 0
        source = io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")
        with source:
            while chunk := source.read(_CHUNK):
                sent += len(chunk)
                if sent > self.size:
                    break
                yield base64.b64encode(chunk)
        if sent != self.size:
            raise InvalidInput(
                "video", "the file changed while it was being sent.", "Queue again when it is done."
            )
