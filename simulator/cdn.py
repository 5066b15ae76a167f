"""The second origin: finished files behind signed links."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from .fault import FaultScript
from .log import Log
from .signing import Signer
from .tasks import TaskBook
from .wire import act, cut, error_answer, logged, record


class Cdn:
    """Handlers of the media origin; Range, ETag and Content-Length are FileResponse's."""

    def __init__(self, log: Log, faults: FaultScript, tasks: TaskBook, signer: Signer) -> None:
        self._log = log
        self._faults = faults
        self._tasks = tasks
        self._signer = signer

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = logged(self._log, "cdn")
        app.router.add_get("/{task_id}/{name}", self._media)
        return app

    async def _media(self, request: web.Request) -> web.StreamResponse:
        entry = record()
        task_id = entry.task_id = request.match_info["task_id"]
        if "Authorization" in request.headers:
            # Object stores refuse two ways of signing in at once; and the key is not theirs.
            message = "Only one auth mechanism allowed: the signature, or Authorization"
            return error_answer(message, 400, "InvalidArgument")
        fault = self._faults.take("media", task_id)
        if fault is not None and fault.expired:
            self._signer.revoke()
        verdict = self._signer.check(entry.path, entry.query)
        if verdict == "expired":
            return error_answer("Request has expired", 403, "AccessDenied")
        if verdict == "wrong":
            message = "The signature does not match the request"
            return error_answer(message, 403, "SignatureDoesNotMatch")
        file = self._file(task_id, entry.path)
        if file is None:
            return error_answer("There is no such file", 404, "NoSuchKey")
        if fault is not None and fault.replaces:
            return await act(request, fault, None)
        if fault is None:
            return web.FileResponse(file)
        await asyncio.sleep(fault.delay)
        answer = web.FileResponse(file, headers=fault.headers)
        if fault.cut is None:
            return answer
        answer.content_type = "image/png" if file.suffix == ".png" else "video/mp4"
        return await cut(request, answer, file.read_bytes(), fault.cut)

    def _file(self, task_id: str, path: str) -> Path | None:
        task = self._tasks.get(task_id)
        return task.media().get(path) if task is not None else None
