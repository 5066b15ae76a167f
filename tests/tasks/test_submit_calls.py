"""Submit through the service: what its parts pass to each other."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from typing import Any

import pytest

from pika_api.errors import Busy, NotAccepted, SubmitUnknown
from pika_api.gateway import RetryPolicy
from pika_api.journal import LEASE, Claim, Entry, Intent, Journal, Limits, State
from pika_api.journal.limits import NO_LIMITS
from pika_api.progress import Progress, ProgressObserver
from pika_api.request import describe_body, request_fingerprint
from pika_api.settings import sqlite_url
from pika_api.tasks import submit
from support.api import Clock, ServiceHarness, ask, from_pixels, intent, picture, run
from support.waiting import until


class Stopped(Exception):
    """What ComfyUI's interrupt raises."""


@pytest.fixture
def short(harness: ServiceHarness) -> float:
    """Leases of this many seconds."""
    harness.lease = 0.6
    return harness.lease


def only(harness: ServiceHarness) -> Entry:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


def same_request(entry: Entry) -> Intent:
    """What another process that wants the same would journal."""
    return intent(str(entry.fingerprint), base_url=entry.base_url, key_id=entry.key_id)


def test_row_describes_the_request(harness: ServiceHarness) -> None:
    """Fingerprint, gateway, key, take, request, node and prompt are recorded."""
    service, request = harness.service, ask("A pear", model="2.0")
    run(service.submit(request, take=7, node_id="12", prompt_id="queue-3"))
    entry, settings = only(harness), service.settings
    whose = {"base_url": settings.base_url, "key_id": settings.key_id, "take": 7}
    fingerprint = request_fingerprint(request.body(), gateway=settings.gateway, take=7)
    assert entry.fingerprint == fingerprint
    assert {name: getattr(entry, name) for name in whose} == whose
    assert (entry.prompt, entry.request) == ("A pear", describe_body(request.body()))
    assert (entry.node_id, entry.prompt_id) == ("12", "queue-3")


@pytest.mark.parametrize(("style", "begin"), [("bare", "iVBOR"), ("data-uri", "data:image/png;")])
def test_base64_style_setting_is_used(harness: ServiceHarness, style: Any, begin: str) -> None:
    """Bare Base64, or a data: URI as some gateways require."""
    service = harness.another(base64_style=style)
    harness.gateway.fault("submit", status=400)
    with pytest.raises(NotAccepted):
        run(service.submit(ask(image=from_pixels(picture()))))
    (post,) = harness.gateway.requests("POST")
    assert f'"image": "{begin}' in str(post.text)


def test_every_submit_has_its_own_owner_id(harness: ServiceHarness) -> None:
    """With a shared id each would take the other's row for its own."""
    owners: list[str] = []

    class Noted(Journal):
        def claim(self, intent: Intent, owner: str, limits: Limits = NO_LIMITS) -> Claim:
            owners.append(owner)
            return super().claim(intent, owner, limits)

    service = harness.another(journal=Noted(sqlite_url(harness.home)))
    for take in (0, 0, 1):
        run(service.submit(ask(), take=take))
    assert len({str(uuid.UUID(owner)) for owner in owners}) == 3


def test_lease_is_renewed_while_waiting_for_a_busy_gateway(
    harness: ServiceHarness, short: float
) -> None:
    """A gateway may be busy for longer than a lease lasts: nobody else sends meanwhile."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "2"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(harness.submit)
        until(lambda: [e for e in harness.journal.entries() if e.last_error], what="the 429")
        time.sleep(2 * short)
        claim = harness.another().journal.claim(same_request(only(harness)), "other")
        assert (claim.entry.state, claim.acquired) == (State.INTENDED, False)
        assert waiting.result(30) == only(harness).task_id


def test_lease_is_renewed_during_a_post_after_an_interrupt(
    harness: ServiceHarness, short: float
) -> None:
    """The user has stopped and the POST takes longer than a lease: the row is not unknown to
    anybody meanwhile."""
    harness.gateway.fault("submit", delay=3 * short)

    def check() -> None:
        if harness.posts:
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.submit(ask(), observer=ProgressObserver(check)))
    time.sleep(2 * short)
    claim = harness.another().journal.claim(same_request(only(harness)), "other")
    assert claim.entry.state is State.SENT
    until(lambda: only(harness).task_id, what="the id in the journal")


def test_request_interrupted_between_attempts_is_released(harness: ServiceHarness) -> None:
    """Nothing is on the wire then: the next call sends it at once."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "60"})

    def check() -> None:
        if any(entry.last_error for entry in harness.journal.entries()):
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.submit(ask(), observer=ProgressObserver(check)))
    until(lambda: only(harness).state is State.REFUSED, what="the row to be free")
    assert only(harness).last_error == "Stopped before it was sent."


def test_request_sent_by_another_process_is_reused(harness: ServiceHarness) -> None:
    """This process was suspended before it sent, until its lease expired; another one sent the
    request."""

    class HeldUp(Journal):
        def mark_sent(self, entry_id: int, owner: str) -> bool:
            with closing(
                Journal(sqlite_url(harness.home), Clock(time.time() + LEASE + 1))
            ) as other:
                if other.claim(same_request(self.get(entry_id)), "other").acquired:
                    assert other.mark_sent(entry_id, "other")
                    other.record_task(other.get(entry_id), "t-other")
            return super().mark_sent(entry_id, owner)

    service = harness.another(journal=HeldUp(sqlite_url(harness.home)))
    found = run(service.submit(ask()))
    assert (found.task_id, found.reused, harness.posts) == ("t-other", True, 0)


def test_waiting_for_an_identical_request_is_reported(harness: ServiceHarness) -> None:
    """Otherwise it would look as if nothing happened."""
    harness.gateway.fault("submit", delay=0.8)
    reports: list[Progress] = []
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(harness.submit)
        until(lambda: harness.posts, what="the POST")
        second = harness.another().submit(ask(), observer=ProgressObserver(report=reports.append))
        assert run(second).task_id == first.result(30)
    assert {"is being sent" in report.text for report in reports} == {True}


def test_retry_decision_gets_error_attempt_and_elapsed_time(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry rules depend on these three."""
    seen: list[tuple[type[NotAccepted], int, float]] = []

    def weigh(
        error: NotAccepted, attempt: int, waited: float, random: Random, *, policy: RetryPolicy
    ) -> float | None:
        assert policy == harness.policy.retry
        assert 0 <= random.random() < 1
        seen.append((type(error), attempt, waited))
        return 0.5 if attempt < 3 else None

    monkeypatch.setattr(submit, "resend_delay", weigh)
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "0"}, times=3)
    reports: list[Progress] = []
    with pytest.raises(Busy):
        run(harness.service.submit(ask(), observer=ProgressObserver(report=reports.append)))
    assert [each[:2] for each in seen] == [(Busy, 1), (Busy, 2), (Busy, 3)]
    assert seen[0][2] + 1.0 <= seen[2][2] < 30
    assert sum("Retry in" in report.text for report in reports) == 2
    assert (only(harness).state, harness.posts) == (State.REFUSED, 3)


def test_rejection_is_recorded_despite_an_interrupt(harness: ServiceHarness) -> None:
    """The row is written completely, and then the rejection is raised."""

    begun: list[int] = []

    class Slow(Journal):
        def mark_rejected(self, entry_id: int, owner: str, reason: str) -> None:
            begun.append(entry_id)
            time.sleep(0.5)
            super().mark_rejected(entry_id, owner, reason)

    def check() -> None:
        if begun:
            raise Stopped

    service = harness.another(journal=Slow(sqlite_url(harness.home)))
    harness.gateway.fault("submit", status=402, body={"message": "No credit"})
    with pytest.raises(NotAccepted, match="No credit"):
        run(service.submit(ask(), observer=ProgressObserver(check)))
    assert only(harness).state is State.REFUSED


def test_unknown_outcome_error_has_status_and_forget_command(harness: ServiceHarness) -> None:
    """The gateway's status, and the command with the journal's folder, also at the next attempt."""
    harness.gateway.fault("submit", status=500, body="Oops")
    for status in (500, None):
        with pytest.raises(SubmitUnknown) as caught:
            harness.submit()
        assert caught.value.status == status
        assert f'--home "{harness.home.as_posix()}" forget {only(harness).id}' in str(caught.value)


class Half:
    """A payload that is on its way."""

    def __init__(self) -> None:
        self.sent = 0

    def __len__(self) -> int:
        return 1000


def test_upload_progress_is_reported_in_per_cent() -> None:
    """Each per cent once, from 0, rounded down; each report also checks for an interrupt."""
    reports: list[Progress] = []
    looks: list[int] = []
    payload: Any = Half()
    observer = submit._upload_observer(
        payload, ProgressObserver(lambda: looks.append(1), reports.append)
    )
    for payload.sent in (0, 0, 10, 19, 505, 1000):
        observer.check()
    assert len(looks) == 6
    assert reports[0] == Progress("Sending the request (1.0 kB)")
    assert [report.progress for report in reports[1:]] == [0, 1, 50, 100]
    assert [report.text for report in reports[1:3]] == [
        "Sending the request, 0 % of 1.0 kB", "Sending the request, 1 % of 1.0 kB",
    ]  # fmt: skip
    observer.report(Progress("passed on"))
    assert reports[-1] == Progress("passed on")
