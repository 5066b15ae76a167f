"""Whether and when a request is repeated."""

from __future__ import annotations

from email.utils import formatdate
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import Busy, NotAccepted, Refused, Unreachable
from pika_api.gateway import RetryPolicy, SharedBackoff, poll_delay, resend_delay
from pika_api.gateway.retry import MAX_RETRY_AFTER, parse_retry_after
from support.api import Clock

POLICY = RetryPolicy()
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
def test_retry_after_is_parsed(value: str | None, seconds: float | None) -> None:
    """Seconds or a date, never negative and never over the maximum. Anything else is None."""
    assert parse_retry_after(value, NOON) == seconds


@given(st.text() | st.from_regex(r"\A\w{3}, \d{1,9} Jan \d{1,9} \d\d:\d\d:\d\d ([+-]\d{4}|GMT)?\Z"))
def test_any_retry_after_is_parsed(value: str) -> None:
    """Whatever the header contains, the result is a wait within the limits or None."""
    seconds = parse_retry_after(value, NOON)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


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
def test_rejected_submit_is_resent_after_the_asked_delay(
    error: NotAccepted, attempt: int, low: float
) -> None:
    """At least the asked delay, and at most a quarter of it and 0.25 s more."""
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
        (Unreachable(""), POLICY.unreachable_patience),
        (Busy("", status=429, retry_after=1.0), POLICY.busy_patience),
        (Busy("", status=429, retry_after=None), POLICY.busy_patience),
    ],
)
def test_submit_is_not_resent(error: NotAccepted, waited: float) -> None:
    """After a clear rejection, after a connection that broke, and when the patience is used up."""
    assert resend_delay(error, 1, waited, Random(0)) is None


@pytest.mark.parametrize(
    ("error", "patience"),
    [
        (Unreachable(""), POLICY.unreachable_patience),
        (Busy("", status=429, retry_after=1.0), POLICY.busy_patience),
    ],
)
def test_last_attempt_is_within_the_patience(error: NotAccepted, patience: float) -> None:
    """Both errors wait 1 s: if less than that is left, there is no further attempt."""
    assert resend_delay(error, 1, patience - 1.0, Random(0)) is not None
    assert resend_delay(error, 1, patience - 0.99, Random(0)) is None


@pytest.mark.parametrize(
    ("error", "policy"),
    [
        (Unreachable(""), RetryPolicy(unreachable_patience=0.9)),
        (Busy("", status=429, retry_after=1.0), RetryPolicy(busy_patience=0.9)),
    ],
)
def test_patience_is_injected(error: NotAccepted, policy: RetryPolicy) -> None:
    """Both errors wait 1 s, which the default allows and these policies do not."""
    assert resend_delay(error, 1, 0.0, Random(0)) is not None
    assert resend_delay(error, 1, 0.0, Random(0), policy) is None


@given(st.floats(0, 1e7), st.integers(0, 100), st.integers(0, 10_000), st.integers())
def test_poll_delay_is_within_limits(age: float, progress: int, failures: int, seed: int) -> None:
    """At least 0.6 s and at most 66 s."""
    assert 0.6 <= poll_delay(age, progress, failures, Random(seed)) <= 66.0


class Middle(Random):
    """Randomness that always returns the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.mark.parametrize(
    ("age", "progress", "failures", "seconds"),
    [
        # Without progress: quick at first, evenly for a minute, then more and more rarely.
        (0.0, 0, 0, 0.8),
        (5.0, 0, 0, 1.3),
        (11.0, 0, 0, 1.9),
        (59.0, 0, 0, 1.9),
        (60.0, 0, 0, 6.9),
        (200.0, 0, 0, 23.0),
        (600.0, 0, 0, 60.0),
        # With progress: half of the remaining time, within limits that grow with the age.
        (60.0, 1, 0, 9.0),
        (60.0, 50, 0, 9.0),
        (60.0, 90, 0, 10 / 3),
        (60.0, 97, 0, 1.8),
        (10.0, 5, 0, 1.9),
        (10.0, 95, 0, 0.7),
        (1000.0, 50, 0, 60.0),
        # 100 % and not finished: the remaining time is not known.
        (60.0, 100, 0, 6.9),
        # Failures: twice as long each time, and never shorter than without a failure.
        (0.0, 0, 1, 1.0),
        (0.0, 0, 3, 4.0),
        (0.0, 0, 6, 30.0),
        (200.0, 0, 1, 23.0),
    ],
)
def test_poll_delay_depends_on_age_progress_and_failures(
    age: float, progress: int, failures: int, seconds: float
) -> None:
    """The exact delays without jitter."""
    assert poll_delay(age, progress, failures, Middle()) == pytest.approx(seconds)


class Edge(Random):
    """Randomness that always returns the lower or the upper edge."""

    def __init__(self, *, upper: bool) -> None:
        super().__init__()
        self.upper = upper

    def uniform(self, a: float, b: float) -> float:
        return b if self.upper else a


@pytest.mark.parametrize(("upper", "seconds"), [(False, 54.0), (True, 66.0)])
def test_poll_jitter_is_a_tenth(upper: bool, seconds: float) -> None:
    """A delay of 60 s is shortened or lengthened by at most 6 s."""
    assert poll_delay(600.0, 0, 0, Edge(upper=upper)) == pytest.approx(seconds)


def poll_task(length: float, has_progress: bool, seed: int) -> tuple[float, int]:
    """How late the end of a task is noticed, in seconds, and after how many requests."""
    random = Random(seed)
    now, requests = random.uniform(0, 0.1), 0
    while True:
        requests += 1
        if now >= length:
            return now - length, requests
        progress = int(100 * now / length) if has_progress else 0
        now += poll_delay(now, progress, 0, random) + 0.03


#: Durations of tasks in seconds, for clips of 3 to 10 seconds at busy and at quiet times.
LENGTHS = (3, 4, 6, 9, 13, 18, 24, 31, 38, 45, 52, 72, 95, 130, 180, 260, 380, 540, 600, 800, 1200)


@pytest.mark.parametrize("has_progress", [True, False], ids=["progress", "stuck at 0"])
def test_end_of_a_task_is_noticed_soon(has_progress: bool) -> None:
    """For tasks under a minute within a second, on average. For longer ones within 3 % of their
    length with progress, and within 6 % without: under 60 requests in ten minutes allow no more.
    """
    late = {
        length: mean(
            poll_task(length * (1 + seed / 1000), has_progress, seed)[0] for seed in range(100)
        )
        for length in LENGTHS
    }
    assert mean(late[length] for length in LENGTHS if length < 60) < 1.0
    assert mean(late[length] / length for length in LENGTHS if length > 60) < (
        0.03 if has_progress else 0.06
    )


@pytest.mark.parametrize("has_progress", [True, False], ids=["progress", "stuck at 0"])
def test_ten_minutes_take_under_60_requests(has_progress: bool) -> None:
    """With and without progress."""
    assert max(poll_task(600, has_progress, seed)[1] for seed in range(200)) < 60


def test_shared_backoff_lasts_until_the_longest_wait() -> None:
    """A shorter wait does not replace a longer one."""
    clock = Clock(0.0)  # a machine that was just started
    backoff = SharedBackoff(clock)
    assert backoff.wait() == 0
    backoff.slow_down(10)
    backoff.slow_down(3)
    assert backoff.wait() == 10
    clock.now += 9
    assert backoff.wait() == 1
    clock.now += 5
    assert backoff.wait() == 0


@pytest.mark.parametrize("wrong", [0.0, 8 * 3600.0, -8 * 3600.0, -1.7e9])
def test_date_to_retry_at_is_by_the_gateways_clock(wrong: float) -> None:
    """This computer's clock may be wrong. A Date that is not readable counts as none."""
    sent = 1_800_000_000.0
    header, date = formatdate(sent + 30, usegmt=True), formatdate(sent, usegmt=True)
    assert parse_retry_after(header, sent + wrong, date) == 30.0
    assert parse_retry_after("30", sent + wrong, date) == 30.0
    for unreadable in (None, "", "soon", "Thu, 99 Foo 2026"):
        assert parse_retry_after(header, sent, unreadable) == 30.0


@pytest.mark.parametrize(("progress", "age"), [(0, 20.0), (10, 10.0), (50, 15.0), (98, 30.0)])
def test_many_live_tasks_are_asked_less_often(progress: int, age: float) -> None:
    """Up to a hundred as one alone. Of more, each is asked less often where its end is far away,
    and hardly less often where it is near, so that the end is noticed within 3 seconds."""
    delays = [
        poll_delay(age, progress, 0, Middle(), live=live)
        for live in (1, 100, 200, 500, 2000, 10**6)
    ]
    assert delays[0] == delays[1]
    assert delays == sorted(delays)
    assert delays[-1] <= 60.0
    if progress in (0, 98):
        assert delays[-1] <= 3.2
