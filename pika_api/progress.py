"""Progress of a long call, and waiting for blocking work without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

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


def _nothing_to_check() -> None:
    """Nobody can stop the waiting, so that nothing need wake up for it."""


def _nothing_to_show(_progress: Progress) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class ProgressObserver:
    """Callbacks of a long call.

    Attributes:
        check: Called about every `CHECK_EVERY` seconds; raises to stop the waiting. The task goes
            on: it is paid for.
        report: Called with each `Progress`.
    """

    check: Callable[[], None] = _nothing_to_check
    report: Callable[[Progress], None] = _nothing_to_show

    @property
    def checks(self) -> bool:
        """Whether `check` may stop the waiting."""
        return self.check is not _nothing_to_check


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
        if observer.checks:
            await _watch(future, observer)
        return await future
    except BaseException:
        future.cancel()  # has an effect only if the call has not started yet
        raise


async def pause(seconds: float, observer: ProgressObserver) -> None:
    """Wait, and check meanwhile whether the user wants to stop."""
    if not observer.checks:
        await asyncio.sleep(max(seconds, 0.0))
        return
    observer.check()
    if seconds > 0:
        await _watch(asyncio.ensure_future(asyncio.sleep(seconds)), observer)
        observer.check()


async def _watch(future: asyncio.Future[Any], observer: ProgressObserver) -> None:
    """Wait until a future is done. It is cancelled if the observer's check raises meanwhile."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end(error: BaseException | None = None) -> None:
        if over.done():
            return
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)

    def on_done(_future: object) -> None:
        end()

    future.add_done_callback(on_done)
    ticker = _tickers.get(loop)
    if ticker is None:
        ticker = _tickers.setdefault(loop, _Ticker())
    try:
        with ticker.checking(_Check(observer.check, end, contextvars.copy_context())):
            await over
    except BaseException:
        future.cancel()
        raise
    finally:
        future.remove_done_callback(on_done)


@dataclass(frozen=True, eq=False)
class _Check:
    """One wait that a check may end.

    Attributes:
        check: Raises to end it.
        end: Called with the error.
        context: The context of the waiting coroutine: ComfyUI keeps there which node it is.
    """

    check: Callable[[], None]
    end: Callable[[BaseException], None]
    context: contextvars.Context

    def run(self) -> None:
        try:
            self.context.run(self.check)
        except BaseException as error:  # noqa: BLE001 - raised by the coroutine that waits
            self.end(error)


class _Ticker:
    """One timer of an event loop for all that wait there. It runs only while somebody does."""

    def __init__(self) -> None:
        self._checks: set[_Check] = set()
        self._is_running = False

    @contextmanager
    def checking(self, check: _Check) -> Iterator[None]:
        """Run a check about every `CHECK_EVERY` seconds until the block ends."""
        self._checks.add(check)
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_later(CHECK_EVERY, self._tick)
        try:
            yield
        finally:
            self._checks.discard(check)

    def _tick(self) -> None:
        for check in tuple(self._checks):
            check.run()
        self._is_running = bool(self._checks)
        if self._is_running:
            asyncio.get_running_loop().call_later(CHECK_EVERY, self._tick)


_tickers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Ticker]] = WeakKeyDictionary()
