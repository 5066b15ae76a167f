"""When a request is repeated: pure rules; time and randomness are passed in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

from ..errors import Busy, NotAccepted

#: Maximum wait that a Retry-After header can ask for, in seconds.
MAX_RETRY_AFTER: Final = 120.0
#: Minimum wait before a submit is sent again, in seconds, even if the gateway says 0.
MIN_DELAY: Final = 1.0

# Polling of a feed that does not report its progress. In the first minute: from _FIRST_DELAY,
# growing to _FIRST_MINUTE_DELAY. Afterwards _DELAY_PER_AGE of the age. Never over _MAX_POLL_DELAY.
_FIRST_DELAY: Final = 0.8  # seconds
_FIRST_MINUTE_DELAY: Final = 1.9  # seconds
_FIRST_MINUTE: Final = 60.0  # seconds
_DELAY_PER_AGE: Final = 0.115  # seconds per second
_MAX_POLL_DELAY: Final = 60.0  # seconds
# Many live tasks share a budget of requests: above this number, each of them is asked less often
# while its end is far away.
_LIVE_AT_FULL_PACE: Final = 100
# Delays near the end, and without progress, grow by this factor at most: the end is noticed late by
# half a delay.
_MAX_STRETCH: Final = 1.6
# The share of the remaining time until the next request.
_SHARE: Final = 0.5
_SHARE_OF_MANY: Final = 0.7


@dataclass(frozen=True)
class RetryPolicy:
    """How long a submit is repeated that certainly was not accepted.

    Attributes:
        unreachable_patience: Seconds since the first attempt, if no connection is made.
        busy_patience: Seconds since the first attempt, if the gateway asks to wait. A list of
            fifty prompts on an account that runs three tasks at a time needs the default.
    """

    unreachable_patience: float = 20.0
    busy_patience: float = 1800.0


DEFAULT_RETRY_POLICY: Final = RetryPolicy()


def parse_retry_after(value: str | None, now: float, date: str | None = None) -> float | None:
    """Read a Retry-After header: whole seconds or an HTTP date (RFC 9110, section 10.2.3).

    Args:
        value: The header; None if there is none.
        now: The current time, in seconds since the epoch.
        date: The Date header of the same response. A date in Retry-After is by the gateway's clock,
            which may differ from this computer's.

    Returns:
        Seconds to wait, 0…`MAX_RETRY_AFTER`; None if the header is missing or not readable.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    until, sent = _timestamp(text), _timestamp(date or "")
    if until is None:
        return None
    return min(max(until - (now if sent is None else sent), 0.0), MAX_RETRY_AFTER)


def _timestamp(date: str) -> float | None:
    """The time of an HTTP date, in seconds since the epoch; None if it is not readable."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def resend_delay(
    error: NotAccepted,
    attempt: int,
    waited: float,
    random: Random,
    policy: RetryPolicy = DEFAULT_RETRY_POLICY,
) -> float | None:
    """When a submit that was not accepted is sent again.

    Args:
        error: Why it was not accepted.
        attempt: How many times it has been sent, from 1.
        waited: Seconds since it was sent first.
        random: For the jitter.
        policy: How long it is repeated.

    Returns:
        Seconds to wait; None if it must not be sent again automatically.
    """
    if not error.retryable:
        return None
    if isinstance(error, Busy):
        patience = policy.busy_patience
        asked = error.retry_after
        delay = _back_off(1.0, attempt, 30.0) if asked is None else max(asked, MIN_DELAY)
    else:
        patience = policy.unreachable_patience
        delay = _back_off(0.5, attempt, 5.0)
    if waited + delay > patience:
        return None
    # Never earlier than the gateway asked for, and not all requests at the same moment.
    return delay * (1.0 + random.uniform(0.0, 0.25)) + random.uniform(0.0, 0.25)


def _back_off(seconds: float, attempts: int, maximum: float) -> float:
    # Nine doublings exceed every maximum here; without a bound the power would overflow a float.
    return min(seconds * 2.0 ** min(attempts, 9), maximum)


def poll_delay(age: float, progress: int, failures: int, random: Random, *, live: int = 1) -> float:
    """When the feed of a task is read again.

    With progress, the end of the task can be estimated: the feed is read rarely while it is far
    away, and often when it is near. Without progress, the feed is read at an even pace in the first
    minute, in which most tasks finish, and then in intervals that grow with the age: under 60
    requests in ten minutes.

    Args:
        age: Seconds since the task was submitted.
        progress: Percent, as the feed reported it last.
        failures: How many times in a row the feed could not be read.
        random: For the jitter.
        live: How many tasks are waited for.

    Returns:
        Seconds to wait.
    """
    crowd = max(live / _LIVE_AT_FULL_PACE, 1.0)
    stretch = min(crowd, _MAX_STRETCH)
    if 0 < progress < 100:
        remaining = age * (100.0 / progress - 1.0)
        share = _SHARE if crowd == 1.0 else _SHARE_OF_MANY
        shortest = max(0.7, 0.03 * age) * stretch
        longest = max(_FIRST_MINUTE_DELAY, 0.15 * age) * crowd
        delay = min(max(share * remaining, shortest), longest)
    elif age < _FIRST_MINUTE:
        delay = min(_FIRST_DELAY + 0.1 * age, _FIRST_MINUTE_DELAY) * stretch
    else:
        delay = _DELAY_PER_AGE * age
    delay = min(delay, _MAX_POLL_DELAY)
    if failures:
        delay = max(delay, _back_off(0.5, failures, 30.0))
    return delay * random.uniform(0.9, 1.1)


class SharedBackoff:
    """One back-off for all requests with a key: a 429 to one of them slows all of them down.

    Safe to use from several threads and event loops.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0

    def slow_down(self, seconds: float) -> None:
        """Hold all requests for at least this long."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    def wait(self) -> float:
        """Seconds until the next request may be sent; 0 if it may be sent now."""
        with self._lock:
            return max(self._until - self._clock(), 0.0)
