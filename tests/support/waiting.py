"""Waits for a state that another thread or process reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds. It only ends tests that hang: no test measures speed, and a busy machine is slow.
PATIENCE = 120.0
POLL_EVERY = 0.02


def until(look: Callable[[], T], timeout: float = PATIENCE, what: str = "the state") -> T:
    """Call `look` until its value is true, and return that. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}; the last value was {value!r}")
        time.sleep(POLL_EVERY)
    return value
