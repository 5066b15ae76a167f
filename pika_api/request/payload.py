"""The request body as JSON, written to the wire in parts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ..media import Media


class Payload:
    """A JSON body whose media are read and put into Base64 while it is being sent.

    Memory does not grow with the media. It has a length, so the request carries a Content-Length,
    and it knows how much of it has been handed over, which is what proves that a request which
    broke off cannot have become a task.

    Attributes:
        started: Whether any of it was handed over.
        complete: Whether all of it was.
        sent: How many bytes were.

    Args:
        body: The body, with `Media` values in it.
        data_uri: Write media as ``data:<type>;base64,…`` rather than as bare Base64.
    """

    def __init__(self, body: Mapping[str, Any], *, data_uri: bool = False) -> None:
        media: dict[str, Media] = {}

        def mark(value: object) -> str:
            if not isinstance(value, Media):
                raise TypeError(f"{type(value).__name__} cannot stand in a request")
            name = f"media-{uuid.uuid4()}"
            media[name] = value
            return name

        text = json.dumps(body, default=mark)
        self._parts: list[bytes | Media] = []
        for name, value in media.items():
            before, text = text.split(name)
            prefix = f"data:{value.mime};base64," if data_uri else ""
            self._parts += [(before + prefix).encode(), value]
        self._end = text.encode()
        self._length = len(self._end) + sum(
            part.base64_size if isinstance(part, Media) else len(part) for part in self._parts
        )
        self.started = False
        self.complete = False
        self.sent = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """The body from its start.

        Raises:
            InvalidInput: A media file changed meanwhile.
        """
        self.reset()
        self.started = True
        for part in self._parts:
            for piece in part.base64_chunks() if isinstance(part, Media) else (part,):
                yield piece
                self.sent += len(piece)
        # Said before the closing brace leaves: from here on it may have arrived whole.
        self.complete = True
        yield self._end

    def reset(self) -> None:
        """Forget an earlier try: it proves nothing of the next one."""
        self.started = self.complete = False
        self.sent = 0

    @property
    def heaviest(self) -> tuple[str, int] | None:
        """The largest media in it: ``image`` or ``video``, and how many bytes it takes up."""
        media = [part for part in self._parts if isinstance(part, Media)]
        if not media:
            return None
        largest = max(media, key=lambda part: part.base64_size)
        return largest.mime.split("/")[0], largest.base64_size
