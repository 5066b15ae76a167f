"""What a node shows while it runs: progress bar, text and preview image."""

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
from ..pika_api.progress import Progress, ProgressObserver
from ..pika_api.text import format_duration
from . import host

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..pika_api.tasks import Service


class Display:
    """Bar, text and poster on one node, for one run of it.

    A node that is mapped over a list runs once an item, all at the same time, and has one display
    for all: they share a board.

    Args:
        node_id: ComfyUI's id of the node.
        service: Fetches posters.
    """

    def __init__(self, node_id: str, service: Service) -> None:
        self._node_id = node_id
        self._service = service
        self._report = Progress("")
        self._shown = 0.0
        self._since = time.monotonic()
        self._poster = ""
        self._poster_task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.observer = ProgressObserver(check=self._check, report=self._take)

    @property
    def _board(self) -> dict[Display, int]:
        """Per cent of every run of this node that is under way or over in this prompt."""
        return _boards[host.prompt_id(), self._node_id]

    def _check(self) -> None:
        host.check_interrupt()
        if self._report.text and time.monotonic() - self._shown >= 1.0:
            self._show(self._line())

    def _take(self, report: Progress) -> None:
        self._report = report
        self._since = time.monotonic()
        self._board[self] = max(self._board.get(self, 0), self._per_cent())
        self._show(self._line())
        # A signed link is another one each time it is asked for; the picture is the same.
        poster = report.poster_url.partition("?")[0]
        if poster and poster != self._poster and self._poster_task is None:
            self._poster = poster
            self._poster_task = self._spawn(self._show_poster(report))

    def _elapsed(self) -> float:
        return self._report.elapsed + time.monotonic() - self._since if self._report.elapsed else 0

    def _per_cent(self) -> int:
        """The feed's progress; where it stays at 0, something that moves and never arrives."""
        if self._report.progress or not self._report.elapsed:
            return self._report.progress
        return int(90 * (1 - 2.0 ** (-self._elapsed() / 45.0)))

    def _line(self) -> str:
        parts = [self._report.text]
        if self._report.elapsed:
            parts.append(format_duration(self._elapsed()))
        if self._report.task_id:
            parts.append(self._report.task_id)
        return " · ".join(parts)

    def _show(self, text: str) -> None:
        self._shown = time.monotonic()
        board = self._board
        if len(board) > 1:
            text = f"{sum(value >= 100 for value in board.values())} of {len(board)} · {text}"
        PromptServer.instance.send_progress_text(text, self._node_id)
        per_cent = sum(board.values()) / len(board) if board else 0.0
        self._spawn(ComfyAPI.Execution().set_progress(per_cent, 100.0))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if task is self._poster_task:
            self._poster_task = None
        if not task.cancelled() and (error := task.exception()):
            # What is only for show must not stop what is paid for.
            log.debug("node %s: its progress could not be shown: %s", self._node_id, error)

    async def _show_poster(self, report: Progress) -> None:
        data = await self._service.fetch_poster(report.poster_url, report.task_id)
        picture = await self._service.prepare(_preview, data)
        per_cent = sum(self._board.values()) / max(len(self._board), 1)
        await ComfyAPI.Execution().set_progress(per_cent, 100.0, preview_image=picture)

    def say(self, text: str) -> None:
        """The last word of this run."""
        self._board[self] = 100
        self._report = Progress("")
        self._show(text)

    async def finish(self) -> None:
        """Let what is being shown arrive; a poster that is late is not waited for."""
        if self._poster_task:
            self._poster_task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)


def _preview(data: bytes) -> Image:
    """A poster that has been looked at, as RGB: anything else would take ComfyUI's preview
    encoder, and the server, down.
    """
    from PIL import Image

    with Image.open(bytes_io.BytesIO(data)) as poster:
        return poster.convert("RGB")


_boards: defaultdict[tuple[str, str], dict[Display, int]] = defaultdict(dict)


@asynccontextmanager
async def display(node_id: str) -> AsyncIterator[tuple[Display, Service]]:
    """The display of the node that is running here, and the service to run with it."""
    for key in [key for key in _boards if key[0] != host.prompt_id()]:
        del _boards[key]
    current = host.service()
    shown = Display(node_id, current)
    try:
        yield shown, current
    finally:
        await shown.finish()
