"""Threads, rate limit and lease renewal, shared by all calls. Not bound to an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from ..errors import Busy, FeedError
from ..gateway import SharedBackoff
from ..journal import Journal, LeaseKeeper
from ..progress import NO_OBSERVER, ProgressObserver, pause, run_in_thread

_T = TypeVar("_T")

_DISK_THREADS: Final = 4
_DISPLAY_THREADS: Final = 2


class _BackoffStarted(Exception):
    """A back-off began while the call waited for its thread."""


class Workers:
    """The threads that run blocking work.

    Requests wait for the network, other work for the disk and the processor. Each kind has its own
    threads, so that neither delays the other. Python joins these threads when it exits, so the
    answer to a submit in progress is still recorded.

    Args:
        journal: The journal whose leases are renewed during a call.
        max_requests: How many requests may be in progress at once.
        rate_limit_pause: Seconds without requests after a 429 that has no Retry-After header.
    """

    def __init__(self, journal: Journal, max_requests: int, rate_limit_pause: float) -> None:
        self._network = ThreadPoolExecutor(max_requests, "pika-network")
        self._disk = ThreadPoolExecutor(_DISK_THREADS, "pika-disk")
        self._display = ThreadPoolExecutor(_DISPLAY_THREADS, "pika-display")
        self._rate_limit_pause = rate_limit_pause
        self.backoff = SharedBackoff(time.monotonic)
        self.keeper = LeaseKeeper(journal)

    def close(self) -> None:
        """Wait for the calls in progress, then end the threads."""
        self._network.shutdown()
        self._disk.shutdown()
        self._display.shutdown(cancel_futures=True)
        self.keeper.close()

    async def network(
        self, observer: ProgressObserver, call: Callable[..., _T], *args: object
    ) -> _T:
        """Run a call that sends a request to the gateway, once no back-off is active."""
        while True:
            while (seconds := self.backoff.wait()) > 0:
                await pause(seconds, observer)
            try:
                return await run_in_thread(
                    self._network, observer, self._unless_backing_off, call, *args
                )
            except _BackoffStarted:
                continue

    def _unless_backing_off(self, call: Callable[..., _T], *args: object) -> _T:
        """Check and start the back-off in the thread that sends.

        The thread takes its next call from the queue before the event loop hears of a 429.
        """
        if self.backoff.wait() > 0:
            raise _BackoffStarted
        try:
            return call(*args)
        except (Busy, FeedError) as error:
            if isinstance(error, Busy) or error.status == 429:
                asked = error.retry_after
                self.backoff.slow_down(self._rate_limit_pause if asked is None else asked)
            raise

    async def media(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call to the media host. The gateway's rate limit does not apply to it."""
        return await run_in_thread(self._network, observer, call, *args)

    async def disk(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that reads, writes or encodes."""
        return await run_in_thread(self._disk, observer, call, *args)

    async def display(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a call whose result is only displayed. It never delays work on paid tasks."""
        return await run_in_thread(self._display, NO_OBSERVER, call, *args)

    def start(self, call: Callable[..., _T], *args: object) -> Future[_T]:
        """Start a call on the disk threads without waiting for it."""
        return self._disk.submit(call, *args)
