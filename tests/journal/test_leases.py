"""The keeper of leases: one thread while there is work, none afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pika_api.errors import JournalError
from pika_api.journal import LEASE, Journal, LeaseKeeper
from pika_api.settings import sqlite_url
from pika_api.threads import start_thread
from support.api import Clock
from support.waiting import until


class SlowJournal:
    """Renews slowly and often, and records when a renewal begins and ends."""

    lease = 0.04

    def __init__(self) -> None:
        self.began: list[Sequence[str]] = []
        self.ended = 0

    def renew_leases(self, owners: Sequence[str]) -> None:
        self.began.append(owners)
        time.sleep(0.3)
        self.ended += 1


def keepers() -> list[threading.Thread]:
    """The threads of keepers that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "pika-leases"]


@pytest.fixture
def slow() -> SlowJournal:
    """A journal whose leases are renewed all the time."""
    return SlowJournal()


def test_closed_keeper_does_not_use_the_journal(slow: SlowJournal) -> None:
    """Closing waits for a renewal that has begun; no other begins, although an owner is left."""
    keeper = LeaseKeeper(slow)  # type: ignore[arg-type]
    with keeper.keeping("me"):
        until(lambda: slow.began, what="the first renewal")
        keeper.close()
        assert len(slow.began) == slow.ended
        renewals = len(slow.began)
        time.sleep(0.1)
        assert len(slow.began) == renewals
        assert keepers() == []
    keeper.close()  # a second time does nothing


def test_thread_lives_while_there_are_owners(slow: SlowJournal) -> None:
    """It renews for all owners, and ends with the last of them."""
    keeper = LeaseKeeper(slow)  # type: ignore[arg-type]
    with keeper.keeping("one"), keeper.keeping("two"):
        until(lambda: ["one", "two"] in slow.began, what="a renewal for both")
        assert len(keepers()) == 1
    until(lambda: not keepers(), what="the thread's end")


def test_failed_renewal_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A journal that does not answer for a moment ends neither the work nor the renewals."""

    class FailingJournal(SlowJournal):
        def renew_leases(self, owners: Sequence[str]) -> None:
            super().renew_leases(owners)
            if self.ended == 1:
                raise JournalError("The disk is full.")

    failing = FailingJournal()
    keeper = LeaseKeeper(failing)  # type: ignore[arg-type]
    with keeper.keeping("me"):
        until(lambda: failing.ended == 2, what="the second renewal")
    assert "The disk is full." in caplog.text


@pytest.mark.parametrize("lease", [LEASE, 0.5])
def test_leases_are_renewed_well_before_they_end(tmp_path: Path, lease: float) -> None:
    """A renewal may come late three times before the lease lapses."""
    journal = Journal(sqlite_url(tmp_path), Clock(), lease=lease)
    assert LeaseKeeper(journal)._interval == lease / 4


class Stop(BaseException):
    """Nothing that is caught as an `Exception`."""


@pytest.mark.parametrize(
    "error", [RuntimeError("?"), MemoryError(), SystemExit(1), KeyboardInterrupt(), Stop()]
)
def test_thread_that_ends_is_replaced(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever ends it: the leases are renewed again, the log says so, and closing works."""

    class EndingJournal(SlowJournal):
        def renew_leases(self, owners: Sequence[str]) -> None:
            self.began.append(owners)
            if len(self.began) < 4:
                raise error
            self.ended += 1

    until(lambda: not keepers(), what="the end of the threads of other tests")
    journal = EndingJournal()
    keeper = LeaseKeeper(journal)  # type: ignore[arg-type]
    with keeper.keeping("me"):
        until(lambda: journal.ended >= 2, what="renewals by a new thread")
        until(lambda: len(keepers()) == 1, what="the end of the earlier threads")
    assert "is replaced" in caplog.text
    keeper.close()
    assert keepers() == []


def test_thread_that_cannot_be_started_is_started_with_the_next_owner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The work itself goes on without it."""
    attempts = []

    def start(run: Callable[[], None], name: str) -> threading.Thread:
        attempts.append(name)
        if len(attempts) < 3:
            raise RuntimeError("can't start new thread")
        return start_thread(run, name)

    until(lambda: not keepers(), what="the end of the threads of other tests")
    journal = SlowJournal()
    keeper = LeaseKeeper(journal, start)  # type: ignore[arg-type]
    with keeper.keeping("one"), keeper.keeping("two"):
        assert keepers() == []
        assert "can't start new thread" in caplog.text
        with keeper.keeping("three"):
            until(lambda: ["one", "two", "three"] in journal.began, what="a renewal for all")
    keeper.close()
    assert keepers() == []


def test_owner_that_comes_while_the_thread_ends_is_kept(slow: SlowJournal) -> None:
    """Owners come and go as fast as they can; the last one's leases are renewed."""
    slow.lease = 0.001
    keeper = LeaseKeeper(slow)  # type: ignore[arg-type]
    for number in range(500):
        with keeper.keeping(str(number)):
            pass
    with keeper.keeping("last"):
        until(lambda: ["last"] in slow.began, what="a renewal for the last one")
    keeper.close()
    assert keepers() == []
