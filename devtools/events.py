"""What ComfyUI says on its websocket, collected by a thread."""

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

PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
CONNECT_WITHIN = 120.0
EVENT_WITHIN = 120.0
FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


@dataclass(frozen=True)
class Event:
    """One message.

    `type` is ComfyUI's own ("executing", "progress", "executed", …), and for binary messages
    "progress_text" (data: node, text), "preview" (data: format, or the metadata; `image` holds
    the encoded picture) or "binary-N". `at` is `time.monotonic()` when it came in.
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
        self._hung_up = False

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
        """What has come in so far, oldest first."""
        with self._changed:
            return list(self._events)

    def of_type(self, *types: str) -> list[Event]:
        """The events so far of these types."""
        return [event for event in self.events if event.type in types]

    def texts(self, node: str | None = None) -> list[str]:
        """The progress texts so far, of one node or of all."""
        told = self.of_type("progress_text")
        return [e.data["text"] for e in told if node is None or e.data["node"] == node]

    def follow(self, timeout: float) -> Iterator[Event]:
        """All events, past and to come, for `timeout` seconds in all.

        Raises TimeoutError after that, and ConnectionError when ComfyUI has hung up.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            with self._changed:
                fresh = self._events[seen:]
                if not fresh:
                    left = deadline - time.monotonic()
                    if self._hung_up:
                        raise ConnectionError(f"{self._url} was closed; {self._told()}")
                    if left <= 0:
                        raise TimeoutError(f"no such event in {timeout:g} s; {self._told()}")
                    self._changed.wait(left)
            seen += len(fresh)
            yield from fresh

    def wait_for(self, wanted: Callable[[Event], bool], timeout: float = EVENT_WITHIN) -> Event:
        """The first event, past or to come, for which `wanted` is true. Raises as `follow`."""
        return next(event for event in self.follow(timeout) if wanted(event))

    def _told(self) -> str:
        return f"there were {[event.type for event in self._events]}"

    def _end(self) -> None:
        if not self._loop.is_closed():
            with suppress(RuntimeError):  # it may have closed by itself just now
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
        # A proxy of the user's has no business between two processes of this machine.
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.ws_connect(self._url, max_msg_size=0) as socket,
            ):
                # As the editor does: without this ComfyUI keeps previews to itself.
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
                self._hung_up = True
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
    """Read a binary message: big-endian type, then what that type carries (server.py)."""
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
