"""The editor's list of tasks: what the journal holds, and what can be done with one of them."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.journal import ACTIVE, State
from .. import host
from .replies import Problem, object_of

if TYPE_CHECKING:
    from ...pika_api.journal import Entry, Page

#: How many tasks one answer has, unless it is asked for fewer or more, and at the most.
_LISTED: Final = 500
_MOST: Final = 1000
#: Of a prompt, so many characters are listed.
_PROMPT: Final = 500
#: Seconds a finished task's feed is asked for its link.
_LINK_TIME: Final = 30.0
_VIDEOS: Final = (".mp4", ".webm")


async def list_tasks(request: web.Request) -> web.Response:
    """GET: a page of tasks, newest first; or with ``since``, what has changed."""
    query = request.query
    limit = min(max(_number(query.get("limit", _LISTED), "limit"), 1), _MOST)
    if "since" in query:
        since = _moment(query["since"])
        return web.json_response(await asyncio.to_thread(_changes, since, limit))
    before = _number(query["before"], "before") if "before" in query else None
    return web.json_response(await asyncio.to_thread(_page, limit, before))


async def show_request(request: web.Request) -> web.Response:
    """GET: what was asked for, with media described, not contained."""
    entry = await _entry(request)
    return web.json_response({"request": entry.request})


async def forget(request: web.Request) -> web.Response:
    """POST: take it out of lists; the same request is a new task from then on."""
    await object_of(request)
    entry = await _entry(request)
    if not await asyncio.to_thread(host.journal().forget, entry.id):
        raise Problem(409, "being_sent", f"Task #{entry.id} is being sent at this moment.")
    return await _told(entry.id)


async def refresh(request: web.Request) -> web.Response:
    """POST: ask the feed once how it is, where that may have changed; tells whether it was asked.

    The id of a task that was made at another gateway is not told to the one of the settings.
    """
    await object_of(request)
    entry = await _entry(request)
    asked = False
    if entry.task_id is not None and entry.state in ACTIVE:
        service = await asyncio.to_thread(host.service)
        asked = entry.base_url == service.settings.base_url
        if asked:
            await service.status(entry.task_id)
    return await _told(entry.id, asked=asked)


async def collect(request: web.Request) -> web.Response:
    """POST: bring a finished task's file to the output folder."""
    await object_of(request)
    entry = await _entry(request)
    if entry.task_id is None:
        raise Problem(409, "no_task", f"#{entry.id} has not become a task; there is no file.")
    if entry.state is State.FAILED:
        raise Problem(409, "failed", f"Task {entry.task_id} has failed: {entry.last_error}")
    service = await asyncio.to_thread(host.service)
    # One that is under way, for all the journal knows, is asked for once and not waited for.
    timeout = 0.0 if entry.state in ACTIVE else _LINK_TIME
    await service.collect(entry.task_id, timeout=timeout)
    return await _told(entry.id)


async def poster(request: web.Request) -> web.StreamResponse:
    """GET: a small picture of it. No content where there is none: a browser writes every 404 of a
    picture to its console.
    """
    entry = await _entry(request)
    service = await asyncio.to_thread(host.service)
    path = await service.thumbnail(entry)
    if path is None:
        return web.Response(status=204)
    kept = {"Cache-Control": "private, max-age=86400"} if "v" in request.query else {}
    return web.FileResponse(path, headers={"Content-Type": "image/jpeg", **kept})


async def _entry(request: web.Request) -> Entry:
    number = int(request.match_info["number"])
    entry = await asyncio.to_thread(host.journal().find_by_id, number)
    if entry is None:
        raise Problem(404, "not_found", f"Task #{number} is not in the journal.")
    return entry


async def _told(number: int, **more: Any) -> web.Response:
    return web.json_response({"task": await asyncio.to_thread(_read, number), **more})


def _read(number: int) -> dict[str, Any]:
    return _shown(host.journal().get(number))


def _page(limit: int, before: int | None) -> dict[str, Any]:
    return _listed(host.journal().page(limit=limit, before=before))


def _changes(since: float, limit: int) -> dict[str, Any]:
    return _listed(host.journal().changed_since(since, limit=limit))


def _listed(page: Page) -> dict[str, Any]:
    tasks = [_shown(entry) for entry in page.entries]
    return {"tasks": tasks, "cursor": page.cursor, "more": page.more}


def _shown(entry: Entry) -> dict[str, Any]:
    kept = Path(entry.file_path) if entry.file_path else None
    video = kept is not None and kept.suffix in _VIDEOS
    return {
        "number": entry.id,
        "task_id": entry.task_id,
        "state": entry.state.value,
        "prompt": entry.prompt[:_PROMPT],
        "created_at": entry.created_at,
        "progress": entry.progress,
        "error": entry.last_error,
        "file": _file(kept) if kept else None,
        "kind": ("video" if video else "image") if kept else "",
        "forgotten": entry.forgotten_at is not None,
    }


def _file(kept: Path) -> dict[str, str] | None:
    """The file as ComfyUI's /view asks for it; None where it is not in the output folder."""
    for path in (kept, host.output_folder() / kept.name):
        if host.is_output(path) and path.is_file():
            name, subfolder = host.saved_result(path)
            return {"filename": name, "subfolder": subfolder, "type": "output"}
    return None


def _number(text: str | int, name: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Problem(400, "invalid", f"{name} is not a whole number.") from error


def _moment(text: str) -> float:
    try:
        since = float(text)
    except ValueError:
        since = math.nan
    if not math.isfinite(since):
        raise Problem(400, "invalid", "since is not a number.")
    return since
