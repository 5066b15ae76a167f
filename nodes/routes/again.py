"""Routes for using a task again: the workflow that it comes from, and nodes with its settings."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ...pika_api.media import read_text
from ...pika_api.message import Message
from .. import host
from ..again import nodes_of
from ..language import say
from ..metadata import parse_workflow
from .tasks import entry_of, output_file

if TYPE_CHECKING:
    from ...pika_api.journal import Entry

_NO_WORKFLOW: Final = Message(
    "The workflow of this task is not known any more: ComfyUI was restarted since, and no saved "
    "file contains it. Use its settings in a new node instead."
)


async def show_nodes(request: web.Request) -> web.Response:
    """GET: the nodes that make the request of a task again; see `nodes_of`."""
    entry = await entry_of(request)
    return web.json_response(nodes_of(entry.request, entry.take))


async def show_workflow(request: web.Request) -> web.Response:
    """GET: the workflow that a task comes from, or null and the reason.

    Not 404: a browser writes every 404 to its console.
    """
    entry = await entry_of(request)
    workflow = await asyncio.to_thread(_workflow_of, entry)
    reason = "" if workflow is not None else say(_NO_WORKFLOW)
    return web.json_response({"workflow": workflow, "reason": reason})


def _workflow_of(entry: Entry) -> dict[str, Any] | None:
    """From ComfyUI's history while it is there, else from the saved file. Blocks."""
    extra = host.extra_data_of(entry.prompt_id) if entry.prompt_id else None
    try:
        # Even what the editor sent is from outside: any client can send a prompt.
        of_prompt = json.dumps(extra["extra_pnginfo"]["workflow"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, RecursionError):
        of_prompt = ""
    if (workflow := parse_workflow(of_prompt)) is not None:
        return workflow
    path = output_file(Path(entry.file_path)) if entry.file_path else None
    if path is None:
        return None
    try:
        return parse_workflow(read_text(path, "workflow") or "")
    except OSError:
        return None
