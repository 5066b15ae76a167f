"""What a node displays while it runs: progress bar, text and preview image."""

from __future__ import annotations

import asyncio
import io as bytes_io
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from comfy_api.latest import ComfyAPI
from server import PromptServer

from ..pika_api.errors import InvalidInput, PikaError
from ..pika_api.log import log
from ..pika_api.media import open_picture
from ..pika_api.message import Message
from ..pika_api.progress import Progress, ProgressObserver
from ..pika_api.text import format_duration, sanitize, short_id
from . import host
from .language import say, translated_errors
from .lists import Done, Outcome, count_problems, stop_message, summarize

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..pika_api.tasks import Service

#: The whole ids of the tasks that a node's texts are about, in its output: a text has only their
#: first characters.
TASKS: Final = "pika_tasks"
#: Seconds between two updates of the elapsed time.
_UPDATE_INTERVAL = 1.0
#: Where a feed does not report its progress, the bar approaches this per cent in steps that halve
#: the rest every so many seconds. It moves, and never claims to be finished.
_ESTIMATE_LIMIT = 90
_ESTIMATE_HALF_LIFE = 45.0
#: Maximum length of a node's text, in characters.
_MAX_NODE_TEXT = 2000
_HTML_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "’"})


def node_text(text: str) -> str:
    """A text as a node may display it: in its progress text, and in the ``text`` of its output.

    Frontends before 1.58 put a progress text into ``innerHTML``; 1.58 escapes it. Escaped as HTML
    it would be wrong in one of the two, so characters with a meaning in HTML are replaced by
    similar ones. ``[[label|url]]`` is the frontend's syntax for links, which a gateway's text must
    not use.
    """
    text = sanitize(text).translate(_HTML_LOOKALIKES).replace("[[", "[ [")
    return text if len(text) <= _MAX_NODE_TEXT else text[: _MAX_NODE_TEXT - 1] + "…"


def text_output(text: str, *task_ids: str) -> dict[str, Any]:
    """The part of a node's ``ui`` output with its text, and the ids of the tasks it is about.

    No other code puts a text into an output.
    """
    return {"text": [node_text(text)], TASKS: list(task_ids)}


def send_node_text(text: str, node_id: str) -> None:
    """Display a text on a node, in the editors of all connected clients.

    This is the only caller of ``send_progress_text``.
    """
    PromptServer.instance.send_progress_text(node_text(text), node_id)


def send_to_page(event: str, data: dict[str, int | float | str]) -> None:
    """Send an event to the page that queued the current prompt, if it came from one."""
    if (page := PromptServer.instance.client_id) is not None:
        PromptServer.instance.send_sync(event, data, page)


@dataclass
class _Items:
    """The items of one node in one prompt.

    A node that is mapped over a list is executed once per item, all at the same time, but has only
    one bar and one text. Its executions share this.

    Attributes:
        per_cent: The progress of each item, by its place in the list.
        outcomes: How the items ended that have ended.
        began: When the oldest of their tasks was submitted, in `time.monotonic` seconds; None
            while that is not known. The items have one clock: it only moves to an earlier time.
    """

    per_cent: dict[int, int] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    began: float | None = None


class NodeDisplay:
    """Progress bar, text and preview on one node, for one execution of it.

    Args:
        node_id: ComfyUI's id of the node.
        service: Fetches poster images.
        items: All items of the node; this one is added already.
        index: The place of this item in the list.
        done: What the node does with an item, for the summary of a list.

    Attributes:
        name: What this item is called in a summary.
    """

    def __init__(
        self, node_id: str, service: Service, items: _Items, index: int, done: Done, name: str
    ) -> None:
        self.name = name
        self._node_id = node_id
        self._service = service
        self._items = items
        self._index = index
        self._done = done
        self._progress = Progress("")
        self._updated_at = 0.0
        self._poster_url = ""
        self._poster_task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.observer = ProgressObserver(check=self._check, report=self._report)

    @property
    def index(self) -> int | None:
        """The place of this item in its list; None if the node has no other item."""
        return self._index if len(self._items.per_cent) > 1 else None

    def _check(self) -> None:
        host.check_interrupt()
        if self._progress.text and time.monotonic() - self._updated_at >= _UPDATE_INTERVAL:
            self._send(self._line())

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        if progress.elapsed:
            began = time.monotonic() - progress.elapsed
            self._items.began = min(began, self._items.began or began)
        per_cent = self._items.per_cent
        per_cent[self._index] = max(per_cent[self._index], self._per_cent())
        self._send(self._line())
        # A signed link has a new query each time; the picture is the same.
        poster_url = progress.poster_url.partition("?")[0]
        if poster_url and poster_url != self._poster_url and self._poster_task is None:
            self._poster_url = poster_url
            self._poster_task = self._start(self._send_poster(progress))

    def _per_cent(self) -> int:
        """The feed's progress, or an estimate from the elapsed time where the feed stays at 0."""
        progress = self._progress
        if progress.progress or not progress.elapsed:
            return progress.progress
        return int(_ESTIMATE_LIMIT * (1 - 2.0 ** (-progress.elapsed / _ESTIMATE_HALF_LIFE)))

    def _line(self) -> str:
        parts = [say(self._progress.text)]
        if self._progress.elapsed and self._items.began is not None:
            parts.append(format_duration(time.monotonic() - self._items.began))
        # The items of a list take turns in the text, and each has another task.
        if self._progress.task_id and self.index is None:
            parts.append(short_id(self._progress.task_id))
        return " · ".join(parts)

    def _total_per_cent(self) -> float:
        return sum(self._items.per_cent.values()) / len(self._items.per_cent)

    def _send(self, text: str) -> None:
        self._updated_at = time.monotonic()
        send_node_text(self._in_list(text), self._node_id)
        self._start(ComfyAPI.Execution().set_progress(self._total_per_cent(), 100.0))

    def _in_list(self, text: str) -> str:
        """A text about this item, as a text about the node."""
        total, outcomes = len(self._items.per_cent), self._items.outcomes
        if total == 1:
            return text
        if len(outcomes) == total:
            return say(summarize(self._done, outcomes, total))
        problems = count_problems(outcomes.values())
        count = Message("{ended} of {total}", ended=len(outcomes), total=total)
        if problems:
            count = Message(
                "{ended} of {total} ({problems} with a problem)",
                ended=len(outcomes),
                total=total,
                problems=problems,
            )
        return " · ".join(filter(None, (say(count), text)))

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

    def finish(self, outcome: Outcome) -> None:
        """Display the result of this execution."""
        self._items.per_cent[self._index] = 100
        self._items.outcomes[self._index] = outcome
        self._progress = Progress("")
        self._send(say(outcome.text))

    def skip(self, error: PikaError) -> Outcome:
        """Display that this item has failed, and that the others go on."""
        global _unknown_skipped
        is_unknown = error.charged is None
        _unknown_skipped += is_unknown
        level = logging.WARNING if is_unknown else logging.INFO
        log.log(level, "node %s: skipped: %s", self._node_id, error)
        outcome = Outcome.of_error(error, self.name, skipped=True)
        self.finish(outcome)
        return outcome

    def fail(self, error: PikaError) -> None:
        """Display why this item has failed. ComfyUI displays the error, but not lastingly, and not
        which item it is about.
        """
        outcome = Outcome.of_error(error, self.name)
        if self.index is not None:
            self.finish(outcome)
            return
        self._items.outcomes[self._index] = outcome  # others may follow
        if not isinstance(error, InvalidInput):  # the editor marks the node and names the input
            text = Message.joined(" ", error.what, error.charge_note)
            self._end(self._with_short_id(say(text)))

    def stop(self) -> None:
        """Display that the user, or the failure of another node, has stopped the waiting."""
        self._end(say(stop_message(self._done, bool(self._progress.task_id))))

    def _end(self, text: str) -> None:
        self._progress = Progress("")
        send_node_text(self._in_list(text), self._node_id)

    def _with_short_id(self, text: str) -> str:
        task_id = self._progress.task_id
        return text.replace(task_id, short_id(task_id)) if task_id else text

    async def close(self) -> None:
        """Wait until pending updates are sent. A poster that is not there yet is dropped."""
        if self._poster_task:
            self._poster_task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)


def _to_rgb(data: bytes) -> Image:
    """A picture as RGB: another mode makes ComfyUI's preview encoder fail, and ends the server."""
    with open_picture(bytes_io.BytesIO(data)) as poster:
        return poster.convert("RGB")


_unknown_skipped = 0


def count_unknown_skipped() -> int:
    """How many items with an unknown outcome have been skipped since ComfyUI's start."""
    return _unknown_skipped


_items_by_node: defaultdict[tuple[str, str], _Items] = defaultdict(_Items)


def _add_item(node_id: str) -> tuple[_Items, int]:
    """The items of a node, and the place of the one that is being executed, which is added."""
    prompt_id, list_index = host.executing_item()
    # ComfyUI runs one prompt at a time.
    for key in [key for key in _items_by_node if key[0] != prompt_id]:
        del _items_by_node[key]
    items = _items_by_node[prompt_id, node_id]
    index = len(items.per_cent) if list_index is None else list_index
    items.per_cent[index] = 0
    items.outcomes.pop(index, None)
    return items, index


@asynccontextmanager
async def display(
    node_id: str, *, done: Done = Done.FINISHED, name: str = ""
) -> AsyncIterator[tuple[NodeDisplay, Service]]:
    """The display of the node that is being executed, and the service to use with it.

    Args:
        done: What the node does with an item, for the summary of a list.
        name: What the item is called there.
    """
    items, index = _add_item(node_id)  # before the first await, so that each item knows the others
    with translated_errors():
        async with host.open_service() as service:
            node_display = NodeDisplay(node_id, service, items, index, done, name)
            try:
                yield node_display, service
            except PikaError as error:
                node_display.fail(error)
                raise
            except BaseException as error:
                if host.is_interrupt(error):
                    node_display.stop()
                raise
            finally:
                await node_display.close()
