"""Routes of the sidebar: the tasks of the journal, and actions on one of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.journal import ACTIVE, Selection, State
from ...pika_api.message import Message
from ...pika_api.request import ASPECT_RATIOS
from ...pika_api.text import is_task_id
from .. import host
from .ledger import selection_of
from .replies import Problem, read_object

if TYPE_CHECKING:
    from ...pika_api.journal import Entry, Page

#: Default and maximum number of tasks in one response.
_PAGE_SIZE: Final = 500
_MAX_PAGE_SIZE: Final = 1000
#: Characters of a prompt in the list.
_PROMPT_LENGTH: Final = 500
#: Characters of a setting in the list.
_SETTING_LENGTH: Final = 40
#: How long the feed of a finished task is asked for its link, in seconds.
_LINK_TIMEOUT: Final = 30.0
_VIDEO_SUFFIXES: Final = (".mp4", ".webm")


async def list_tasks(request: web.Request) -> web.Response:
    """GET: a page of tasks, newest first; with ``since``, the tasks that have changed.

    Pages can be filtered by ``state``, ``from``, ``to`` and ``search``, see `selection_of`. Then
    the first one also has the number of all their tasks, if nothing is searched. Where a page has
    more, the next one is that of its ``before``.
    """
    query = request.query
    limit = min(max(_number(query.get("limit", _PAGE_SIZE), "limit"), 1), _MAX_PAGE_SIZE)
    if "since" in query:
        cursor = _cursor(query["since"])
        return web.json_response(await asyncio.to_thread(_changes, cursor, limit))
    before = _number(query["before"], "before") if "before" in query else None
    selection = selection_of(query)
    return web.json_response(await asyncio.to_thread(_page, limit, before, selection))


async def show_request(request: web.Request) -> web.Response:
    """GET: the request of a task, and the answer to it if its outcome is unknown.

    Media are described by their hash.
    """
    entry = await entry_of(request)
    return web.json_response({"request": entry.request, "answer": entry.answer})


async def forget(request: web.Request) -> web.Response:
    """POST: remove a task from lists. The same request creates a new task from then on."""
    await read_object(request)
    entry = await entry_of(request)
    if not await asyncio.to_thread(host.journal().forget, entry.id):
        raise Problem(
            409,
            "being_sent",
            Message(
                "Task #{id} is being sent right now, so it cannot be forgotten. Try again in a "
                "moment.",
                id=entry.id,
            ),
        )
    return await _task_response(entry.id)


async def settle(request: web.Request) -> web.Response:
    """POST ``{"task_id": …}``: give a request with an unknown outcome the id of its task."""
    values = await read_object(request)
    entry = await entry_of(request)
    task_id = values.get("task_id")
    # Not a number: a browser rounds those above 2**53.
    if not isinstance(task_id, str) or not is_task_id(task_id.strip()):
        raise Problem(
            400, "invalid", Message("This is not a task id. Copy it from the gateway's own list.")
        )
    async with host.open_service() as service:
        settled = await service.settle(entry.id, task_id)
    return await _task_response(settled.id)


async def refresh(request: web.Request) -> web.Response:
    """POST: read the feed of an active task once. The response says whether it was read.

    The current gateway is not asked about a task of another gateway.
    """
    await read_object(request)
    entry = await entry_of(request)
    asked = False
    if entry.task_id is not None and entry.state in ACTIVE:
        async with host.open_service() as service:
            asked = entry.gateway == service.settings.gateway
            if asked:
                await service.status(entry.task_id)
    return await _task_response(entry.id, asked=asked)


async def collect(request: web.Request) -> web.Response:
    """POST: save the file of a finished task in the output folder."""
    await read_object(request)
    entry = await entry_of(request)
    if entry.task_id is None:
        raise Problem(
            409, "no_task", Message("Request #{id} has no task, and so no file.", id=entry.id)
        )
    if entry.state is State.FAILED:
        raise Problem(
            409,
            "failed",
            Message(
                "Task {task_id} failed: {last_error}",
                task_id=entry.task_id,
                last_error=entry.last_error,
            ),
        )
    # A task that is running, as far as the journal knows, is asked for once and not waited for.
    timeout = 0.0 if entry.state in ACTIVE else _LINK_TIMEOUT
    async with host.open_service() as service:
        await service.collect(entry.task_id, timeout=timeout, gateway=entry.gateway)
    return await _task_response(entry.id)


async def thumbnail(request: web.Request) -> web.StreamResponse:
    """GET: the thumbnail of a task, or 204 if it has none.

    Not 404: a browser writes every 404 of an image to its console.
    """
    entry = await entry_of(request)
    async with host.open_service() as service:
        path = await service.thumbnail(entry)
    if path is None:
        return web.Response(status=204)
    caching = {"Cache-Control": "private, max-age=86400"} if "v" in request.query else {}
    return web.FileResponse(path, headers={"Content-Type": "image/jpeg", **caching})


async def entry_of(request: web.Request) -> Entry:
    """The task that a request is about. Raises `Problem`."""
    number = int(request.match_info["number"])
    entry = await asyncio.to_thread(host.journal().find_by_id, number)
    if entry is None:
        raise Problem(
            404, "not_found", Message("Task #{number} is not in the journal.", number=number)
        )
    return entry


async def _task_response(number: int, **extra: Any) -> web.Response:
    return web.json_response({"task": await asyncio.to_thread(_read, number), **extra})


def _read(number: int) -> dict[str, Any]:
    return _as_json(host.journal().get(number))


def _page(limit: int, before: int | None, selection: Selection) -> dict[str, Any]:
    journal = host.journal()
    page = _page_as_json(journal.page(limit=limit, before=before, selection=selection))
    is_counted = before is None and selection != Selection() and not selection.search
    return page | ({"count": journal.count(selection)} if is_counted else {})


def _changes(cursor: int, limit: int) -> dict[str, Any]:
    return _page_as_json(host.journal().changed_since(cursor, limit=limit))


def _page_as_json(page: Page) -> dict[str, Any]:
    tasks = [_as_json(entry) for entry in page.entries]
    return {"tasks": tasks, "cursor": page.cursor, "more": page.more, "before": page.before}


def _as_json(entry: Entry) -> dict[str, Any]:
    path = Path(entry.file_path) if entry.file_path else None
    video = path is not None and path.suffix in _VIDEO_SUFFIXES
    return {
        "number": entry.id,
        "task_id": entry.task_id,
        "state": entry.state.value,
        "prompt": entry.prompt[:_PROMPT_LENGTH],
        "created_at": entry.created_at,
        "progress": entry.progress,
        "error": entry.last_error,
        "file": _file(path) if path else None,
        "kind": ("video" if video else "image") if path else "",
        "forgotten": entry.forgotten_at is not None,
        "price": entry.price,
        "estimate": entry.estimate,
        # A text: a browser would round a large number.
        "take": str(entry.take),
        "settings": _settings_of(entry.request),
    }


def _settings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a card shows of a request, as far as it has the form of the API specification."""
    options = body.get("options")
    ratio = options.get("aspectRatio") if isinstance(options, dict) else None
    texts = {name: body.get(name) for name in ("model", "pikaffect")}
    names = [name for name, value in ASPECT_RATIOS.items() if value == ratio]
    if isinstance(ratio, (int, float)) and not names:
        names = [f"{ratio:.2f}"]
    return {
        **{name: text[:_SETTING_LENGTH] for name, text in texts.items() if isinstance(text, str)},
        **({"ratio": names[0]} if names else {}),
        **{name: True for name in ("image", "video") if body.get(name)},
    }


def _file(recorded: Path) -> dict[str, str] | None:
    """The file in the form of ComfyUI's route /view; None if it is not in the output folder."""
    path = output_file(recorded)
    if path is None:
        return None
    name, subfolder = host.saved_result(path)
    return {"filename": name, "subfolder": subfolder, "type": "output"}


def output_file(recorded: Path) -> Path | None:
    """Where a recorded file is in the output folder, which may have moved; None if it is not."""
    for path in (recorded, host.output_folder() / recorded.name):
        if host.is_output(path) and path.is_file():
            return path
    return None


def _number(text: str | int, name: str) -> int:
    # Larger numbers are not valid in a database; Python refuses to read very long ones.
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Problem(
            400, "invalid", Message("{name} is not a whole number of up to 18 digits.", name=name)
        )
    return int(text)


def _cursor(text: str) -> int:
    """The cursor of an earlier answer. An editor tab that is older than an update of the pack sends
    a time, with or without a fraction; the journal then lists everything again.
    """
    try:
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise Problem(400, "invalid", Message("since is not a number.")) from error
