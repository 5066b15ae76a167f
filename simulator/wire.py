"""How answers are sent, intact or broken on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Mapping
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler

from .fault import Fault
from .log import Request, RequestLog, Server

# A context variable, because each request runs in its own task and aiohttp's ways to attach
# something to a request differ between versions.
_current: ContextVar[Request] = ContextVar("simulator_request")
_CONTROL = "/simulator/"
# struct linger has two 16-bit numbers on Windows.
_LINGER = "hh" if sys.platform == "win32" else "ii"


def current_request() -> Request:
    """The log entry of the request that is being answered."""
    return _current.get()


def error_response(
    message: str, status: int, code: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the shape that most gateways of this kind use (public pages)."""
    error = {"message": message, "type": "simulator_error", "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def logging_app(log: RequestLog, server: Server) -> web.Application:
    """An application that logs each request and answers its own errors as JSON.

    Requests that control the simulator itself are not logged.
    """

    @web.middleware
    async def add_to_log(request: web.Request, handler: Handler) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        entry = Request(server, request.method, path, query, request.headers)
        _current.set(entry)
        if not path.startswith(_CONTROL):
            log.add(entry)
        try:
            return await handler(request)
        except web.HTTPException as error:
            # aiohttp's own 404 and 405 would be plain text.
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            message = f"{error.reason}: {request.method} {path}"
            return error_response(message, error.status, "not_found", headers)

    async def log_status(_request: web.Request, answer: web.StreamResponse) -> None:
        # Not in the middleware, which does not know yet if a file is sent as 200, 206 or 304.
        entry = current_request()
        if not entry.path.startswith(_CONTROL):
            log.complete(entry, answer.status)

    app = web.Application(middlewares=[add_to_log])
    app.on_response_prepare.append(log_status)
    return app


async def send_with_fault(
    request: web.Request, fault: Fault, answer: web.Response | None
) -> web.StreamResponse:
    """Answers as the fault says. `answer` is the real answer, if there is one."""
    await asyncio.sleep(fault.delay)
    if fault.reset:
        reset(request)
        return web.Response(status=500)
    if answer is None or fault.replaces:
        answer = web.Response(
            status=fault.status or 200,
            body=fault.text.encode(),
            headers={"Content-Type": fault.media_type},
        )
    answer.headers.update(fault.headers)
    if fault.cut is not None and isinstance(answer.body, bytes):
        return await send_cut(request, answer, answer.body, fault.cut)
    return answer


def reset(request: web.Request) -> None:
    """Closes the connection with a TCP RST instead of an orderly end."""
    current_request().reset = True
    transport = request.transport
    if transport is None:
        return
    # Closing with linger on and 0 seconds sends RST.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0)
    )
    transport.abort()


async def send_cut(
    request: web.Request, answer: web.StreamResponse, body: bytes, sent: int
) -> web.StreamResponse:
    """Sends all headers but only the first `sent` bytes of the body, then closes."""
    current_request().cut = True
    broken = web.StreamResponse(status=answer.status, headers=answer.headers)
    broken.content_length = len(body)
    # The client may have closed the connection.
    with contextlib.suppress(ConnectionError):
        await broken.prepare(request)
        await broken.write(body[:sent])
    broken.force_close()
    if request.transport is not None:
        request.transport.close()
    return broken
