"""The pack's HTTP routes for the editor. All are guarded, and every change is a POST."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web
from server import PromptServer

from . import account, again, ledger, settings, tasks
from .replies import guarded

_TASK: Final = r"/pika/tasks/{number:\d{1,9}}"
_GET: Final = {
    "/pika/settings": settings.show,
    "/pika/diagnostics": settings.diagnostics,
    "/pika/balance": account.show,
    "/pika/tasks": tasks.list_tasks,
    "/pika/ledger.csv": ledger.export,
    "/pika/totals": ledger.totals,
    f"{_TASK}/request": tasks.show_request,
    f"{_TASK}/nodes": again.show_nodes,
    f"{_TASK}/workflow": again.show_workflow,
}
_POST: Final = {
    "/pika/settings": settings.change,
    "/pika/connection": settings.test,
    "/pika/language": settings.language,
    f"{_TASK}/forget": tasks.forget,
    f"{_TASK}/settle": tasks.settle,
    f"{_TASK}/refresh": tasks.refresh,
    f"{_TASK}/collect": tasks.collect,
}
#: ComfyUI sends these without a cache policy. After an update, a browser would mix old and new
#: modules.
_REVALIDATE: Final = (".mjs", ".jpg")
_PREFIX: Final = f"/extensions/{Path(__file__).parents[2].name}/"


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    path = request.path.removeprefix("/api")
    if path.startswith(_PREFIX) and path.endswith(_REVALIDATE):
        response.headers["Cache-Control"] = "no-cache"


def _register() -> None:
    server = PromptServer.instance
    for path, handler in _GET.items():
        server.routes.get(path)(guarded(handler))
    for path, handler in _POST.items():
        server.routes.post(path)(guarded(handler))
    server.routes.get(f"{_TASK}/poster")(guarded(tasks.thumbnail, image=True))
    server.app.on_response_prepare.append(_prepare)


_register()
