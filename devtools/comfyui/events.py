"""The messages of ComfyUI's websocket, collected by a thread."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp

# Types of binary messages, from `protocol.py` of ComfyUI.
PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
#: Seconds.
CONNECT_WITHIN = 120.0
EVENT_WITHIN = 120.0
FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


@dataclass(frozen=True)
class Event:
    """One message.

    Attributes:
        at: `time.monotonic()` when it arrived.
        type: ComfyUI's name ("executing", "progress", "executed", …). Binary messages:
            "progress_text" (data: node, text), "preview" (data: format or the metadata; `image`
            is the encoded picture) or "binary-N".
    """

    at: float
    type: str
    data: Mapping[str, Any]
    image: bytes = field(default=b"", repr=False)


class Listener:
    """Collects the events of one client id while its `with` block lasts."""

    def __init__(self, url: str, client_id: str) -> None:
        self.client_id = client_id
        self._url = f"{url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"ws-{client_id}", daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._closed = False

    def __enter__(self) -> Listener:
        self._thread.start()
        connected = self._open.wait(CONNECT_WITHIN)
        if self._failure is not None or not connected:
            self._end()
            raise ConnectionError(f"no websocket at {self._url}") from self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def events(self) -> list[Event]:
        """All events so far, oldest first."""
        with self._changed:
            return list(self._events)

    def of_type(self, *types: str) -> list[Event]:
        """All events of these types so far."""
        return [event for event in self.events if event.type in types]

    def texts(self, node: str | None = None) -> list[str]:
        """The progress texts so far, of one node or of all."""
        events = self.of_type("progress_text")
        return [e.data["text"] for e in events if node is None or e.data["node"] == node]

    def follow(self, timeout: float) -> Iterator[Event]:
        """All events, past and future, for `timeout` seconds in total.

        Raises TimeoutError after that time, and ConnectionError when ComfyUI closes the websocket.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            with self._changed:
                fresh = self._events[seen:]
                if not fresh:
                    left = deadline - time.monotonic()
                    if self._closed:
                        raise ConnectionError(f"{self._url} was closed; {self._summary()}")
                    if left <= 0:
                        raise TimeoutError(f"no such event in {timeout:g} s; {self._summary()}")
                    self._changed.wait(left)
            seen += len(fresh)
            yield from fresh

    def wait_for(self, wanted: Callable[[Event], bool], timeout: float = EVENT_WITHIN) -> Event:
        """The first event, past or future, for which `wanted` is true. Raises as `follow` does."""
        return next(event for event in self.follow(timeout) if wanted(event))

    def _summary(self) -> str:
        return f"events so far: {[event.type for event in self._events]}"

    def _end(self) -> None:
        if not self._loop.is_closed():
            with suppress(RuntimeError):  # the loop may have closed in the meantime
                self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._collect())
        finally:
            self._loop.close()

    async def _collect(self) -> None:
        self._task = asyncio.current_task()
        # Both processes are on this machine: no proxy.
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.ws_connect(self._url, max_msg_size=0) as socket,
            ):
                # As the editor does: without this ComfyUI sends no previews.
                await socket.send_json(FEATURES)
                self._open.set()
                async for message in socket:
                    self._take(message)
        except aiohttp.ClientError as error:
            self._failure = error
        except asyncio.CancelledError:
            return
        finally:
            self._open.set()
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _take(self, message: Any) -> None:
        at = time.monotonic()
        if message.type is aiohttp.WSMsgType.TEXT:
            body = json.loads(message.data)
            event = Event(at, body["type"], body.get("data") or {})
        elif message.type is aiohttp.WSMsgType.BINARY:
            event = _binary(at, message.data)
        else:
            return
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


def _binary(at: float, message: bytes) -> Event:
    """Parse a binary message: a big-endian type, then the data of that type (`server.py`)."""
    kind, number = struct.unpack_from(">II", message)
    rest = message[8:]
    if kind == TEXT:
        node, text = rest[:number].decode(), rest[number:].decode("utf-8", errors="replace")
        return Event(at, "progress_text", {"node": node, "text": text})
    if kind == PREVIEW:
        return Event(at, "preview", {"format": number}, rest)
    if kind == PREVIEW_WITH_METADATA:
        return Event(at, "preview", json.loads(rest[:number]), rest[number:])
    return Event(at, f"binary-{kind}", {}, message[4:])
