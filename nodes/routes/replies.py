"""How the editor's routes answer: only to the editor, and an error as a text for a person."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from ...pika_api.errors import (
    DownloadFailed,
    GatewayError,
    JournalError,
    PikaError,
    SettingLocked,
    SettingsError,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from ...pika_api.log import log
from .. import host
from . import guard

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: A change is a small JSON object. Bytes.
_MAX_BODY: Final = 64 * 1024
#: Status and code of each error; the first that fits.
_KINDS: Final[Mapping[type[PikaError], tuple[int, str]]] = {
    SettingLocked: (409, "environment"),
    SettingsError: (409, "settings"),
    JournalError: (503, "journal"),
    TaskFailed: (409, "failed"),
    TaskTimeout: (409, "not_finished"),
    TaskNotFound: (404, "task_not_found"),
    DownloadFailed: (502, "download"),
    GatewayError: (502, "gateway"),
}


class Problem(Exception):
    """A request that cannot be carried out.

    Args:
        code: A stable word for the editor.
        text: For a person.
        name: The setting that it is about, where it is about one.
    """

    def __init__(self, status: int, code: str, text: str, name: str = "") -> None:
        self.status = status
        self.said = {"error": text, "code": code} | ({"name": name} if name else {})
        super().__init__(text)


def guarded(handler: Handler, *, shown: bool = False) -> Handler:
    """The handler behind the guard, with its errors told.

    Args:
        shown: Whether it gives a picture for the page, which is asked for without our header.
    """

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        refused = guard.refusal(request.headers, host.addresses(), shown=shown)
        try:
            if refused is not None:
                raise Problem(refused.status, refused.code, refused.text)
            response = await handler(request)
        except Problem as problem:
            response = web.json_response(problem.said, status=problem.status)
        except PikaError as error:
            told = _problem_of(error)
            log.debug("editor: %s %s: %s", request.method, request.path, error.what)
            response = web.json_response(told.said, status=told.status)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return answer


def _problem_of(error: PikaError) -> Problem:
    found = next((pair for kind, pair in _KINDS.items() if isinstance(error, kind)), None)
    status, code = found or (500, "error")
    name = error.name if isinstance(error, SettingsError) else ""
    return Problem(status, code, str(error), name)


async def object_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that a change carries."""
    if request.content_type != "application/json":
        raise Problem(415, "content_type", "A change is sent as application/json.")
    if request.content_length is None or request.content_length > _MAX_BODY:
        raise Problem(413, "too_large", f"A change has at most {_MAX_BODY} bytes.")
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Problem(400, "body", "A change is a JSON object.")
    return value
