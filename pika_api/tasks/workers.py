"""Threads, rate limit and lease renewal, shared by all calls. Not bound to an event loop."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from typing import Final, TypeVar

from ..errors import Busy, FeedError
from ..gateway import cancellable
from ..journal import Journal, LeaseKeeper
from ..log import log
from ..progress import NO_OBSERVER, ProgressObserver, pause, run_in_thread
from .key_backoff import KeyBackoff
from .threads import DaemonPool

_T = TypeVar("_T")

_DISK_THREADS: Final = 4
#: They wait for the disk together: more of them share one write; see `journal.group`.
_WRITER_THREADS: Final = 16
_DISPLAY_THREADS: Final = 2


class _BackoffStarted(Exception):
    """A back-off began while the call waited for its thread."""


class Workers:
    """The threads that run blocking work.

    Requests wait for the network, other work for the disk and the processor. Each kind has its own
    threads, so that neither delays the other. No thread keeps the process alive. When it exits, it
    waits `exit_grace` seconds for the answers to submits in progress, so that they are recorded.

    Args:
        journal: The journal whose leases are renewed during a call.
        key_id: The key of all requests, as `Settings.key_id`.
        max_requests: How many requests may be in progress at once.
        rate_limit_pause: Seconds without requests after a 429 that has no Retry-After header.
        exit_grace: Seconds that the process waits at exit for submits in progress.
    """

    def __init__(
        self,
        journal: Journal,
        key_id: str,
        max_requests: int,
        rate_limit_pause: float,
        exit_grace: float,
    ) -> None:
        self._network = DaemonPool(max_requests, "pika-network")
        self._disk = DaemonPool(_DISK_THREADS, "pika-disk")
        self._writers = DaemonPool(_WRITER_THREADS, "pika-writer")
        self._display = DaemonPool(_DISPLAY_THREADS, "pika-display")
        self._submits = _Submits(exit_grace)
        self._rate_limit_pause = rate_limit_pause
        self.backoff = KeyBackoff(journal, key_id, time.monotonic)
        self.keeper = LeaseKeeper(journal)

    def close(self) -> None:
        """Wait for the calls in progress, then end the threads."""
        self._network.shutdown()
        self._disk.shutdown()
        self._writers.shutdown()
        self._display.shutdown(cancel_futures=True)
        self._submits.close()
        self.keeper.close()

    async def submit(
        self, observer: ProgressObserver, call: Callable[..., _T], *args: object
    ) -> _T:
        """Run a call that sends a paid request, once no back-off is active.

        It runs before the calls of other kinds that wait for a thread. Once it runs, an interrupt
        ends the waiting but not the call: its answer must be recorded.
        """
        pool = self._network.first
        return await self._network_call(pool, observer, self._submits.run, call, *args)

    async def read(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that reads from the gateway, once no back-off is active.

        An interrupt also ends the call: it closes its connection.
        """
        return await self._cancelled_with_caller(
            lambda run: self._network_call(self._network, observer, run, call, *args)
        )

    async def _network_call(
        self, pool: Executor, observer: ProgressObserver, call: Callable[..., _T], *args: object
    ) -> _T:
        while True:
            while (seconds := self.backoff.wait()) > 0:
                await pause(seconds, observer)
            try:
                return await run_in_thread(pool, observer, self._unless_backing_off, call, *args)
            except _BackoffStarted:
                continue

    async def _cancelled_with_caller(
        self, start: Callable[[Callable[..., _T]], Awaitable[_T]]
    ) -> _T:
        """Wait for a call whose connection is closed when the waiting ends early.

        Args:
            start: Starts the call, with the function that must run it in its thread.
        """
        cancelled = threading.Event()

        def run(call: Callable[..., _T], *args: object) -> _T:
            with cancellable(cancelled):
                return call(*args)

        try:
            return await start(run)
        finally:
            cancelled.set()

    def _unless_backing_off(self, call: Callable[..., _T], *args: object) -> _T:
        """Check and start the back-off in the thread that sends.

        The thread takes its next call from the queue before the event loop hears of a 429.
        """
        self.backoff.look()
        if self.backoff.wait() > 0:
            raise _BackoffStarted
        try:
            return call(*args)
        except (Busy, FeedError) as error:
            if error.retryable and (isinstance(error, Busy) or error.status == 429):
                asked = error.retry_after
                self.backoff.slow_down(self._rate_limit_pause if asked is None else asked)
            raise

    async def media(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call to the media host. The gateway's rate limit does not apply to it.

        It runs after the calls to the gateway that wait for a thread. An interrupt also ends the
        call: it closes its connection.
        """
        return await self._cancelled_with_caller(
            lambda run: run_in_thread(self._network.last, observer, run, call, *args)
        )

    async def disk(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that reads, writes or encodes."""
        return await run_in_thread(self._disk, observer, call, *args)

    async def write(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that waits for the journal to be written, and does little else."""
        return await run_in_thread(self._writers, observer, call, *args)

    async def display(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a call whose result is only displayed. It never delays work on paid tasks."""
        return await run_in_thread(self._display, NO_OBSERVER, call, *args)

    def start(self, call: Callable[..., _T], *args: object) -> Future[_T]:
        """Start a call on the disk threads without waiting for it. Raises nothing."""
        try:
            return self._disk.submit(call, *args)
        except (RuntimeError, MemoryError, OSError) as error:
            log.warning("service: a call was not started: %s", error)
            failed: Future[_T] = Future()
            failed.set_exception(error)
            return failed


class _Submits:
    """Counts the submits in progress, and waits for them when the process exits.

    Args:
        grace: Seconds to wait at exit. A submit that takes longer is unknown afterwards.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._count = 0
        self._changed = threading.Condition()
        # The registration must not keep a closed service in memory.
        wait = weakref.WeakMethod(self.wait)
        self._at_exit = lambda: (method := wait()) and method()
        atexit.register(self._at_exit)

    def close(self) -> None:
        """Wait no more at exit."""
        atexit.unregister(self._at_exit)

    def run(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a submit."""
        with self._changed:
            self._count += 1
        try:
            return call(*args)
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait for the submits in progress."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, timeout=self._grace)
