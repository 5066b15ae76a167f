"""The API's own origin: submit, feed, and the door for other processes."""

from __future__ import annotations

import asyncio
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from .fault import Fault, FaultScript
from .log import Log, Request
from .settings import MEGABYTE, Settings
from .signing import Signer
from .strict import Ask, Refusal, check, parse, summarise
from .studio import Studio
from .tasks import Task, TaskBook
from .wire import act, error_answer, logged, record


class Gateway:
    """Handlers of the API. Everything but the reading of bodies happens on the event loop."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        faults: FaultScript,
        tasks: TaskBook,
        studio: Studio,
        signer: Signer,
    ) -> None:
        self.cdn_url = ""
        self._settings = settings
        self._log = log
        self._faults = faults
        self._tasks = tasks
        self._studio = studio
        self._signer = signer
        # Decoding media takes long: the feed must answer meanwhile.
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="simulator-read")

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = logged(self._log, "api")
        app.router.add_post("/pika/generate", self._submit)
        app.router.add_get("/pika/feed/{task_id}", self._feed)
        app.router.add_get("/simulator/log", self._show_log)
        app.router.add_get("/simulator/tasks", self._show_tasks)
        app.router.add_post("/simulator/faults", self._add_fault)
        app.router.add_delete("/simulator/faults", self._clear_faults)
        return app

    def close(self) -> None:
        """Ends the threads that read bodies."""
        self._readers.shutdown(wait=True, cancel_futures=True)

    def _refused(self, request: web.Request) -> web.Response | None:
        """The 401 for a request without the key."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return error_answer("No token: send Authorization: Bearer <key>", 401, "no_token")
        if not hmac.compare_digest(token.encode(), self._settings.key.encode()):
            return error_answer("Invalid token", 401, "invalid_token")
        return None

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request)
        if refused is not None:
            return refused
        entry = record()
        try:
            raw = await self._read(request, entry)
            loop = asyncio.get_running_loop()
            content_type = request.headers.get("Content-Type", "")
            ask = await loop.run_in_executor(
                self._readers, _examine, raw, content_type, self._settings, entry
            )
        except Refusal as refusal:
            return error_answer(refusal.message, refusal.status, refusal.code)
        fault = self._faults.take("submit")
        if fault is None or not fault.replaces or fault.accept:
            answer = self._accept(ask, entry)
            return answer if fault is None else await act(request, fault, answer)
        return await act(request, fault, None)

    async def _read(self, request: web.Request, entry: Request) -> bytes:
        """The body, read as it comes. Raises Refusal when it is too large, or breaks off."""
        limit = self._settings.max_body
        size = request.content_length or 0
        body = bytearray()
        if size <= limit:
            try:
                async for chunk in request.content.iter_any():
                    body += chunk
                    size = entry.size = len(body)
                    if size > limit:
                        break
            except (ConnectionError, web.RequestPayloadError) as error:
                raise Refusal(
                    f"the body broke off after {entry.size} bytes", 400, "body_cut"
                ) from error
        if size > limit:
            raise Refusal(f"the body is larger than {limit} bytes", 413, "body_too_large")
        return bytes(body)

    def _accept(self, ask: Ask, entry: Request) -> web.Response:
        """Creates the task and starts to draw it, unless too many run already."""
        limit = self._settings.max_running
        if limit is not None and self._tasks.running() >= limit:
            message = f"Too many tasks at once: {limit} are running"
            return error_answer(message, 429, "too_many_tasks", {"Retry-After": "1"})
        task = self._tasks.accept(
            ask, self._settings.task_seconds, self._faults.take("task"), self._studio.order(ask)
        )
        entry.task_id = task.id
        return web.json_response({"id": task.id})

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request)
        if refused is not None:
            return refused
        task_id = request.match_info["task_id"]
        record().task_id = task_id
        task = self._tasks.get(task_id)
        answer = self._told(task)
        fault = self._faults.take("feed", task_id)
        return await act(request, fault, answer) if fault is not None else answer

    def _told(self, task: Task | None) -> web.Response:
        if task is None or task.hidden:
            return error_answer("There is no such task", 404, "task_not_found")
        return web.json_response(task.feed(self.cdn_url, self._signer))

    async def _show_log(self, _request: web.Request) -> web.Response:
        entries = [entry.to_json(self._settings.key) for entry in self._log.snapshot()]
        return web.json_response(entries)

    async def _show_tasks(self, _request: web.Request) -> web.Response:
        return web.json_response([task.to_json() for task in self._tasks.snapshot().values()])

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.from_json(json.loads(await request.read()))
        except (TypeError, ValueError) as error:
            return error_answer(str(error), 400, "bad_fault")
        self._faults.add(fault)
        return web.json_response({"added": fault.on})

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({})


def _examine(raw: bytes, content_type: str, settings: Settings, entry: Request) -> Ask:
    """Checks a body, and notes in the log as much of it as could be read."""
    if len(raw) < MEGABYTE:
        entry.text = raw.decode("utf-8", "replace")
    body: dict[str, Any] = parse(raw, content_type)
    entry.body = summarise(body)
    ask = check(body, settings)
    entry.body = ask.summary
    return ask
