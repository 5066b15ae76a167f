"""When to ask again, and whether."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import Busy, NotAccepted, Refused, Unreachable
from pika_api.gateway import SharedBackoff, poll_delay, resend_delay
from pika_api.gateway.retry import (
    BUSY_PATIENCE,
    MAX_RETRY_AFTER,
    UNREACHABLE_PATIENCE,
    parse_retry_after,
)
from support.api import Clock

NOON = 1_792_584_000.0  # Wed, 21 Oct 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("120", 120.0),
        ("121", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("Wed, 21 Oct 2026 12:00:09 GMT", 9.0),
        ("Wed, 21 Oct 2026 14:00:09 +0200", 9.0),
        ("Wed, 21 Oct 2026 11:59:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 12:00:00 GMT", MAX_RETRY_AFTER),
        ("Wed, 99 Oct 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds or a date, never over the cap, never negative; garbage says nothing."""
    assert parse_retry_after(value, NOON) == seconds


@given(st.text() | st.from_regex(r"\A\w{3}, \d{1,9} Jan \d{1,9} \d\d:\d\d:\d\d ([+-]\d{4}|GMT)?\Z"))
def test_no_retry_after_is_an_accident(value: str) -> None:
    """Whatever the header holds, it is a time in bounds or nothing."""
    found = parse_retry_after(value, NOON)
    assert found is None or 0 <= found <= MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("error", "attempt", "low"),
    [
        (Busy("", status=429, retry_after=7.0), 1, 7.0),
        (Busy("", status=503, retry_after=0.0), 1, 1.0),
        (Busy("", status=429, retry_after=None), 1, 2.0),
        (Busy("", status=429, retry_after=None), 3, 8.0),
        (Busy("", status=429, retry_after=None), 9, 30.0),
        (Unreachable(""), 1, 1.0),
        (Unreachable(""), 9, 5.0),
    ],
)
def test_a_proven_no_is_sent_again_and_never_too_early(
    error: NotAccepted, attempt: int, low: float
) -> None:
    """At least as long as asked, at most a quarter and a quarter second more."""
    for seed in range(50):
        delay = resend_delay(error, attempt, 0.0, Random(seed))
        assert delay is not None
        assert low <= delay <= low * 1.25 + 0.25


@pytest.mark.parametrize(
    ("error", "waited"),
    [
        (Refused("", status=400), 0.0),
        (NotAccepted(""), 0.0),
        (Unreachable("", connected=True), 0.0),
        (Unreachable(""), UNREACHABLE_PATIENCE),
        (Busy("", status=429, retry_after=1.0), BUSY_PATIENCE),
        (Busy("", status=429, retry_after=None), BUSY_PATIENCE),
    ],
)
def test_the_rest_is_not_sent_again(error: NotAccepted, waited: float) -> None:
    """A clear no, a connection that broke, and patience that is at its end."""
    assert resend_delay(error, 1, waited, Random(0)) is None


@pytest.mark.parametrize(
    ("error", "patience"),
    [
        (Unreachable(""), UNREACHABLE_PATIENCE),
        (Busy("", status=429, retry_after=1.0), BUSY_PATIENCE),
    ],
)
def test_the_last_try_is_one_that_patience_just_allows(error: NotAccepted, patience: float) -> None:
    """Both wait a second: with that much left it is sent again, with a little less it is not."""
    assert resend_delay(error, 1, patience - 1.0, Random(0)) is not None
    assert resend_delay(error, 1, patience - 0.99, Random(0)) is None


@given(st.floats(0, 1e7), st.integers(0, 100), st.integers(0, 10_000), st.integers())
def test_polling_is_never_mad_and_never_asleep(
    age: float, progress: int, failures: int, seed: int
) -> None:
    """At least 0.6 s, at most a minute and a tenth."""
    assert 0.6 <= poll_delay(age, progress, failures, Random(seed)) <= 66.0


class Middle(Random):
    """Chance that always strikes the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.mark.parametrize(
    ("age", "progress", "failures", "seconds"),
    [
        # Nothing told: quick at first, evenly for a minute, then seldom and more seldom.
        (0.0, 0, 0, 0.8),
        (5.0, 0, 0, 1.3),
        (11.0, 0, 0, 1.9),
        (59.0, 0, 0, 1.9),
        (60.0, 0, 0, 6.9),
        (200.0, 0, 0, 23.0),
        (600.0, 0, 0, 60.0),
        # Told: half of what is left, within bounds that grow with the age.
        (60.0, 1, 0, 9.0),
        (60.0, 50, 0, 9.0),
        (60.0, 90, 0, 10 / 3),
        (60.0, 97, 0, 1.8),
        (10.0, 5, 0, 1.9),
        (10.0, 95, 0, 0.7),
        (1000.0, 50, 0, 60.0),
        # All done and not over: nobody can tell how long that takes.
        (60.0, 100, 0, 6.9),
        # Not readable: twice as long each time, and never sooner than without the trouble.
        (0.0, 0, 1, 1.0),
        (0.0, 0, 3, 4.0),
        (0.0, 0, 6, 30.0),
        (200.0, 0, 1, 23.0),
    ],
)
def test_the_feed_is_asked_when_it_pays(
    age: float, progress: int, failures: int, seconds: float
) -> None:
    """By the task's age, by how far it says it is, and by how often it could not be read."""
    assert poll_delay(age, progress, failures, Middle()) == pytest.approx(seconds)


def watched(length: float, tells: bool, seed: int) -> tuple[float, int]:
    """How late, in seconds, the end of a task is noticed, and after how many requests."""
    random = Random(seed)
    now, requests = random.uniform(0, 0.1), 0
    while True:
        requests += 1
        if now >= length:
            return now - length, requests
        progress = int(100 * now / length) if tells else 0
        now += poll_delay(now, progress, 0, random) + 0.03


#: Lengths of tasks in seconds, as clips of 3 to 10 seconds take at busy and at quiet times.
LENGTHS = (3, 4, 6, 9, 13, 18, 24, 31, 38, 45, 52, 72, 95, 130, 180, 260, 380, 540, 600, 800, 1200)


@pytest.mark.parametrize("tells", [True, False], ids=["progress", "stuck at 0"])
def test_the_end_is_noticed_soon(tells: bool) -> None:
    """Of tasks under a minute, on average within a second. Of longer ones within 3 % of their
    length where the feed tells its progress, and within 6 % where it stays at 0: that is what
    under 60 requests in ten minutes allow."""
    late = {
        length: mean(watched(length * (1 + seed / 1000), tells, seed)[0] for seed in range(100))
        for length in LENGTHS
    }
    assert mean(late[length] for length in LENGTHS if length < 60) < 1.0
    assert mean(late[length] / length for length in LENGTHS if length > 60) < (
        0.03 if tells else 0.06
    )


@pytest.mark.parametrize("tells", [True, False], ids=["progress", "stuck at 0"])
def test_a_long_wait_is_cheap(tells: bool) -> None:
    """Ten minutes of waiting are under 60 requests, whether the feed tells its progress or not."""
    assert max(watched(600, tells, seed)[1] for seed in range(200)) < 60


def test_pace_brakes_all_until_the_longest_asked() -> None:
    """A shorter brake does not loosen a longer one; time does."""
    clock = Clock(0.0)  # a machine that has just been started
    pace = SharedBackoff(clock)
    assert pace.wait() == 0
    pace.slow_down(10)
    pace.slow_down(3)
    assert pace.wait() == 10
    clock.now += 9
    assert pace.wait() == 1
    clock.now += 5
    assert pace.wait() == 0
