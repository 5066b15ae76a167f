"""Submit through the service while the journal, or the gateway, fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import JournalError, NotAccepted, SubmitUnknown
from pika_api.journal import Entry, Journal, State
from pika_api.settings import sqlite_url
from pika_api.tasks import ServicePolicy
from support.api import ServiceHarness, ask, impatient, run
from support.waiting import until


def only(harness: ServiceHarness) -> Any:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


class Forgetful(Journal):
    """A journal whose disk is full for some of its calls."""

    broken: tuple[str, ...] = ()

    def record_task(self, entry: Entry, task_id: str) -> Entry:
        if "submitted" in self.broken:
            raise JournalError("disk full")
        return super().record_task(entry, task_id)

    def mark_unknown(self, entry_id: int, owner: str, reason: str, answer: str = "") -> None:
        if "unknown" in self.broken:
            raise JournalError("disk full")
        super().mark_unknown(entry_id, owner, reason, answer)


def test_unrecorded_id_is_in_the_error(harness: ServiceHarness) -> None:
    """If the journal fails after the charge, the error has the id, and the request is not sent
    again."""
    harness.policy = ServicePolicy(record_retries=(0.05, 0.05))
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("submitted",)
    service = harness.another(journal=journal)
    with pytest.raises(JournalError) as caught:
        run(service.submit(ask()))
    (task_id,) = harness.gateway.charged
    assert f"The task is charged. Write down its id: {task_id}" in str(caught.value)
    assert only(harness).state is State.SENT


def test_id_is_recorded_when_the_journal_recovers(harness: ServiceHarness) -> None:
    """The journal fails for a moment after the charge; the id is recorded in the end."""
    harness.policy = ServicePolicy(record_retries=(0.1,) * 50)
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("submitted",)
    service = harness.another(journal=journal)
    threading.Timer(0.4, setattr, (journal, "broken", ())).start()
    assert run(service.submit(ask())).task_id == only(harness).task_id


def test_unknown_outcome_is_raised_even_if_it_cannot_be_recorded(harness: ServiceHarness) -> None:
    """«Nothing is sent» would be a lie here: the error is the one about the money."""
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("unknown",)
    service = harness.another(journal=journal)
    harness.gateway.fault("submit", status=500, body="Oops")
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        run(service.submit(ask()))
    assert only(harness).state is State.SENT


def test_429_and_then_no_gateway_is_not_accepted(harness: ServiceHarness) -> None:
    """429, then the gateway is gone: nothing was charged, and the row is released."""
    harness.policy = impatient(harness.policy, 0.0)
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "1"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(harness.submit)
        until(lambda: [e for e in harness.journal.entries() if e.last_error], what="the 429")
        harness.gateway.close()
        with pytest.raises(NotAccepted, match="nothing was charged"):
            waiting.result()
    assert only(harness).state is State.REFUSED


def test_backoff_also_stops_requests_queued_for_a_thread(harness: ServiceHarness) -> None:
    """More requests than threads: one that passed the first check still waits."""
    service = harness.another(max_requests=1)
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "2"}, delay=0.5)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(run, service.submit(ask(), take=take)) for take in (0, 1)]
        until(lambda: harness.posts >= 2, what="the second POST")
        refused, second = harness.gateway.requests("POST")[:2]
        for each in both:
            each.result(30)
    assert refused.status == 429
    assert second.monotonic - refused.monotonic >= 2.0
