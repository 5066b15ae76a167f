"""What all calls share: threads, the brake, and the keeper of leases. Bound to no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from .journal import Journal
from .leases import LeaseKeeper
from .retry import Pace
from .watch import Watch, in_thread, pause

_T = TypeVar("_T")

_DISK_THREADS: Final = 4


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
        self.pace = Pace(time.monotonic)
        self.keeper = LeaseKeeper(journal)

    def close(self) -> None:
        """Wait for what is under way, then end the threads."""
        self._network.shutdown()
        self._disk.shutdown()

    async def network(self, watch: Watch, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that sends a request, when the brake lets it."""
        while (seconds := self.pace.wait()) > 0:
            await pause(seconds, watch)
        return await in_thread(self._network, watch, call, *args)

    async def disk(self, watch: Watch, call: Callable[..., _T], *args: object) -> _T:
        """Run a call that reads, writes or encodes."""
        return await in_thread(self._disk, watch, call, *args)

    def later(self, call: Callable[..., _T], *args: object) -> Future[_T]:
        """Run a call that nobody waits for."""
        return self._disk.submit(call, *args)
