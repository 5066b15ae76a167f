"""HTTP routes for the editor: which there are. All stand behind the guard, changes are POSTs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web
from server import PromptServer

from . import routes_settings, routes_tasks
from .replies import guarded

_TASK: Final = r"/pika/tasks/{number:\d{1,9}}"
_GET: Final = {
    "/pika/settings": routes_settings.show,
    "/pika/diagnostics": routes_settings.diagnostics,
    "/pika/tasks": routes_tasks.list_tasks,
    f"{_TASK}/request": routes_tasks.show_request,
}
_POST: Final = {
    "/pika/settings": routes_settings.change,
    "/pika/connection": routes_settings.test,
    f"{_TASK}/forget": routes_tasks.forget,
    f"{_TASK}/refresh": routes_tasks.refresh,
    f"{_TASK}/collect": routes_tasks.collect,
}
#: ComfyUI lets browsers keep these for as long as they like: after an update, new modules would
#: meet old ones.
_ASK_AGAIN: Final = (".mjs", ".jpg")
_OURS: Final = f"/extensions/{Path(__file__).parent.parent.name}/"


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    path = request.path.removeprefix("/api")
    if path.startswith(_OURS) and path.endswith(_ASK_AGAIN):
        response.headers["Cache-Control"] = "no-cache"


def _register() -> None:
    server = PromptServer.instance
    for path, handler in _GET.items():
        server.routes.get(path)(guarded(handler))
    for path, handler in _POST.items():
        server.routes.post(path)(guarded(handler))
    server.routes.get(f"{_TASK}/poster")(guarded(routes_tasks.poster, shown=True))
    server.app.on_response_prepare.append(_prepare)


_register()
