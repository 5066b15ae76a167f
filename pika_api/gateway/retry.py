"""When to ask again, and whether: pure rules, with time and chance handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

from ..errors import Busy, NotAccepted, Unreachable

#: A Retry-After is honoured up to here, in seconds.
MAX_RETRY_AFTER: Final = 120.0
#: A gateway that says «at once» is given this many seconds all the same.
MIN_DELAY: Final = 1.0
#: How long, in seconds, a submit that the gateway asks to be sent later is held in all. A list of
#: fifty on an account that runs three at a time needs this much.
BUSY_PATIENCE: Final = 1800.0
#: Of a feed that does not tell its progress: seconds between two looks at first and soon, in the
#: first minute, then the part of the age; and the most at any time.
_FIRST: Final = 0.8
_EVENLY: Final = 1.9
_MINUTE: Final = 60.0
_GROWTH: Final = 0.115
_SELDOM: Final = 60.0
#: How long, in seconds, a submit that finds no connection is tried again.
UNREACHABLE_PATIENCE: Final = 20.0


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: whole seconds or an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: The header, or None where there is none.
        now: The time, in seconds since the epoch.

    Returns:
        0…`MAX_RETRY_AFTER`, or None where the header is missing or says nothing readable.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def resend_delay(error: NotAccepted, attempt: int, waited: float, random: Random) -> float | None:
    """Seconds until a submit may be sent again, or None if it must not be by itself.

    Only two kinds come again, both proven not to have become a task: no connection was made, and
    the gateway asked to be asked later.

    Args:
        error: Why it was not accepted.
        attempt: How many times it has been sent; from 1.
        waited: Seconds since the first.
    """
    if isinstance(error, Busy):
        patience = BUSY_PATIENCE
        asked = error.retry_after
        delay = _doubled(1.0, attempt, 30.0) if asked is None else max(asked, MIN_DELAY)
    elif isinstance(error, Unreachable) and not error.connected:
        patience = UNREACHABLE_PATIENCE
        delay = _doubled(0.5, attempt, 5.0)
    else:
        return None
    if waited + delay > patience:
        return None
    # Never earlier than asked; a little later each, so that many do not come back at once.
    return delay * (1.0 + random.uniform(0.0, 0.25)) + random.uniform(0.0, 0.25)


def _doubled(seconds: float, times: int, most: float) -> float:
    # Nine times is beyond every `most`, and a power with no bound would not fit into a float.
    return min(seconds * 2.0 ** min(times, 9), most)


def poll_delay(age: float, progress: int, failures: int, random: Random) -> float:
    """Seconds until the feed is asked again.

    A feed that tells its progress tells about when the task will be over: far from that it is
    asked seldom, near it often. One that stays at 0 is asked evenly for a minute, since most
    tasks are over then, and in steps that grow with the age afterwards: under 60 times in ten
    minutes.

    Args:
        age: Seconds since the task was submitted.
        progress: Per cent, as the feed last told.
        failures: How many times in a row the feed could not be read.
    """
    if 0 < progress < 100:
        left = age * (100.0 / progress - 1.0)
        often, seldom = max(0.7, 0.03 * age), max(_EVENLY, 0.15 * age)
        delay = min(max(0.5 * left, often), seldom)
    else:
        delay = min(_FIRST + 0.1 * age, _EVENLY) if age < _MINUTE else _GROWTH * age
    delay = min(delay, _SELDOM)
    if failures:
        delay = max(delay, _doubled(0.5, failures, 30.0))
    return delay * random.uniform(0.9, 1.1)


class SharedBackoff:
    """One brake for all requests with a key: when one is told to slow down, all are.

    Safe to use from several threads and event loops.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0

    def slow_down(self, seconds: float) -> None:
        """Let nothing be sent for this long."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    def wait(self) -> float:
        """Seconds until something may be sent: 0 when it may be now."""
        with self._lock:
            return max(self._until - self._clock(), 0.0)
