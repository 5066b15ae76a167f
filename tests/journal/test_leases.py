"""The keeper of leases: one thread while somebody works, none afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from pika_api.journal import LeaseKeeper, leases
from support.waiting import until


class SlowJournal:
    """Renews slowly, and notes when a renewal begins and ends."""

    def __init__(self) -> None:
        self.began: list[Sequence[str]] = []
        self.ended = 0

    def renew_leases(self, owners: Sequence[str]) -> None:
        self.began.append(owners)
        time.sleep(0.3)
        self.ended += 1


def keepers() -> list[threading.Thread]:
    """The keepers' threads that are alive."""
    return [each for each in threading.enumerate() if each.name == "pika-leases"]


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> SlowJournal:
    """With a keeper that is at it all the time."""
    monkeypatch.setattr(leases, "_EVERY", 0.01)
    return SlowJournal()


def test_after_close_nothing_uses_the_journal(journal: SlowJournal) -> None:
    """A renewal that is under way is waited for, and no other begins, though an owner is left."""
    keeper = LeaseKeeper(journal)  # type: ignore[arg-type]
    with keeper.keeping("me"):
        until(lambda: journal.began, what="the first renewal")
        keeper.close()
        assert len(journal.began) == journal.ended
        begun = len(journal.began)
        time.sleep(0.1)
        assert len(journal.began) == begun
        assert keepers() == []
    keeper.close()  # a second time is no harm


def test_the_thread_lives_while_somebody_works(journal: SlowJournal) -> None:
    """It renews for all that are at work, and ends with the last of them."""
    keeper = LeaseKeeper(journal)  # type: ignore[arg-type]
    with keeper.keeping("one"), keeper.keeping("two"):
        until(lambda: ["one", "two"] in journal.began, what="a renewal for both")
        assert len(keepers()) == 1
    until(lambda: not keepers(), what="the thread's end")
