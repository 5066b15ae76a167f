"""What all calls share: threads, the brake, and the keeper of leases. Bound to no event loop."""

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
_SHOW_THREADS: Final = 2
#: Seconds nothing is sent after a 429 that does not say how long.
_BREATH: Final = 2.0


class _Braked(Exception):
    """The brake was put on between the queue for a thread and the thread."""


class Workers:
    """The threads that blocking work runs in.

    Requests wait on the network, the rest on the disk and the processor: they have threads of
    their own, so that neither holds up the other. Python joins these threads when it ends, so a
    submit that is under way is still written down.

    Args:
        journal: The journal whose leases are kept alive while somebody works.
        max_requests: How many requests may be under way at once.
    """

    def __init__(self, journal: Journal, max_requests: int) -> None:
        self._network = ThreadPoolExecutor(max_requests, "pika-network")
        self._disk = ThreadPoolExecutor(_DISK_THREADS, "pika-disk")
        self._show = ThreadPoolExecutor(_SHOW_THREADS, "pika-show")
        self.backoff = SharedBackoff(time.monotonic)
        self.keeper = LeaseKeeper(journal)

    def close(self) -> None:
        """Wait for what is under way, then end the threads."""
        self._network.shutdown()
        self._disk.shutdown()
        self._show.shutdown(cancel_futures=True)
        self.keeper.close()

    async def network(
        self, observer: ProgressObserver, call: Callable[..., _T], *args: object
    ) -> _T:
        """Run a call that sends a request, when the brake lets it."""
        while True:
            while (seconds := self.backoff.wait()) > 0:
                await pause(seconds, observer)
            try:
                return await run_in_thread(self._network, observer, self._paced, call, *args)
            except _Braked:
                continue

    def _paced(self, call: Callable[..., _T], *args: object) -> _T:
        """The call, in its thread; the brake is looked at and put on here, as this thread goes on
        to the next in the queue before anybody hears of a 429.
        """
        if self.backoff.wait() > 0:
            raise _Braked
        try:
            return call(*args)
        except (Busy, FeedError) as error:
            if isinstance(error, Busy) or error.status == 429:
                self.backoff.slow_down(_BREATH if error.retry_after is None else error.retry_after)
            raise

    async def media(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call to the media host, which the gateway's brake does not concern."""
        return await run_in_thread(self._network, observer, call, *args)

    async def disk(self, observer: ProgressObserver, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that reads, writes or encodes."""
        return await run_in_thread(self._disk, observer, call, *args)

    async def show(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that is only for show: it takes no thread from what is paid for."""
        return await run_in_thread(self._show, NO_OBSERVER, call, *args)

    def later(self, call: Callable[..., _T], *args: object) -> Future[_T]:
        """Run a call that nobody waits for."""
        return self._disk.submit(call, *args)
