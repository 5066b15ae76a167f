"""Responses of the pack's routes: checks before a handler, and errors as JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from ...pika_api.errors import (
    DownloadFailed,
    GatewayError,
    InvalidInput,
    JournalError,
    OtherGateway,
    PikaError,
    SettingLocked,
    SettingsError,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
)
from ...pika_api.log import log
from ...pika_api.message import Message
from .. import host
from ..language import of_request, say
from . import guard

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Maximum size of a request body, in bytes.
_MAX_BODY: Final = 64 * 1024
#: HTTP status and code by error class; the first that matches.
_STATUS_AND_CODE: Final[Mapping[type[PikaError], tuple[int, str]]] = {
    SettingLocked: (409, "environment"),
    SettingsError: (409, "settings"),
    InvalidInput: (409, "invalid"),
    JournalError: (503, "journal"),
    TaskFailed: (409, "failed"),
    TaskTimeout: (409, "not_finished"),
    OtherGateway: (409, "other_gateway"),
    TaskNotFound: (404, "task_not_found"),
    DownloadFailed: (502, "download"),
    GatewayError: (502, "gateway"),
}


class Problem(Exception):
    """An error response.

    Args:
        code: A stable identifier for the editor.
        text: A message for the user.
        name: The setting that the error is about, if any.
    """

    def __init__(self, status: int, code: str, text: str, name: str = "") -> None:
        self.status = status
        self.body = {"error": say(text), "code": code} | ({"name": name} if name else {})
        super().__init__(text)


def guarded(handler: Handler, *, image: bool = False) -> Handler:
    """A handler that runs only if the guard allows it, and whose errors become responses.

    Args:
        image: Whether it serves an ``<img>``, which is requested without the custom header.
    """

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        with of_request(request.headers.get("Accept-Language", "")):
            return await answer_in_its_language(request)

    async def answer_in_its_language(request: web.Request) -> web.StreamResponse:
        refused = guard.refusal(request.headers, host.listen_addresses(), image=image)
        try:
            if refused is not None:
                raise Problem(refused.status, refused.code, refused.text)
            response = await handler(request)
        except Problem as raised:
            response = web.json_response(raised.body, status=raised.status)
        except PikaError as error:
            problem = _problem_of(error)
            log.debug("editor: %s %s: %s", request.method, request.path, error.what)
            response = web.json_response(problem.body, status=problem.status)
        if not response.prepared:
            add_headers(response)
        return response

    return answer


def add_headers(response: web.StreamResponse) -> None:
    """The headers of every response. One that is sent in parts needs them before it begins."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _problem_of(error: PikaError) -> Problem:
    match = next((pair for kind, pair in _STATUS_AND_CODE.items() if isinstance(error, kind)), None)
    status, code = match or (500, "error")
    name = error.name if isinstance(error, SettingsError) else ""
    return Problem(status, code, error.message, name)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in a request's body. Raises `Problem`."""
    if request.content_type != "application/json":
        raise Problem(415, "content_type", Message("The request must be sent as application/json."))
    if request.content_length is None or request.content_length > _MAX_BODY:
        raise Problem(
            413,
            "too_large",
            Message("The request must not be larger than {maximum} bytes.", maximum=_MAX_BODY),
        )
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Problem(400, "body", Message("The request must be a JSON object."))
    return value
