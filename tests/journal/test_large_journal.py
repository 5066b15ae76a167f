"""A large journal: what is waited for uses an index, and pages of a search are bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from benchmarks.rows import fill
from pika_api.journal import Journal, Selection, State
from pika_api.journal.queries import MAX_COUNT
from pika_api.settings import sqlite_url

#: More than a page of a search looks through.
ROWS = 21_000


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with closing(Journal(sqlite_url(tmp_path_factory.mktemp("large")))) as journal:
        fill(journal, ROWS)
        yield journal


def selected(*states: State) -> Selection:
    return Selection(states=frozenset(states))


USED: dict[str, tuple[Callable[[Journal], object], str]] = {
    "renew": (lambda journal: journal.renew_leases(["me"]), "ix_pika_tasks_owner"),
    "released": (lambda journal: journal.count_released(None), "ix_pika_tasks_released"),
    "released prompt": (
        lambda journal: journal.count_released("a prompt"),
        r"SEARCH .*ix_pika_tasks_released",
    ),
    "state": (
        lambda journal: journal.entries((State.RUNNING, State.SENT)),
        r"SEARCH .*ix_pika_tasks_listed",
    ),
    "page": (
        lambda journal: journal.page(limit=9, selection=selected(State.FAILED)),
        r"SEARCH .*ix_pika_tasks_listed",
    ),
    "count": (
        lambda journal: journal.count(selected(State.SAVED)),
        r"SEARCH .*COVERING INDEX ix_pika_tasks_listed",
    ),
    "counts": (lambda journal: journal.count_by_state(), "COVERING INDEX ix_pika_tasks_listed"),
    "errors": (lambda journal: journal.recent_errors(limit=3), "ix_pika_tasks_errors"),
    "short time": (
        lambda journal: journal.page(limit=9, selection=Selection(until=1_700_005_000.0)),
        r"SEARCH .*ix_pika_tasks_created_at",
    ),
    "mark": (lambda journal: journal.prices.mark_start(), "ix_pika_tasks_listed"),
}


@pytest.mark.parametrize("name", USED)
def test_query_uses_an_index(journal: Journal, name: str) -> None:
    """Otherwise it reads a million rows, some of them while it holds the lock for writing."""
    call, plan = USED[name]
    executed: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        if "pika_tasks" in statement:
            executed.append((statement, values))

    engine = journal._database._engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        call(journal)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    plans = []
    with engine.connect() as connection:
        for statement, values in executed:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
            plans.append("; ".join(row[3] for row in rows))
    assert any(re.search(plan, each) for each in plans), plans
    assert not any(re.search(r"SCAN pika_tasks(;|$)", each) for each in plans), plans


def pages(journal: Journal, selection: Selection) -> list[list[int]]:
    """The numbers of the entries, page by page."""
    found, before, more = [], None, True
    while more:
        page = journal.page(limit=1000, before=before, selection=selection)
        found.append([entry.id for entry in page.entries])
        before, more = page.before, page.more
        assert more == (before is not None)
    return found


def test_search_looks_through_a_part_of_the_journal_at_once(journal: Journal) -> None:
    """A page says where the next one begins, also where it found nothing. Words are found in any
    case, in prompt, id and state; all of them must be there."""
    assert pages(journal, Selection(search="LIGHTHOUSE number 7 saved refused")) == [[], []]
    oldest = pages(journal, Selection(search=f"Storm, {43:036}"))
    assert [number for page in oldest for number in page] == [43]
    assert pages(journal, Selection(search="100% of_it")) == [[], []]
    every = [number for page in pages(journal, Selection(search="failed")) for number in page]
    failed = [entry.id for entry in journal.entries((State.FAILED,), limit=ROWS)]
    assert every == failed
    assert len(failed) > 500


def test_pages_have_every_entry_once(journal: Journal) -> None:
    """In the order of their numbers, with a filter of several states, with a short time and with a
    long one."""
    whole = [number for page in pages(journal, Selection()) for number in page]
    assert whole == list(range(ROWS, 0, -1))
    states = selected(State.FAILED, State.UNKNOWN, State.RUNNING)
    some = [number for page in pages(journal, states) for number in page]
    assert some == sorted(some, reverse=True)
    assert len(some) == journal.count(states) == len(set(some))
    for until in (1_700_000_000 + 500 * 60, 1_700_000_000 + 20_500 * 60):
        found = [number for page in pages(journal, Selection(until=until)) for number in page]
        assert found == list(range((until - 1_700_000_000) // 60 - 1, 0, -1))


def test_many_entries_are_not_counted(journal: Journal) -> None:
    """The number of a million would take as long as reading all of them."""
    assert journal.count(Selection()) == MAX_COUNT
