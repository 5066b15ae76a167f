"""How a long call is watched from outside, and how blocking work waits without blocking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, TypeVar

_T = TypeVar("_T")

#: Seconds between two looks at whether the user wants to stop.
CHECK_EVERY: Final = 0.2


@dataclass(frozen=True)
class Progress:
    """Something to show while a call goes on.

    Attributes:
        text: A line for the person at the node.
        progress: Per cent of the task, 0…100.
        task_id: Empty before there is one.
        elapsed: Seconds since the task was submitted, as far as known.
        poster_url: A picture to show meanwhile; empty where there is none.
    """

    text: str
    progress: int = 0
    task_id: str = ""
    elapsed: float = 0.0
    poster_url: str = ""


@dataclass(frozen=True)
class ProgressObserver:
    """Who watches a call.

    Attributes:
        check: Called about every `CHECK_EVERY` seconds; raises to stop the waiting. It never
            stops the task: what is paid for stays paid for.
        report: Called with news.
    """

    check: Callable[[], None] = lambda: None
    report: Callable[[Progress], None] = lambda _report: None


NO_OBSERVER: Final = ProgressObserver()


async def run_in_thread(
    pool: Executor, observer: ProgressObserver, call: Callable[..., _T], *args: object
) -> _T:
    """Run a blocking call in a thread, looking out for the user meanwhile.

    A call that is given up goes on in its thread: what it learns it must write down itself.
    """
    future = asyncio.wrap_future(pool.submit(call, *args))
    # If nobody asks for its error any more, that is not an accident to print on the console.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        while True:
            await asyncio.wait((future,), timeout=CHECK_EVERY)
            if future.done():
                return future.result()
            observer.check()
    except BaseException:
        future.cancel()  # what has not begun in its thread never will
        raise


async def pause(seconds: float, observer: ProgressObserver) -> None:
    """Wait this long, looking out for the user meanwhile."""
    end = time.monotonic() + seconds
    observer.check()
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, CHECK_EVERY))
        observer.check()
