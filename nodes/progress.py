"""What a node displays while it runs: progress bar, text and preview image."""

from __future__ import annotations

import asyncio
import io as bytes_io
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from comfy_api.latest import ComfyAPI
from server import PromptServer

from ..pika_api.log import log
from ..pika_api.media import open_picture
from ..pika_api.progress import Progress, ProgressObserver
from ..pika_api.text import format_duration, sanitize
from . import host

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..pika_api.tasks import Service

#: Seconds between two updates of the elapsed time.
_UPDATE_INTERVAL = 1.0
#: Where a feed does not report its progress, the bar approaches this per cent in steps that halve
#: the rest every so many seconds. It moves, and never claims to be finished.
_ESTIMATE_LIMIT = 90
_ESTIMATE_HALF_LIFE = 45.0
#: Maximum length of a node's text, in characters.
_MAX_NODE_TEXT = 2000
_HTML_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "’"})


def send_node_text(text: str, node_id: str) -> None:
    """Display a text on a node, in the editors of all connected clients.

    This is the only caller of ``send_progress_text``. Frontends before 1.58 put the text into
    ``innerHTML``; 1.58 escapes it. Escaped as HTML it would be wrong in one of the two, so
    characters with a meaning in HTML are replaced by similar ones. ``[[label|url]]`` is the
    frontend's syntax for links, which a gateway's text must not use.
    """
    text = sanitize(text).translate(_HTML_LOOKALIKES).replace("[[", "[ [")
    if len(text) > _MAX_NODE_TEXT:
        text = text[: _MAX_NODE_TEXT - 1] + "…"
    PromptServer.instance.send_progress_text(text, node_id)


def send_to_page(event: str, data: dict[str, int | float | str]) -> None:
    """Send an event to the page that queued the current prompt, if it came from one."""
    if (page := PromptServer.instance.client_id) is not None:
        PromptServer.instance.send_sync(event, data, page)


class NodeDisplay:
    """Progress bar, text and preview on one node, for one execution of it.

    A node that is mapped over a list is executed once per item, all at the same time, but has only
    one bar and one text. The executions therefore share the table `_peers`.

    Args:
        node_id: ComfyUI's id of the node.
        service: Fetches poster images.
    """

    def __init__(self, node_id: str, service: Service) -> None:
        self._node_id = node_id
        self._service = service
        self._progress = Progress("")
        self._progress_at = time.monotonic()
        self._updated_at = 0.0
        self._poster_url = ""
        self._poster_task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.observer = ProgressObserver(check=self._check, report=self._report)

    @property
    def _peers(self) -> dict[NodeDisplay, int]:
        """Per cent of every execution of this node in this prompt."""
        return _per_cent_by_display[host.prompt_id(), self._node_id]

    def _check(self) -> None:
        host.check_interrupt()
        if self._progress.text and time.monotonic() - self._updated_at >= _UPDATE_INTERVAL:
            self._send(self._line())

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        self._progress_at = time.monotonic()
        self._peers[self] = max(self._peers.get(self, 0), self._per_cent())
        self._send(self._line())
        # A signed link has a new query each time; the picture is the same.
        poster_url = progress.poster_url.partition("?")[0]
        if poster_url and poster_url != self._poster_url and self._poster_task is None:
            self._poster_url = poster_url
            self._poster_task = self._start(self._send_poster(progress))

    def _elapsed(self) -> float:
        if not self._progress.elapsed:
            return 0.0
        return self._progress.elapsed + time.monotonic() - self._progress_at

    def _per_cent(self) -> int:
        """The feed's progress, or an estimate from the elapsed time where the feed stays at 0."""
        if self._progress.progress or not self._progress.elapsed:
            return self._progress.progress
        return int(_ESTIMATE_LIMIT * (1 - 2.0 ** (-self._elapsed() / _ESTIMATE_HALF_LIFE)))

    def _line(self) -> str:
        parts = [self._progress.text]
        if self._progress.elapsed:
            parts.append(format_duration(self._elapsed()))
        if self._progress.task_id:
            parts.append(self._progress.task_id)
        return " · ".join(parts)

    def _total_per_cent(self) -> float:
        return sum(self._peers.values()) / max(len(self._peers), 1)

    def _send(self, text: str) -> None:
        self._updated_at = time.monotonic()
        peers = self._peers
        if len(peers) > 1:
            text = f"{sum(value >= 100 for value in peers.values())} of {len(peers)} · {text}"
        send_node_text(text, self._node_id)
        self._start(ComfyAPI.Execution().set_progress(self._total_per_cent(), 100.0))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if task is self._poster_task:
            self._poster_task = None
        if not task.cancelled() and (error := task.exception()):
            # A display problem must not stop a paid task.
            log.debug("node %s: its progress could not be displayed: %s", self._node_id, error)

    async def _send_poster(self, progress: Progress) -> None:
        data = await self._service.fetch_poster(progress.poster_url, progress.task_id)
        image = await self._service.prepare(_to_rgb, data)
        total = self._total_per_cent()
        await ComfyAPI.Execution().set_progress(total, 100.0, preview_image=image)

    def finish_with(self, text: str) -> None:
        """Display the result of this execution."""
        self._peers[self] = 100
        self._progress = Progress("")
        self._send(text)

    async def close(self) -> None:
        """Wait until pending updates are sent. A poster that is not there yet is dropped."""
        if self._poster_task:
            self._poster_task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)


def _to_rgb(data: bytes) -> Image:
    """A picture as RGB: another mode makes ComfyUI's preview encoder fail, and ends the server."""
    with open_picture(bytes_io.BytesIO(data)) as poster:
        return poster.convert("RGB")


_per_cent_by_display: defaultdict[tuple[str, str], dict[NodeDisplay, int]] = defaultdict(dict)


@asynccontextmanager
async def display(node_id: str) -> AsyncIterator[tuple[NodeDisplay, Service]]:
    """The display of the node that is being executed, and the service to use with it."""
    for key in [key for key in _per_cent_by_display if key[0] != host.prompt_id()]:
        del _per_cent_by_display[key]
    async with host.open_service() as service:
        node_display = NodeDisplay(node_id, service)
        try:
            yield node_display, service
        finally:
            await node_display.close()
