"""Submit through the service, looked at where its parts meet: what each is told, and by whom."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from typing import Any

import pytest

from pika_api.errors import Busy, NotAccepted, SubmitUnknown
from pika_api.journal import LEASE, Entry, Intent, Journal, State, leases
from pika_api.journal import store as journal_module
from pika_api.progress import Progress, ProgressObserver
from pika_api.request import describe_body, request_fingerprint
from pika_api.settings import sqlite_url
from pika_api.tasks import submit
from support.api import Clock, ServiceHarness, ask, from_pixels, intent, picture, run
from support.waiting import until


class Stopped(Exception):
    """What ComfyUI's interrupt raises."""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """Leases of this many seconds."""
    monkeypatch.setattr(journal_module, "LEASE", 0.6)
    monkeypatch.setattr(leases, "_EVERY", 0.1)
    return 0.6


def only(harness: ServiceHarness) -> Entry:
    """The one row of the journal."""
    (entry,) = harness.journal.entries(forgotten=True)
    return entry


def twin(entry: Entry) -> Intent:
    """What another process that wants the same would journal."""
    return intent(str(entry.fingerprint))


def test_the_row_says_what_was_asked(harness: ServiceHarness) -> None:
    """Its identity, where and for whom it was made, what was asked, and by which node."""
    service, request = harness.service, ask("A pear", model="2.0")
    run(service.submit(request, take=7, node_id="12", prompt_id="queue-3"))
    entry, settings = only(harness), service.settings
    whose = {"base_url": settings.base_url, "key_id": settings.key_id, "take": 7}
    assert entry.fingerprint == request_fingerprint(request.body(), **whose)
    assert {name: getattr(entry, name) for name in whose} == whose
    assert (entry.prompt, entry.request) == ("A pear", describe_body(request.body()))
    assert (entry.node_id, entry.prompt_id) == ("12", "queue-3")


@pytest.mark.parametrize(("style", "begin"), [("bare", "iVBOR"), ("data-uri", "data:image/png;")])
def test_media_go_out_as_the_settings_say(harness: ServiceHarness, style: Any, begin: str) -> None:
    """Bare Base64, or with the words in front that some gateways want."""
    service = harness.another(base64_style=style)
    harness.gateway.fault("submit", status=400)
    with pytest.raises(NotAccepted):
        run(service.submit(ask(image=from_pixels(picture()))))
    (post,) = harness.gateway.requests("POST")
    assert f'"image": "{begin}' in str(post.text)


def test_every_submit_is_an_owner_of_its_own(harness: ServiceHarness) -> None:
    """Were two of one name, each would take the other's row for its own."""
    owners: list[str] = []

    class Noted(Journal):
        def claim(self, intent: Intent, owner: str) -> tuple[Entry, bool]:
            owners.append(owner)
            return super().claim(intent, owner)

    service = harness.another(journal=Noted(sqlite_url(harness.home)))
    for take in (0, 0, 1):
        run(service.submit(ask(), take=take))
    assert len({str(uuid.UUID(owner)) for owner in owners}) == 3


def test_a_row_stays_its_owners_while_he_waits(harness: ServiceHarness, short: float) -> None:
    """A gateway may be busy for longer than a lease lasts: nobody else sends it meanwhile."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "2"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(harness.submit)
        until(lambda: [e for e in harness.journal.entries() if e.last_error], what="the 429")
        time.sleep(2 * short)
        entry, mine = harness.another().journal.claim(twin(only(harness)), "other")
        assert (entry.state, mine) == (State.INTENDED, False)
        assert waiting.result(30) == only(harness).task_id


def test_a_row_stays_its_owners_while_nobody_waits(harness: ServiceHarness, short: float) -> None:
    """The user has stopped, the POST goes on for longer than a lease lasts: its end is known, so it
    is not unknown to anybody meanwhile."""
    harness.gateway.fault("submit", delay=3 * short)

    def check() -> None:
        if harness.posts:
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.submit(ask(), observer=ProgressObserver(check)))
    time.sleep(2 * short)
    assert harness.another().journal.claim(twin(only(harness)), "other")[0].state is State.SENT
    until(lambda: only(harness).task_id, what="the id in the journal")


def test_what_is_given_up_between_two_tries_is_free(harness: ServiceHarness) -> None:
    """Nothing is on the wire then: the next one who asks sends it at once."""
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "60"})

    def check() -> None:
        if any(entry.last_error for entry in harness.journal.entries()):
            raise Stopped

    with pytest.raises(Stopped):
        run(harness.service.submit(ask(), observer=ProgressObserver(check)))
    until(lambda: only(harness).state is State.REFUSED, what="the row to be free")
    assert only(harness).last_error == "Stopped before it was sent."


def test_what_was_begun_elsewhere_meanwhile_is_taken_up(harness: ServiceHarness) -> None:
    """This process was held up before it sent, until its lease was over; another one sent it."""

    class HeldUp(Journal):
        def mark_sent(self, entry_id: int, owner: str) -> bool:
            with closing(
                Journal(sqlite_url(harness.home), Clock(time.time() + LEASE + 1))
            ) as other:
                if other.claim(twin(self.get(entry_id)), "other")[1]:
                    assert other.mark_sent(entry_id, "other")
                    other.mark_submitted(entry_id, "t-other")
            return super().mark_sent(entry_id, owner)

    service = harness.another(journal=HeldUp(sqlite_url(harness.home)))
    found = run(service.submit(ask()))
    assert (found.task_id, found.reused, harness.posts) == ("t-other", True, 0)


def test_who_waits_for_a_twin_is_told_so(harness: ServiceHarness) -> None:
    """Otherwise it would look as if nothing happened."""
    harness.gateway.fault("submit", delay=0.8)
    reports: list[Progress] = []
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(harness.submit)
        until(lambda: harness.posts, what="the POST")
        second = harness.another().submit(ask(), observer=ProgressObserver(report=reports.append))
        assert run(second).task_id == first.result(30)
    assert {"being sent already" in report.text for report in reports} == {True}


def test_each_try_is_weighed_as_it_was(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which error, the how many-eth, and after how long: that is what patience goes by."""
    seen: list[tuple[type[NotAccepted], int, float]] = []

    def weigh(error: NotAccepted, attempt: int, waited: float, random: Random) -> float | None:
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
    assert sum("Again in" in report.text for report in reports) == 2
    assert (only(harness).state, harness.posts) == (State.REFUSED, 3)


def test_a_slow_disk_hides_no_refusal(harness: ServiceHarness) -> None:
    """The row is written to the end, whoever stops meanwhile, and then the refusal is told."""

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


def test_an_unknown_tells_the_status_and_the_way_to_forget_it(harness: ServiceHarness) -> None:
    """The gateway's own status, and the command with the journal's own folder, which is told at the
    next try as well."""
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


def test_the_upload_is_shown_by_the_per_cent() -> None:
    """Each once, from nought, rounded down; and each look is a look at whether to stop too."""
    reports: list[Progress] = []
    looks: list[int] = []
    payload: Any = Half()
    observer = submit._showing_upload(
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
