"""How answers go over the wire, whole or broken on purpose."""

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
from .log import Log, Request, Server

# In the context, since each request is a task of its own: aiohttp's ways to keep something with a
# request differ from version to version.
_record: ContextVar[Request] = ContextVar("simulator_record")
_CONTROL = "/simulator/"
# The two numbers of a linger option are shorter on Windows.
_LINGER = "hh" if sys.platform == "win32" else "ii"


def record() -> Request:
    """The log's entry for the request that is being answered."""
    return _record.get()


def error_answer(
    message: str, status: int, code: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the shape most gateways of this family use (public)."""
    error = {"message": message, "type": "simulator_error", "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def logged(log: Log, server: Server) -> web.Application:
    """An application that notes every request and its answer, but not those to the simulator
    itself, and whose own refusals are JSON.
    """

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        entry = Request(server, request.method, path, query, request.headers)
        _record.set(entry)
        if not path.startswith(_CONTROL):
            log.arrived(entry)
        try:
            return await handler(request)
        except web.HTTPException as error:
            # aiohttp's own 404 and 405, which would be plain text.
            kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
            message = f"{error.reason}: {request.method} {path}"
            return error_answer(message, error.status, "not_found", kept)

    async def answered(_request: web.Request, answer: web.StreamResponse) -> None:
        # Not in the middleware: only here is it known whether a file goes out as 200, 206 or 304.
        entry = record()
        if not entry.path.startswith(_CONTROL):
            log.answered(entry, answer.status)

    app = web.Application(middlewares=[note])
    app.on_response_prepare.append(answered)
    return app


async def act(
    request: web.Request, fault: Fault, answer: web.Response | None
) -> web.StreamResponse:
    """The answer as the fault wants it; `answer` is the real one, None if there is none."""
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
        return await cut(request, answer, answer.body, fault.cut)
    return answer


def reset(request: web.Request) -> None:
    """Closes the connection so that the client sees a TCP RST, not an orderly end."""
    record().reset = True
    transport = request.transport
    if transport is None:
        return
    # With linger on and at 0 seconds, closing sends RST.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0)
    )
    transport.abort()


async def cut(
    request: web.Request, answer: web.StreamResponse, body: bytes, sent: int
) -> web.StreamResponse:
    """Sends all the headers but only the first `sent` bytes of the body, then closes."""
    record().cut = True
    broken = web.StreamResponse(status=answer.status, headers=answer.headers)
    broken.content_length = len(body)
    # A client that has left already cannot be sent less.
    with contextlib.suppress(ConnectionError):
        await broken.prepare(request)
        await broken.write(body[:sent])
    broken.force_close()
    if request.transport is not None:
        request.transport.close()
    return broken
