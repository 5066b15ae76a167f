"""The reading half of the journal: pages, changes since an earlier page, reads beside a writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pika_api.errors import JournalError
from pika_api.journal import Entry, Journal, State
from pika_api.settings import sqlite_url
from support.api import Clock, intent


def enter(journal: Journal, *names: str) -> list[int]:
    """Claim these fingerprints; return the entries' numbers."""
    return [journal.claim(intent(name), "me").entry.id for name in names]


def changes(journal: Journal, cursor: int) -> list[int]:
    """The numbers of the entries that have changed since."""
    return [entry.id for entry in journal.changed_since(cursor, limit=100).entries]


def test_pages_follow_each_other(journal: Journal) -> None:
    """Newest first; the smallest number of one page leads to the next, the last page has no more,
    and no page has a forgotten entry."""
    enter(journal, "a", "b", "c", "d", "e")
    journal.mark_rejected(3, "me", "no")
    journal.forget(3)
    first = journal.page(limit=2)
    assert ([entry.id for entry in first.entries], first.more) == ([5, 4], True)
    last = journal.page(limit=2, before=4)
    assert ([entry.id for entry in last.entries], last.more) == ([2, 1], False)
    assert not journal.page(limit=2, before=1).entries


def test_empty_journal_has_a_page(journal: Journal) -> None:
    """Its cursor leads to the first entry."""
    empty = journal.page(limit=10)
    assert (empty.entries, empty.more, empty.cursor) == ([], False, 0)
    assert journal.changed_since(0, limit=10) == empty
    enter(journal, "a")
    assert changes(journal, empty.cursor) == [1]


CHANGES: list[tuple[str, Callable[[Journal], object]]] = [
    ("sent", lambda journal: journal.mark_sent(1, "me")),
    ("rejected", lambda journal: journal.mark_rejected(1, "me", "no")),
    ("withdrawn", lambda journal: journal.mark_withdrawn(1, "me")),
    ("adopted", lambda journal: journal.adopt("elsewhere", "", "")),
    ("error", lambda journal: journal.record_error(1, "broke off")),
]
NO_CHANGES: list[tuple[str, Callable[[Journal], object]]] = [
    ("leased", lambda journal: journal.acquire_lease(1, "me")),
    ("renewed", lambda journal: journal.renew_leases(["me"])),
    ("released", lambda journal: journal.release_lease(1, "me")),
    ("adopted again", lambda journal: journal.adopt("t", "", "")),
    ("claimed by another", lambda journal: journal.claim(intent("a"), "another")),
    ("not sent by another", lambda journal: journal.mark_sent(1, "another")),
]


@pytest.mark.parametrize("change", [each[1] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_change_is_seen_once(journal: Journal, change: Callable[[Journal], object]) -> None:
    """By a reader with an earlier cursor, although the clock stands still."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    change(journal)
    assert len(changes(journal, cursor)) == 1
    assert journal.page(limit=10).cursor == cursor + 1


@pytest.mark.parametrize(
    "change", [each[1] for each in NO_CHANGES], ids=[each[0] for each in NO_CHANGES]
)
def test_lease_is_not_a_change(journal: Journal, change: Callable[[Journal], object]) -> None:
    """Lists do not show who works on an entry, so a renewed lease makes no list read again."""
    enter(journal, "a")
    journal.adopt("t", "", "")
    cursor = journal.page(limit=10).cursor
    change(journal)
    assert changes(journal, cursor) == []
    assert journal.page(limit=10).cursor == cursor


def test_each_step_of_a_task_is_one_change(journal: Journal, tmp_path: Path) -> None:
    """From the claim until it is forgotten, which is listed too."""
    cursor = journal.page(limit=10).cursor
    steps: list[Callable[[], object]] = [
        lambda: enter(journal, "a"),
        lambda: journal.mark_sent(1, "me"),
        lambda: journal.record_task(journal.get(1), "t"),
        lambda: journal.mark_running(1, 50),
        lambda: journal.mark_finished(1, "https://cdn.example/v.mp4"),
        lambda: journal.mark_saved(1, tmp_path / "v.mp4"),
        lambda: journal.mark_finished(1, "https://cdn.example/new.mp4"),
        lambda: journal.forget(1),
    ]
    for step in steps:
        step()
        page = journal.changed_since(cursor, limit=10)
        assert [entry.id for entry in page.entries] == [1]
        assert page.cursor == page.entries[0].revision == cursor + 1
        cursor = page.cursor
    assert journal.changed_since(0, limit=10).entries[0].forgotten_at is not None
    assert changes(journal, cursor) == []


def test_clock_that_is_set_back_hides_no_change(journal: Journal, clock: Clock) -> None:
    """A cursor does not depend on the clock."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    clock.now -= 86_400.0
    journal.mark_sent(1, "me")
    assert changes(journal, cursor) == [1]


def test_many_changes_come_in_parts(journal: Journal) -> None:
    """Each part's cursor leads to the next; no entry is missing and none comes twice."""
    enter(journal, *"abcde")
    seen: list[int] = []
    cursor, more = 0, True
    while more:
        page = journal.changed_since(cursor, limit=2)
        seen += [entry.id for entry in page.entries]
        cursor, more = page.cursor, page.more
    assert seen == [1, 2, 3, 4, 5]


def test_changes_come_in_their_own_order(journal: Journal) -> None:
    """Not in the order of the entries, else the cursor would pass over changes. A part that is
    just full is the last one if nothing follows."""
    enter(journal, "a", "b", "c")
    journal.mark_sent(1, "me")
    first = journal.changed_since(0, limit=2)
    assert ([entry.id for entry in first.entries], first.more) == ([2, 3], True)
    last = journal.changed_since(first.cursor, limit=1)
    assert ([entry.id for entry in last.entries], last.more) == ([1], False)


def test_change_of_another_process_is_seen(journal: Journal, tmp_path: Path) -> None:
    """The cursor belongs to the database, not to the process that opened it."""
    enter(journal, "a")
    cursor = journal.page(limit=10).cursor
    with closing(Journal(sqlite_url(tmp_path / "home"), Clock(0.0))) as other:
        enter(other, "b")
    assert changes(journal, cursor) == [2]


def test_cursor_does_not_pass_over_a_change_that_is_not_committed(
    journal: Journal, tmp_path: Path
) -> None:
    """A transaction that has its revision and is still open is seen once it commits."""
    enter(journal, "a", "b")
    cursors = [journal.page(limit=10).cursor]
    other = sqlite3.connect(tmp_path / "home" / "journal.sqlite3", isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pika_tasks SET state = 'unknown' WHERE id = 1")
        (revision,) = other.execute("SELECT revision FROM pika_tasks WHERE id = 1").fetchone()
        cursors += [journal.page(limit=10).cursor, journal.changed_since(0, limit=10).cursor]
        assert set(cursors) == {revision - 1}
        assert changes(journal, cursors[0]) == []
        other.execute("COMMIT")
    assert changes(journal, cursors[0]) == [1]


def test_entries_changed_by_one_statement_have_their_own_revisions(journal: Journal) -> None:
    """Else a part of a list that ends between two of them would lose one."""
    enter(journal, *"abc")
    cursor = journal.page(limit=10).cursor
    with journal._database.write() as connection:
        connection.exec_driver_sql("UPDATE pika_tasks SET state = 'unknown'")
    revisions = [entry.revision for entry in journal.changed_since(cursor, limit=10).entries]
    assert revisions == [cursor + 1, cursor + 2, cursor + 3]


@pytest.mark.parametrize("cursor", [-1, 4, 1_800_000_002, 10**30, -(10**30)])
def test_cursor_of_another_journal_means_the_beginning(journal: Journal, cursor: int) -> None:
    """A journal that an older copy has replaced, or a time, which schema 2 used as its cursor."""
    assert journal.changed_since(cursor, limit=10).cursor == 0
    enter(journal, *"abc")
    assert changes(journal, cursor) == [1, 2, 3]
    assert changes(journal, 3) == []


def test_number_without_entry_is_an_error(journal: Journal) -> None:
    """Where the caller relies on it; `find_by_id` is for numbers that a user has typed."""
    enter(journal, "a")
    with pytest.raises(JournalError, match="#99"):
        journal.get(99)
    assert journal.find_by_id(99) is None


def test_entries_are_counted_by_state(journal: Journal) -> None:
    """In the order of the states; a state without entries is left out."""
    assert journal.count_by_state() == {}
    enter(journal, "a", "b", "c", "d")
    journal.mark_sent(2, "me")
    journal.mark_rejected(3, "me", "no")
    journal.mark_withdrawn(4, "me")
    counted = [(State.INTENDED, 1), (State.SENT, 1), (State.REFUSED, 2)]
    assert list(journal.count_by_state().items()) == counted


def test_latest_errors_come_first(journal: Journal) -> None:
    """As many as asked for, by the last change; entries without an error are left out."""
    enter(journal, "a", "b", "c", "d")
    for number in (3, 1, 4):
        journal.record_error(number, "broke off")
    assert [entry.id for entry in journal.recent_errors(limit=10)] == [4, 1, 3]
    assert [entry.id for entry in journal.recent_errors(limit=2)] == [4, 1]


@contextmanager
def write_lock(home: Path) -> Iterator[sqlite3.Connection]:
    """Another process's transaction that is writing to the journal in this folder."""
    other = sqlite3.connect(home / "journal.sqlite3", isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE pika_tasks SET last_error = 'not committed'")
        yield other


READS: list[tuple[str, Callable[[Journal], object]]] = [
    ("get", lambda journal: journal.get(1)),
    ("find_by_id", lambda journal: journal.find_by_id(1)),
    ("find_by_task_id", lambda journal: journal.find_by_task_id("t-1")),
    ("count_released", lambda journal: journal.count_released(None)),
    ("count_by_state", lambda journal: journal.count_by_state()),
    ("recent_errors", lambda journal: journal.recent_errors(limit=10)),
    ("count_missing_files", lambda journal: journal.count_missing_files(Path("nowhere"))),
    ("entries", lambda journal: journal.entries()),
    ("page", lambda journal: journal.page(limit=10)),
    ("changed_since", lambda journal: journal.changed_since(0, limit=10)),
    ("adopt", lambda journal: journal.adopt("t-1", "", "")),
]


@pytest.mark.parametrize("opened", [True, False], ids=["opened before", "opened during"])
@pytest.mark.parametrize("read", [each[1] for each in READS], ids=[each[0] for each in READS])
def test_read_finishes_while_another_process_writes(
    tmp_path: Path, read: Callable[[Journal], object], opened: bool
) -> None:
    """It takes no write lock, and returns what was committed before. So does the first read of a
    process that opens the journal now, and `adopt` for a task that has an entry."""
    url = sqlite_url(tmp_path)
    with closing(Journal(url)) as journal:
        number = journal.claim(intent(), "me").entry.id
        journal.mark_sent(number, "me")
        journal.record_task(journal.get(number), "t-1")
        before = read(journal)
        with closing(Journal(url)) as another, write_lock(tmp_path) as other:
            assert read(journal if opened else another) == before
            assert other.in_transaction
            other.execute("COMMIT")
        assert journal.get(number).last_error == "not committed"


def test_rows_are_parsed_outside_of_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON may be large, and parsing it must not hold a lock or a connection."""
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        connections: list[int] = []
        parse = Entry.of

        def watched(row: object) -> Entry:
            connections.append(journal._database._engine.pool.checkedout())  # type: ignore[attr-defined]
            return parse(row)  # type: ignore[arg-type]

        monkeypatch.setattr(Entry, "of", watched)
        for name, owner in (("a", "me"), ("a", "other"), ("b", "me")):
            journal.claim(intent(name), owner)
        journal.adopt("t-1", "", "")
        for _, read in READS:
            read(journal)
        assert set(connections) == {0}
        assert len(connections) > 10
