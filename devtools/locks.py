"""A lock between processes that the operating system gives back when its owner dies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class InUseError(Exception):
    """Another process holds the lock."""


@contextmanager
def lock(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold `path` as a lock.

    When another process has it: raises InUseError, or, given `on_wait`, calls that once and
    waits for as long as it takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        told = False
        while not _taken(file.fileno()):
            if on_wait is None:
                raise InUseError(str(path))
            if not told:
                on_wait()
            told = True
            sleep(0.5)
        yield


def _taken(descriptor: int) -> bool:
    try:
        _take(descriptor)
    except OSError:
        return False
    return True
