"""Control over the tasks of a simulated gateway, so that no test depends on how fast it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pika_api.settings import gateway_of
from pika_api.tasks.collect import file_stem
from support.waiting import until

if TYPE_CHECKING:
    from simulator import Request, Simulator

#: Seconds. A task or an answer that takes this long takes until the test decides otherwise.
HELD = 3600.0


def advance(gateway: Simulator, task_id: str, share: float) -> None:
    """Set how much of a held task is done: below 0.15 it is queued, at 1 it is finished."""
    task = gateway.tasks[task_id]
    # `Task` is frozen: the simulator itself never changes a task's times.
    object.__setattr__(task, "started", time.monotonic() - share * task.seconds)


class HeldTasks:
    """The tasks that are charged while a `held_tasks` block lasts."""

    def __init__(self, gateway: Simulator) -> None:
        self._gateway = gateway
        self._before = len(gateway.charged)

    @property
    def ids(self) -> list[str]:
        """Their ids, the oldest first."""
        return self._gateway.charged[self._before :]

    def running(self, count: int = 1) -> list[str]:
        """Wait until so many are charged, and let them run, half done; their ids."""
        until(lambda: len(self.ids) >= count, what=f"the charge of {count} tasks")
        for task_id in self.ids:
            advance(self._gateway, task_id, 0.5)
        return self.ids


@contextmanager
def held_tasks(gateway: Simulator, count: int = 1) -> Iterator[HeldTasks]:
    """Let the next `count` tasks finish at the end of the block, and not earlier."""
    tasks = HeldTasks(gateway)
    for _ in range(count):
        gateway.fault(on="task", seconds=HELD)
    try:
        yield tasks
    finally:
        for task_id in tasks.ids:
            advance(gateway, task_id, 1.0)


def unanswered(gateway: Simulator, part: str, after: int = 0) -> list[Request]:
    """The requests with this part in their path that have no answer yet.

    Args:
        after: How many requests, the oldest ones, do not count.
    """
    return [each for each in gateway.log[after:] if part in each.path and each.status is None]


def result_name(gateway: Simulator, task_id: str, suffix: str = ".mp4") -> str:
    """The name of a task's file in the output folder."""
    return file_stem(gateway_of(gateway.url), task_id) + suffix
