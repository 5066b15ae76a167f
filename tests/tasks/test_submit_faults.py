"""Submit through the service while something of ours, or the gateway, breaks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pika_api.errors import JournalError, NotAccepted, SubmitUnknown
from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from pika_api.tasks import submit
from support.api import ServiceHarness, ask, limit_patience, run
from support.waiting import until


def only(harness: ServiceHarness) -> Any:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


class Forgetful(Journal):
    """A journal whose disk is full for some of its calls."""

    broken: tuple[str, ...] = ()

    def mark_submitted(self, entry_id: int, task_id: str) -> None:
        if "submitted" in self.broken:
            raise JournalError("disk full")
        super().mark_submitted(entry_id, task_id)

    def mark_unknown(self, entry_id: int, reason: str) -> None:
        if "unknown" in self.broken:
            raise JournalError("disk full")
        super().mark_unknown(entry_id, reason)


def test_an_id_that_cannot_be_written_down_is_shown(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last resort of a paid task is the error that carries its id; it is not sent again."""
    monkeypatch.setattr(submit, "_WRITE_DOWN_AGAIN", (0.05, 0.05))
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("submitted",)
    service = harness.another(journal=journal)
    with pytest.raises(JournalError) as caught:
        run(service.submit(ask()))
    (task_id,) = harness.gateway.charged
    assert f"It is charged. Write its id down: {task_id}" in str(caught.value)
    assert only(harness).state is State.SENT


def test_a_disk_that_is_full_again_in_a_moment_costs_nothing(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id is written once the journal works again."""
    monkeypatch.setattr(submit, "_WRITE_DOWN_AGAIN", (0.1,) * 50)
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("submitted",)
    service = harness.another(journal=journal)
    threading.Timer(0.4, setattr, (journal, "broken", ())).start()
    assert run(service.submit(ask())).task_id == only(harness).task_id


def test_an_unknown_is_told_even_if_it_cannot_be_written(harness: ServiceHarness) -> None:
    """«Nothing is sent» would be a lie here: the error is the one about the money."""
    journal = Forgetful(sqlite_url(harness.home))
    journal.broken = ("unknown",)
    service = harness.another(journal=journal)
    harness.gateway.fault("submit", status=500, body="Oops")
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        run(service.submit(ask()))
    assert only(harness).state is State.SENT


def test_a_busy_gateway_then_none_is_not_accepted(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429, then the gateway is gone: still nothing was charged, and the row is free."""
    limit_patience(monkeypatch, 0.0)
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "1"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(harness.submit)
        until(lambda: [e for e in harness.journal.entries() if e.last_error], what="the 429")
        harness.gateway.close()
        with pytest.raises(NotAccepted, match="nothing was charged"):
            waiting.result()
    assert only(harness).state is State.REFUSED


def test_a_brake_holds_what_is_queued_for_a_thread(harness: ServiceHarness) -> None:
    """More requests than threads: one that had passed the brake waits for it all the same."""
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
