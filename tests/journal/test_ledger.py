"""The ledger: the paid tasks by time and state, read in parts, and sums of them in SQL."""

from __future__ import annotations

import itertools
import time

import pytest
import sqlalchemy as sa

from pika_api.journal import Journal, Selection, Spent, State, start_of_day, start_of_month
from pika_api.journal.schema import TASKS
from pika_api.journal.spending import PAID, Sum
from support.api import Clock, intent
from support.sizes import sized

DAY = 86400.0


def enter(journal: Journal, name: str, task_id: str = "", **fields: object) -> int:
    """Claim and send a request; with an id, it is a task. Returns its number."""
    number = journal.claim(intent(name, **fields), "me").entry.id
    journal.mark_sent(number, "me")
    if task_id:
        journal.record_task(journal.get(number), task_id)
    return number


def numbers(journal: Journal, **selection: object) -> list[int]:
    """The numbers of the ledger's entries."""
    return [entry.id for entry in journal.ledger.entries(Selection(**selection))]  # type: ignore[arg-type]


@pytest.fixture
def paid(journal: Journal, clock: Clock) -> Journal:
    """One entry a day: 1 saved, 2 refused, 3 unknown, 4 failed and forgotten, 5 intended, and 6,
    which was created elsewhere."""
    for name in "abcd":
        enter(journal, name, f"t-{name}" if name in "ad" else "", price=0.5)
        clock.now += DAY
    journal.mark_finished(1, "https://a/b.mp4")
    journal.mark_rejected(2, "me", "no")
    journal.mark_unknown(3, "me", "cut off")
    journal.mark_failed(4, "moderation")
    journal.forget(4)
    journal.claim(intent("e"), "me")
    clock.now += DAY
    journal.adopt("theirs", "https://api.gpt.ge", "k")
    return journal


def test_ledger_has_what_was_or_may_have_been_paid(paid: Journal) -> None:
    """The newest first, also forgotten ones. With states it has what was asked for, but never a
    task that was created elsewhere."""
    assert numbers(paid) == [4, 3, 1]
    assert numbers(paid, states=frozenset({State.REFUSED, State.FAILED})) == [4, 2]
    assert numbers(paid, states=frozenset({State.SUBMITTED})) == []
    kept = paid.ledger.entries(Selection(), forgotten=False)
    assert [entry.id for entry in kept] == [3, 1]
    everything = paid.ledger.entries(Selection(), paid=False)
    assert [entry.id for entry in everything] == [6, 5, 4, 3, 2, 1]


def test_times_bound_the_ledger(paid: Journal, clock: Clock) -> None:
    """The first time belongs to the range, the last one does not."""
    start = paid.get(1).created_at
    assert numbers(paid, since=start + 2 * DAY) == [4, 3]
    assert numbers(paid, since=start, until=start + 3 * DAY) == [3, 1]
    assert numbers(paid, since=start + 1) == [4, 3]
    assert numbers(paid, until=start) == []


def test_page_has_the_same_selection_without_forgotten_ones(paid: Journal) -> None:
    """Filtered in SQL, with its number of entries; the pages follow each other."""
    selection = Selection(states=frozenset({State.FINISHED, State.UNKNOWN, State.FAILED}))
    first = paid.page(limit=1, selection=selection)
    assert ([entry.id for entry in first.entries], first.more) == ([3], True)
    second = paid.page(limit=1, before=3, selection=selection)
    assert ([entry.id for entry in second.entries], second.more) == ([1], False)
    assert paid.count(selection) == 2
    since = Selection(since=paid.get(4).created_at)
    assert [entry.id for entry in paid.page(limit=9, selection=since).entries] == [6, 5]


def test_sums_count_all_and_price_what_is_known(journal: Journal, clock: Clock) -> None:
    """By gateway, however its address is written. A counted price wins over the expected one.
    Refused ones are no part of it; those without a price are counted."""
    enter(journal, "a", price=0.5)
    enter(journal, "b", base_url="https://API.gpt.ge/", price=0.25)
    enter(journal, "c")
    journal.mark_rejected(enter(journal, "d", price=9.0), "me", "no")
    enter(journal, "e", base_url="https://elsewhere.example", price=100.0)
    with journal._database.write() as connection:
        connection.execute(sa.update(TASKS).where(TASKS.c.id == 1).values(price=0.75))
    spent = journal.ledger.spent_since(clock.now)
    assert spent["https://api.gpt.ge"] == Spent(3, 1.0, 1)
    assert spent["https://elsewhere.example"] == Spent(1, 100.0, 0)
    assert journal.ledger.spent_since(clock.now + 1) == {}


def test_tasks_from_before_count_with_the_current_price(journal: Journal) -> None:
    """Those of the request's gateway, of any kind. Without a current price they are counted: a
    limit of money cannot be checked then."""
    enter(journal, "a", price=0.5)
    enter(journal, "b")
    enter(journal, "c", request={"promptText": "Apple", "pikaffect": "Melt"})
    enter(journal, "d", base_url="https://elsewhere.example")
    with journal._database.read() as connection:
        now = Sum(PAID).with_current_prices(connection, {}, intent("e", price=0.25))
        unknown = Sum(PAID).with_current_prices(connection, {}, intent("e"))
    assert now == Spent(3, 1.0, 0)
    assert unknown == Spent(3, 0.5, 2)


@pytest.mark.parametrize("zone", ["UTC0", "EST5EDT,M3.2.0,M11.1.0"])
def test_days_and_months_begin_at_midnight(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """In the computer's time zone, in winter and in summer. Also on the days when the clocks
    change, which are the second Sunday of March and the first of November there."""
    monkeypatch.setenv("TZ", zone)
    set_zone = getattr(time, "tzset", lambda: None)  # Windows has its own zone instead
    set_zone()
    try:
        for month, day in itertools.product(range(1, 13), range(1, 29)):
            for hour in (0, 12, 23):
                moment = time.mktime((2026, month, day, hour, 30, 15, 0, 0, -1))
                start = start_of_day(moment)
                assert time.localtime(start)[:6] == (2026, month, day, 0, 0, 0)
                assert time.localtime(start_of_month(moment))[:6] == (2026, month, 1, 0, 0, 0)
    finally:
        monkeypatch.undo()
        set_zone()


def test_ledger_is_read_in_parts(journal: Journal) -> None:
    """Each part has its own short transaction, and entries of the same time are neither missing nor
    twice: all rows here have one of two times. Nothing is read before it is asked for."""
    count = sized(1200, 50_000)
    journal.entries(limit=1)  # creates the tables
    columns = {"state": "saved", "base_url": "", "key_id": "", "lease_until": 0.0, "changed_at": 1}
    rows = [
        {**columns, "fingerprint": f"f{number}", "created_at": 5.0 + number % 2}
        for number in range(count)
    ]
    with journal._database.write() as connection:
        connection.execute(sa.insert(TASKS), rows)
    statements: list[str] = []

    def count_statement(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.extend([statement] if statement.startswith("SELECT") else [])

    sa.event.listen(journal._database._engine, "before_cursor_execute", count_statement)
    found = [(entry.created_at, entry.id) for entry in journal.ledger.entries(Selection())]
    assert found == sorted(found, reverse=True)
    assert len(found) == count
    assert len(statements) == count // 500 + 1
    statements.clear()
    assert len(list(itertools.islice(journal.ledger.entries(Selection()), 10))) == 10
    assert len(statements) == 1
    plan = """EXPLAIN QUERY PLAN SELECT * FROM pika_tasks
        WHERE created_at <= 5 AND (created_at < 5 OR id < 3)
        ORDER BY created_at DESC, id DESC LIMIT 500"""
    with journal._database.read() as connection:
        words = str(connection.exec_driver_sql(plan).all())
    assert "ix_pika_tasks_created_at" in words
    assert "TEMP B-TREE" not in words
