"""The simulator: two HTTP servers on one event loop, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web

from .account import POINTS
from .cdn import Cdn
from .fault import Fault, FaultQueue, Place
from .gateway import Gateway
from .log import Request, RequestLog, Server
from .render_queue import RenderQueue
from .settings import Settings
from .signing import Signer
from .tasks import Task, TaskStore

T = TypeVar("T")

# Closing does not wait for answers that are delayed on purpose.
_SHUTDOWN_SECONDS = 0.1
# A burst of connections must queue in the kernel instead of being refused.
_BACKLOG = 1024


class Simulator:
    """A simulated gateway on loopback: `with Simulator(task_seconds=0.5) as simulator: …`.

    The options are those of `Settings`. `echo` is called with every answered request, in the
    server's thread.
    """

    def __init__(self, *, echo: Callable[[Request], None] | None = None, **options: Any) -> None:
        self.settings = Settings(**options)
        self.url = ""
        self.cdn_url = ""
        self._log = RequestLog(echo)
        self._faults = FaultQueue()
        self._tasks = TaskStore()
        self._signer = Signer(self.settings.url_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runners: list[web.AppRunner] = []

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Simulator:
        """Opens both ports. Works once per object. Raises OSError if a port is in use."""
        if self._loop is not None:
            raise RuntimeError("this simulator was already started")
        self._renders = RenderQueue(self.settings)
        self._gateway = Gateway(
            self.settings, self._log, self._faults, self._tasks, self._renders, self._signer
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="simulator", daemon=True
        )
        self._thread.start()
        try:
            self._run(self._open())
        except OSError:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Closes all connections and threads. May be called more than once."""
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._gateway.close()
        self._renders.close()

    @property
    def key(self) -> str:
        """The token that is accepted."""
        return self.settings.key

    def add_key(self, key: str, account: str = "first") -> None:
        """Accepts another key: of the account of `key`, or of another one with its own tasks."""
        self._gateway.accounts[key] = account

    @property
    def log(self) -> list[Request]:
        """All requests to both origins, in order of arrival."""
        return self._log.snapshot()

    def requests(
        self, method: str | None = None, path: str | None = None, server: Server | None = None
    ) -> list[Request]:
        """The requests that match. A `path` that ends in / matches all paths below it."""
        return self._log.snapshot(method, path, server)

    @property
    def tasks(self) -> dict[str, Task]:
        """All accepted tasks by id."""
        return self._tasks.snapshot()

    @property
    def charged(self) -> list[str]:
        """The ids of all accepted, and so charged, tasks in order."""
        return list(self._tasks.snapshot())

    def used(self, account: str = "first") -> float:
        """What the usage counter of an account shows, in units."""
        return self._gateway.ledger.used(account) / POINTS

    def spend(self, amount: float, account: str = "first") -> None:
        """Charges something else to an account, as another program with the same key does."""
        self._gateway.ledger.spend(amount, account)

    @property
    def connections(self) -> int:
        """The number of open TCP connections to both origins."""
        if self._loop is None or self._loop.is_closed():
            return 0
        return self._run(self._count())

    def fault(self, on: Place, **fields: Any) -> Fault:
        """Appends a Fault to those that are still to happen."""
        fault = Fault(on, **fields)
        self._faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Removes the faults that are still to happen."""
        self._faults.clear()

    def expire_links(self) -> None:
        """Expires every media URL that was signed until now; they answer 403."""
        self._signer.revoke()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise RuntimeError("this simulator was not started")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        cdn = Cdn(self._log, self._faults, self._tasks, self._signer)
        self.cdn_url = await self._serve(cdn.app(), 0)
        self._gateway.cdn_url = self.cdn_url
        self.url = await self._serve(self._gateway.app(), self.settings.port)

    async def _serve(self, app: web.Application, port: int) -> str:
        """Serves an application; returns its URL."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._runners.append(runner)
        await runner.setup()
        # localhost may mean two addresses, and with port 0 each would get its own port.
        host = "127.0.0.1" if self.settings.host == "localhost" else self.settings.host
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{runner.addresses[0][1]}"

    async def _shut(self) -> None:
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        # The remaining tasks are answers whose client has gone.
        remaining = asyncio.all_tasks() - {asyncio.current_task()}
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    async def _count(self) -> int:
        return sum(len(runner.server.connections) for runner in self._runners if runner.server)
