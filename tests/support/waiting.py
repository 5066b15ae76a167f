"""Waiting for what another process does, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_EVERY = 0.02


def until(look: Callable[[], T], timeout: float = 10.0, what: str = "it") -> T:
    """The first true value of `look()`. Raises TimeoutError when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about in {timeout:g} s: {found!r}")
        time.sleep(POLL_EVERY)
    return found
