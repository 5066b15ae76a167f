"""The media origin: finished files behind signed URLs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from .fault import FaultQueue
from .log import RequestLog
from .signing import Signer
from .tasks import TaskStore
from .wire import current_request, error_response, logging_app, send_cut, send_with_fault


class Cdn:
    """Handlers of the media origin. FileResponse adds Range, ETag and Content-Length."""

    def __init__(
        self, log: RequestLog, faults: FaultQueue, tasks: TaskStore, signer: Signer
    ) -> None:
        self._log = log
        self._faults = faults
        self._tasks = tasks
        self._signer = signer

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = logging_app(self._log, "cdn")
        app.router.add_get("/{task_id}/{name}", self._media)
        return app

    async def _media(self, request: web.Request) -> web.StreamResponse:
        entry = current_request()
        task_id = entry.task_id = request.match_info["task_id"]
        if "Authorization" in request.headers:
            # Object stores refuse two kinds of authentication at once, and the key is not for them.
            message = "Only one auth mechanism allowed: the signature, or Authorization"
            return error_response(message, 400, "InvalidArgument")
        fault = self._faults.take("media", task_id)
        if fault is not None and fault.expired:
            self._signer.revoke()
        verdict = self._signer.check(entry.path, entry.query)
        if verdict == "expired":
            return error_response("Request has expired", 403, "AccessDenied")
        if verdict == "wrong":
            message = "The signature does not match the request"
            return error_response(message, 403, "SignatureDoesNotMatch")
        file = self._file(task_id, entry.path)
        if file is None:
            return error_response("There is no such file", 404, "NoSuchKey")
        if fault is not None and fault.replaces:
            return await send_with_fault(request, fault, None)
        if fault is None:
            return web.FileResponse(file)
        await asyncio.sleep(fault.delay)
        answer = web.FileResponse(file, headers=fault.headers)
        if fault.cut is None:
            return answer
        answer.content_type = "image/png" if file.suffix == ".png" else "video/mp4"
        version = file.stat()
        # As FileResponse writes it in the next answer, which resumes this one.
        answer.etag = f"{version.st_mtime_ns:x}-{version.st_size:x}"
        return await send_cut(request, answer, file.read_bytes(), fault.cut)

    def _file(self, task_id: str, path: str) -> Path | None:
        task = self._tasks.get(task_id)
        return task.media().get(path) if task is not None else None
