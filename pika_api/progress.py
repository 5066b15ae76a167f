"""Progress of a long call, and waiting for blocking work without blocking the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, TypeVar

_T = TypeVar("_T")

#: Seconds between two checks whether the user wants to stop.
CHECK_EVERY: Final = 0.2


@dataclass(frozen=True)
class Progress:
    """What to show while a call is running.

    Attributes:
        text: A line for the user at the node.
        progress: Progress of the task in percent, 0…100.
        task_id: The gateway's id; empty while there is none.
        elapsed: Seconds since the task was submitted, as far as known.
        poster_url: Address of a picture to show meanwhile; empty if there is none.
    """

    text: str
    progress: int = 0
    task_id: str = ""
    elapsed: float = 0.0
    poster_url: str = ""


@dataclass(frozen=True)
class ProgressObserver:
    """Callbacks of a long call.

    Attributes:
        check: Called about every `CHECK_EVERY` seconds; raises to stop the waiting. The task goes
            on: it is paid for.
        report: Called with each `Progress`.
    """

    check: Callable[[], None] = lambda: None
    report: Callable[[Progress], None] = lambda _progress: None


NO_OBSERVER: Final = ProgressObserver()


async def run_in_thread(
    pool: Executor, observer: ProgressObserver, call: Callable[..., _T], *args: object
) -> _T:
    """Run a blocking call in a thread, and check meanwhile whether the user wants to stop.

    A call that is no longer awaited goes on in its thread, so it must record its own result.
    """
    future = asyncio.wrap_future(pool.submit(call, *args))
    # Without this, asyncio prints the error of a call that nobody awaits any more.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        while True:
            await asyncio.wait((future,), timeout=CHECK_EVERY)
            if future.done():
                return future.result()
            observer.check()
    except BaseException:
        future.cancel()  # has an effect only if the call has not started yet
        raise


async def pause(seconds: float, observer: ProgressObserver) -> None:
    """Wait, and check meanwhile whether the user wants to stop."""
    end = time.monotonic() + seconds
    observer.check()
    while (remaining := end - time.monotonic()) > 0:
        await asyncio.sleep(min(remaining, CHECK_EVERY))
        observer.check()
