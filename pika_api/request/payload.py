"""The request body as a stream of JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..media import Media


class Payload:
    """A JSON body whose media are read and encoded as Base64 while it is sent.

    The memory that it needs does not grow with the media. Its length is known, so the request has a
    Content-Length. It records how much was handed over: a request that broke off before its end
    certainly did not become a task.

    Attributes:
        started: Whether any byte was handed over.
        complete: Whether all bytes were.
        sent: How many bytes were.

    Args:
        body: The body; it may contain `Media`.
        data_uri: Write media as ``data:<type>;base64,…`` instead of bare Base64.

    Raises:
        TypeError: The body contains a value that is neither JSON nor `Media`.
    """

    def __init__(self, body: Mapping[str, Any], *, data_uri: bool = False) -> None:
        media: dict[str, Media] = {}

        def add_placeholder(value: object) -> str:
            if not isinstance(value, Media):
                raise TypeError(f"{type(value).__name__} cannot be part of a request")
            name = f"media-{uuid.uuid4()}"
            media[name] = value
            return name

        text = json.dumps(body, default=add_placeholder)
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
        """The body from its start. Raises as `chunks`."""
        return self.chunks(lambda: None)

    def chunks(self, confirm: Callable[[], None]) -> Iterator[bytes]:
        """The body from its start.

        Args:
            confirm: Called before the last bytes; may raise, and then the body is never complete.

        Raises:
            InvalidInput: A media file changed meanwhile.
            OSError: A media file cannot be read.
        """
        self.reset()
        self.started = True
        for part in self._parts:
            for chunk in part.base64_chunks() if isinstance(part, Media) else (part,):
                yield chunk
                self.sent += len(chunk)
        confirm()
        # Set before the last bytes leave: from here on the whole body may have arrived.
        self.complete = True
        yield self._end

    def reset(self) -> None:
        """Forget an earlier attempt: it proves nothing about the next one."""
        self.started = self.complete = False
        self.sent = 0

    @property
    def heaviest(self) -> tuple[str, int] | None:
        """The largest media: ``image`` or ``video``, and its size in the body in bytes."""
        media = [part for part in self._parts if isinstance(part, Media)]
        if not media:
            return None
        largest = max(media, key=lambda part: part.base64_size)
        return largest.mime.split("/")[0], largest.base64_size
