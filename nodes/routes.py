"""HTTP routes for the editor. They read; nothing is changed by a GET, and no secret is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from server import PromptServer

from ..pika_api.errors import PikaError
from . import host

if TYPE_CHECKING:
    from ..pika_api.journal import Entry

_LISTED: Final = 200


@PromptServer.instance.routes.get("/pika/tasks")
async def list_tasks(_request: web.Request) -> web.Response:
    """The newest tasks that have an id: ``[{task_id, state, prompt, age, progress}]``."""
    try:
        # In a thread of the server's loop: the journal may be busy, and the server must not wait.
        entries = await asyncio.to_thread(_entries)
    except PikaError as error:
        return web.json_response({"error": str(error)}, status=503)
    return web.json_response([_shown(entry) for entry in entries])


def _entries() -> list[Entry]:
    return host.service().journal.entries(limit=_LISTED, with_task=True)


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "task_id": entry.task_id,
        "state": entry.state.value,
        "prompt": entry.prompt,
        "created_at": entry.created_at,
        "progress": entry.progress,
    }
