"""The journal as a list: page by page, and what has changed since one looked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal, State
from pika_api.settings import sqlite_url
from support.api import Clock, intent


def enter(journal: Journal, *names: str) -> list[int]:
    """Rows with these fingerprints; their numbers."""
    return [journal.claim(intent(name), "me")[0].id for name in names]


def changes(journal: Journal, cursor: float) -> list[int]:
    """The numbers of the rows that have changed since."""
    return [entry.id for entry in journal.changed_since(cursor, limit=100).entries]


def test_pages_follow_each_other(journal: Journal) -> None:
    """Newest first; the smallest number of one page leads to the next, and the last one says so;
    a row that was forgotten is in none."""
    enter(journal, "a", "b", "c", "d", "e")
    journal.mark_rejected(3, "me", "no")
    journal.forget(3)
    first = journal.page(limit=2)
    assert ([entry.id for entry in first.entries], first.more) == ([5, 4], True)
    last = journal.page(limit=2, before=4)
    assert ([entry.id for entry in last.entries], last.more) == ([2, 1], False)
    assert not journal.page(limit=2, before=1).entries


def test_an_empty_journal_is_a_page(journal: Journal) -> None:
    """Its cursor sees the first row come."""
    empty = journal.page(limit=10)
    assert (empty.entries, empty.more, empty.cursor) == ([], False, 0.0)
    enter(journal, "a")
    assert changes(journal, empty.cursor) == [1]


CHANGES: list[tuple[str, Callable[[Journal], object]]] = [
    ("sent", lambda journal: journal.mark_sent(1, "me")),
    ("refused", lambda journal: journal.mark_rejected(1, "me", "no")),
    ("withdrawn", lambda journal: journal.mark_withdrawn(1, "me")),
    ("adopted", lambda journal: journal.adopt("elsewhere", "", "")),
    ("noted", lambda journal: journal.record_error(1, "broke off")),
]
NO_CHANGES: list[tuple[str, Callable[[Journal], object]]] = [
    ("leased", lambda journal: journal.acquire_lease(1, "me")),
    ("renewed", lambda journal: journal.renew_leases(["me"])),
    ("released", lambda journal: journal.release_lease(1, "me")),
    ("adopted again", lambda journal: journal.adopt("t", "", "")),
    ("not sent by another", lambda journal: journal.mark_sent(1, "another")),
]


@pytest.mark.parametrize("change", [each[1] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_what_a_list_shows_is_a_change(
    journal: Journal, change: Callable[[Journal], object]
) -> None:
    """It is seen by who looked before, though the clock stands still."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    change(journal)
    assert len(changes(journal, cursor)) == 1


@pytest.mark.parametrize(
    "change", [each[1] for each in NO_CHANGES], ids=[each[0] for each in NO_CHANGES]
)
def test_a_lease_is_no_change(journal: Journal, change: Callable[[Journal], object]) -> None:
    """Who is at work on a row is not shown, and a renewed lease makes no list look again."""
    enter(journal, "a")
    journal.adopt("t", "", "")
    cursor = journal.page(limit=10).cursor
    change(journal)
    assert changes(journal, cursor) == []


def test_a_task_is_seen_all_the_way(journal: Journal, tmp_path: Path) -> None:
    """Each step is one change of one row, in order, until it is forgotten, which is told too."""
    cursor = journal.page(limit=10).cursor
    steps: list[Callable[[], object]] = [
        lambda: enter(journal, "a"),
        lambda: journal.mark_sent(1, "me"),
        lambda: journal.mark_submitted(1, "t"),
        lambda: journal.mark_running(1, 50),
        lambda: journal.mark_finished(1, "https://cdn.example/v.mp4"),
        lambda: journal.mark_saved(1, tmp_path / "v.mp4"),
        lambda: journal.forget(1),
    ]
    for step in steps:
        step()
        page = journal.changed_since(cursor, limit=10)
        assert [entry.id for entry in page.entries] == [1]
        assert page.cursor > cursor
        cursor = page.cursor
    assert journal.changed_since(0.0, limit=10).entries[0].forgotten_at is not None
    assert changes(journal, cursor) == []


def test_a_clock_that_is_set_back_hides_nothing(journal: Journal, clock: Clock) -> None:
    """A change after it is still later than what was seen before it."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    clock.now -= 86_400.0
    journal.mark_sent(1, "me")
    assert changes(journal, cursor) == [1]


def test_many_changes_come_in_parts(journal: Journal) -> None:
    """Each part's cursor leads to the next; none is left out and none comes twice."""
    enter(journal, *"abcde")
    seen: list[int] = []
    cursor, more = 0.0, True
    while more:
        page = journal.changed_since(cursor, limit=2)
        seen += [entry.id for entry in page.entries]
        cursor, more = page.cursor, page.more
    assert seen == [1, 2, 3, 4, 5]


def test_changes_come_in_the_order_in_which_they_were_made(journal: Journal) -> None:
    """Not in that of the rows, or the cursor would go past what was not told yet; a part that is
    just full is the last one when nothing follows."""
    enter(journal, "a", "b", "c")
    journal.mark_sent(1, "me")
    first = journal.changed_since(0.0, limit=2)
    assert ([entry.id for entry in first.entries], first.more) == ([2, 3], True)
    last = journal.changed_since(first.cursor, limit=1)
    assert ([entry.id for entry in last.entries], last.more) == ([1], False)


def test_what_another_process_changes_is_seen(journal: Journal, tmp_path: Path) -> None:
    """The cursor is of the database, not of the one who opened it."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    with closing(Journal(sqlite_url(tmp_path / "home"), Clock(0.0))) as other:
        enter(other, "b")
    assert changes(journal, cursor) == [2]


def test_rows_are_counted_by_state(journal: Journal) -> None:
    """In the order in which a row goes through them; a state without rows is left out."""
    assert journal.count_by_state() == {}
    enter(journal, "a", "b", "c", "d")
    journal.mark_sent(2, "me")
    journal.mark_rejected(3, "me", "no")
    journal.mark_withdrawn(4, "me")
    counted = [(State.INTENDED, 1), (State.SENT, 1), (State.REFUSED, 2)]
    assert list(journal.count_by_state().items()) == counted


def test_the_latest_troubles_come_first(journal: Journal) -> None:
    """As many as are asked for, by when they came; a row without trouble is none."""
    enter(journal, "a", "b", "c", "d")
    for number in (3, 1, 4):
        journal.record_error(number, "broke off")
    assert [entry.id for entry in journal.recent_errors(limit=10)] == [4, 1, 3]
    assert [entry.id for entry in journal.recent_errors(limit=2)] == [4, 1]
