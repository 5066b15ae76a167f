"""The API's origin: submit, feed, and the control of faults for other processes."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from .account import PATHS, Ledger
from .dialects import DIALECTS, INDEX_PAGE
from .fault import Fault, FaultQueue
from .log import Request, RequestLog
from .render_queue import RenderQueue
from .settings import MEGABYTE, Settings
from .signing import Signer
from .strict import GenerateRequest, RequestError, check, parse, summarise
from .tasks import Task, TaskStore
from .wire import current_request, error_response, logging_app, send_with_fault


class Gateway:
    """Handlers of the API. Only bodies are checked outside of the event loop."""

    def __init__(
        self,
        settings: Settings,
        log: RequestLog,
        faults: FaultQueue,
        tasks: TaskStore,
        renders: RenderQueue,
        signer: Signer,
    ) -> None:
        self.cdn_url = ""
        #: The accounts by their keys. An account knows its own tasks only.
        self.accounts = {settings.key: "first"}
        self._settings = settings
        self._log = log
        self._faults = faults
        self._tasks = tasks
        self._renders = renders
        self._signer = signer
        self.ledger = Ledger(settings, tasks)
        self._dialect = DIALECTS[settings.dialect]
        # Decoding media is slow, and the feed must still answer.
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="simulator-read")

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = logging_app(self._log, "api")
        app.router.add_post("/pika/generate", self._submit)
        app.router.add_get("/pika/feed/{task_id}", self._feed)
        for path in PATHS[self._settings.account]:
            app.router.add_get(path, self._show_account)
        app.router.add_post("/simulator/faults", self._add_fault)
        app.router.add_delete("/simulator/faults", self._clear_faults)
        if self._dialect.serves_page:
            app.router.add_route("*", "/{path:.*}", self._page)
        return app

    def close(self) -> None:
        """Stops the threads that check bodies."""
        self._readers.shutdown(wait=True, cancel_futures=True)

    def _error(
        self, message: str, status: int, code: str, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """An error in the shape of the dialect."""
        body = self._dialect.error(message, code)
        return web.json_response(body, status=status, headers=headers)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=INDEX_PAGE, content_type="text/html")

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        """The 401 for a request without a key."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self._error("No token: send Authorization: Bearer <key>", 401, "no_token")
        if not any(hmac.compare_digest(token.encode(), key.encode()) for key in self.accounts):
            return self._error("Invalid token", 401, "invalid_token")
        return None

    def _account(self, request: web.Request) -> str:
        """The account of a request with a key."""
        return self.accounts[request.headers["Authorization"].partition(" ")[2]]

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        if (error := self._unauthorized(request)) is not None:
            return error
        entry = current_request()
        try:
            raw = await self._read(request, entry)
            loop = asyncio.get_running_loop()
            content_type = request.headers.get("Content-Type", "")
            generate = await loop.run_in_executor(
                self._readers, _examine, raw, content_type, self._settings, entry
            )
        except RequestError as refusal:
            return self._error(refusal.message, refusal.status, refusal.code)
        fault = self._faults.take("submit", prompt=generate.prompt)
        if fault is None or not fault.replaces or fault.accept:
            answer = self._accept(generate, entry, self._account(request))
            return answer if fault is None else await send_with_fault(request, fault, answer)
        return await send_with_fault(request, fault, None)

    async def _read(self, request: web.Request, entry: Request) -> bytes:
        """Reads the body. Raises RequestError if it is too large or incomplete."""
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
                message = f"the body ended after {entry.size} bytes, before its end"
                raise RequestError(message, 400, "body_cut") from error
        if size > limit:
            raise RequestError(f"the body is larger than {limit} bytes", 413, "body_too_large")
        return bytes(body)

    def _accept(self, generate: GenerateRequest, entry: Request, account: str) -> web.Response:
        """Creates the task and starts to render it, unless too many tasks are running."""
        limit = self._settings.max_running
        if limit is not None and self._tasks.running() >= limit:
            message = f"Too many tasks at once: {limit} are running"
            return self._error(message, 429, "too_many_tasks", {"Retry-After": "1"})
        if not self.ledger.can_pay(account, generate.summary):
            return self._error("预扣费额度失败, 用户剩余额度不足", 403, "insufficient_user_quota")
        task = self._tasks.accept(
            generate,
            self._settings.task_seconds,
            self._faults.take("task", prompt=generate.prompt),
            self._renders.add(generate),
            account,
        )
        entry.task_id = task.id
        return web.json_response(self._dialect.submitted(task.id))

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        if (error := self._unauthorized(request)) is not None:
            return error
        task_id = request.match_info["task_id"]
        current_request().task_id = task_id
        task = self._tasks.get(task_id)
        if task is not None and task.account != self._account(request):
            task = None
        answer = self._feed_response(task)
        fault = self._faults.take("feed", task_id)
        return await send_with_fault(request, fault, answer) if fault is not None else answer

    def _feed_response(self, task: Task | None) -> web.Response:
        if task is None or task.hidden:
            status, code = self._dialect.no_task
            return self._error("There is no such task", status, code)
        return web.json_response(self._dialect.feed(task.feed(self.cdn_url, self._signer)))

    async def _show_account(self, request: web.Request) -> web.StreamResponse:
        if (error := self._unauthorized(request)) is not None:
            return error
        answer = web.json_response(self.ledger.answer(request.path, self._account(request)))
        fault = self._faults.take("account")
        return await send_with_fault(request, fault, answer) if fault is not None else answer

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.from_json(json.loads(await request.read()))
        except (TypeError, ValueError) as error:
            return error_response(str(error), 400, "bad_fault")
        self._faults.add(fault)
        return web.json_response({"added": fault.on})

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({})


def _examine(raw: bytes, content_type: str, settings: Settings, entry: Request) -> GenerateRequest:
    """Checks a body, and logs as much of it as can be read."""
    if len(raw) < MEGABYTE:
        entry.text = raw.decode("utf-8", "replace")
    body: dict[str, Any] = parse(raw, content_type)
    entry.body = summarise(body)
    generate = check(body, settings)
    entry.body = generate.summary
    return generate
