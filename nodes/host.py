"""The only door to ComfyUI's insides: folders, progress, interrupt, and the pack's one service."""

from __future__ import annotations

import asyncio
import io as bytes_io
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management as model_management
import folder_paths
from comfy_api.latest import ComfyAPI
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..pika_api import units
from ..pika_api.home import FOLDER, journal_url
from ..pika_api.log import log
from ..pika_api.watch import Report, Watch

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..pika_api.journal import Journal
    from ..pika_api.service import Service

#: The folder of finished files, below ComfyUI's output folder.
SUBFOLDER = "pika"
#: The folder of small pictures for the list of tasks, in the private one.
POSTERS = "posters"

_lock = threading.Lock()
_service: Service | None = None
_journal: Journal | None = None


def home() -> Path:
    """The pack's private folder: ComfyUI's system user directory, which it serves to nobody."""
    # Older ComfyUI (0.3.64) has no function for it; the place is the same.
    return Path(folder_paths.get_user_directory()) / FOLDER


def output_folder() -> Path:
    """Where finished files go."""
    return Path(folder_paths.get_output_directory()) / SUBFOLDER


def temp_file(suffix: str) -> Path:
    """A name for a passing file; ComfyUI empties the folder at its start and end."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    # No time in it: the clock of Windows stands still for 15 ms.
    return folder / f"pika_{uuid.uuid4().hex}{suffix}"


def saved_result(path: Path) -> tuple[str, str]:
    """File name and subfolder of a finished file, as the editor asks for them."""
    subfolder = path.parent.relative_to(folder_paths.get_output_directory())
    return path.name, subfolder.as_posix()


def is_output(path: Path) -> bool:
    """Whether a file is below ComfyUI's output folder."""
    return path.is_relative_to(folder_paths.get_output_directory())


def addresses() -> Sequence[str]:
    """What ComfyUI listens to: the addresses and names given to ``--listen``."""
    from comfy.cli_args import args

    return [address.strip() for address in args.listen.split(",")]


def versions() -> dict[str, str]:
    """ComfyUI's and its editor's, for a bug report."""
    from comfyui_version import __version__

    try:
        frontend = metadata.version("comfyui-frontend-package")
    except metadata.PackageNotFoundError:
        frontend = "of its own"  # --front-end-root
    return {"ComfyUI": __version__, "ComfyUI's editor": frontend}


def journal() -> Journal:
    """The one journal, which needs no settings."""
    # Imported late: requests and SQLAlchemy would otherwise weigh on ComfyUI's start.
    from ..pika_api.journal import Journal

    global _journal
    with _lock:
        if _journal is None:
            _journal = Journal(journal_url(home()))
        return _journal


def service() -> Service:
    """The one service, made at its first use and again when the settings have changed."""
    from ..pika_api.service import Service
    from ..pika_api.settings_file import load

    global _service
    settings, kept = load(home()), journal()
    with _lock:
        if _service is None or _service.settings != settings:
            # An earlier one ends with the calls that still use it.
            _service = Service(settings, kept, output_folder(), posters=home() / POSTERS)
        return _service


def check_interrupt() -> None:
    """Raise ComfyUI's interrupt if the user has asked for it.

    Only looks: ComfyUI's own check clears the flag, and of many waiters one would see it.
    """
    if model_management.processing_interrupted():
        raise model_management.InterruptProcessingException


def prompt_id() -> str:
    """ComfyUI's id of the prompt that is running here; empty outside of one."""
    context = get_executing_context()
    return context.prompt_id if context else ""


def blocked(message: str) -> ExecutionBlocker:
    """An output's value that stops only what hangs on it, with a message."""
    return ExecutionBlocker(message)


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
        self._report = Report("")
        self._shown = 0.0
        self._since = time.monotonic()
        self._poster = ""
        self._poster_task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.watch = Watch(check=self._check, report=self._take)

    @property
    def _board(self) -> dict[Display, int]:
        """Per cent of every run of this node that is under way or over in this prompt."""
        return _boards[prompt_id(), self._node_id]

    def _check(self) -> None:
        check_interrupt()
        if self._report.text and time.monotonic() - self._shown >= 1.0:
            self._show(self._line())

    def _take(self, report: Report) -> None:
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
            parts.append(units.duration(self._elapsed()))
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

    async def _show_poster(self, report: Report) -> None:
        data = await self._service.picture(report.poster_url, report.task_id)
        picture = await self._service.prepare(_preview, data)
        per_cent = sum(self._board.values()) / max(len(self._board), 1)
        await ComfyAPI.Execution().set_progress(per_cent, 100.0, preview_image=picture)

    def say(self, text: str) -> None:
        """The last word of this run."""
        self._board[self] = 100
        self._report = Report("")
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
    for key in [key for key in _boards if key[0] != prompt_id()]:
        del _boards[key]
    current = service()
    shown = Display(node_id, current)
    try:
        yield shown, current
    finally:
        await shown.finish()
