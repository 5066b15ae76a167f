"""The simulator as an object: two servers on an event loop of their own, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web

from .cdn import Cdn
from .fault import Fault, FaultScript, Place
from .gateway import Gateway
from .log import Log, Request, Server
from .settings import Settings
from .signing import Signer
from .studio import Studio
from .tasks import Task, TaskBook

T = TypeVar("T")

# Answers that are being delayed on purpose are not waited for at the end.
_SHUTDOWN_SECONDS = 0.1
# A burst of clients must queue in the kernel rather than be refused.
_BACKLOG = 1024


class Simulator:
    """A gateway on loopback: `with Simulator(task_seconds=0.5) as sim: …`.

    Options are those of `Settings`; `echo` is called, from the server's thread, with every
    request that was answered. `start` raises OSError when the port is taken.
    """

    def __init__(self, *, echo: Callable[[Request], None] | None = None, **options: Any) -> None:
        self.settings = Settings(**options)
        self.url = ""
        self.cdn_url = ""
        self._log = Log(echo)
        self._faults = FaultScript()
        self._tasks = TaskBook()
        self._signer = Signer(self.settings.url_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runners: list[web.AppRunner] = []

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Simulator:
        """Opens both ports. Once per object; `with` calls it."""
        if self._loop is not None:
            raise RuntimeError("this simulator was started before")
        self._studio = Studio(self.settings)
        self._gateway = Gateway(
            self.settings, self._log, self._faults, self._tasks, self._studio, self._signer
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
        """Closes every connection and thread. Does nothing the second time."""
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._gateway.close()
        self._studio.close()

    @property
    def key(self) -> str:
        """The token that is let in."""
        return self.settings.key

    @property
    def log(self) -> list[Request]:
        """Every request until now, in order of arrival, to both origins."""
        return self._log.snapshot()

    def requests(
        self, method: str | None = None, path: str | None = None, server: Server | None = None
    ) -> list[Request]:
        """The requests that fit; a `path` that ends in / means all below it."""
        return self._log.snapshot(method, path, server)

    @property
    def tasks(self) -> dict[str, Task]:
        """Every accepted task by its id."""
        return self._tasks.snapshot()

    @property
    def charged(self) -> list[str]:
        """The ids of the accepted tasks, in order: what would be on the bill."""
        return list(self._tasks.snapshot())

    @property
    def connections(self) -> int:
        """TCP connections that are open to both origins."""
        if self._loop is None or self._loop.is_closed():
            return 0
        return self._run(self._count())

    def fault(self, on: Place, **fields: Any) -> Fault:
        """Adds a Fault to the end of the script."""
        fault = Fault(on, **fields)
        self._faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Forgets the faults that are still to come."""
        self._faults.clear()

    def expire_links(self) -> None:
        """Makes every media URL signed until now answer 403."""
        self._signer.revoke()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise RuntimeError("this simulator was not started")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        settings = self.settings
        cdn = Cdn(self._log, self._faults, self._tasks, self._signer)
        self.cdn_url = await self._serve(cdn.app(), settings.cdn_port)
        self._gateway.cdn_url = self.cdn_url
        self.url = await self._serve(self._gateway.app(), settings.port)

    async def _serve(self, app: web.Application, port: int) -> str:
        """Serves an application; returns its URL."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._runners.append(runner)
        await runner.setup()
        # The name may mean two addresses, and with port 0 each would get a port of its own.
        host = "127.0.0.1" if self.settings.host == "localhost" else self.settings.host
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{runner.addresses[0][1]}"

    async def _shut(self) -> None:
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        # What is left are answers that a client stopped listening to.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    async def _count(self) -> int:
        return sum(len(runner.server.connections) for runner in self._runners if runner.server)
