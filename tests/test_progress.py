"""Waiting for blocking work: who may stop it, and what it costs."""

from __future__ import annotations

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pika_api.progress import NO_OBSERVER, ProgressObserver, pause, run_in_thread


class Stopped(Exception):
    """The user stops."""


def test_checks_run_in_the_context_of_their_own_wait() -> None:
    """ComfyUI keeps there which node is executed. One timer runs the checks of all that wait."""
    node: contextvars.ContextVar[int] = contextvars.ContextVar("node")
    seen: dict[int, set[int]] = {}

    async def one(number: int) -> None:
        node.set(number)
        nodes = seen.setdefault(number, set())
        await pause(0.5, ProgressObserver(check=lambda: nodes.add(node.get())))

    async def many() -> None:
        await asyncio.gather(*(one(number) for number in range(50)))

    asyncio.run(many())
    assert seen == {number: {number} for number in range(50)}


@pytest.mark.parametrize("error", [Stopped(), KeyboardInterrupt()])
def test_check_that_raises_ends_its_own_wait_only(error: BaseException) -> None:
    """Whatever it raises; the others go on, and so does the call in its thread."""
    ended: list[str] = []

    def work() -> str:
        time.sleep(0.6)
        ended.append("work")
        return "done"

    def check() -> None:
        raise error

    async def both(pool: ThreadPoolExecutor) -> list[object]:
        stopped = run_in_thread(pool, ProgressObserver(check=check), work)
        other = run_in_thread(pool, ProgressObserver(check=lambda: None), work)
        return await asyncio.gather(stopped, other, return_exceptions=True)

    with ThreadPoolExecutor(2) as pool:
        if isinstance(error, Exception):
            assert asyncio.run(both(pool)) == [error, "done"]
        else:
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(both(pool))
    assert ended == ["work"] * 2


def test_nothing_ticks_where_nobody_can_stop_the_waiting() -> None:
    """Two thousand that wait wake the event loop up once each, not five times a second each."""

    async def woken() -> int:
        loop = asyncio.get_running_loop()
        calls = 0
        call_at = loop.call_at

        def counted(*args: object, **options: object) -> asyncio.TimerHandle:
            nonlocal calls
            calls += 1
            return call_at(*args, **options)  # type: ignore[arg-type]

        loop.call_at = counted  # type: ignore[method-assign]
        await asyncio.gather(*(pause(0.5, NO_OBSERVER) for _ in range(2000)))
        return calls

    assert asyncio.run(woken()) <= 2010
