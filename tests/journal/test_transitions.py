"""The journal's decision table: what each call does to an entry in each state, column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pika_api.journal import LEASE, Journal, State
from support.api import Clock, intent

STATES = list(State)
assert [state.value for state in STATES] == [
    "intended", "sent", "submitted", "refused", "unknown", "running", "finished", "failed", "saved",
]  # fmt: skip
I, S, B, R, U, N, F, X, V = STATES  # noqa: E741

#: The owners.
MINE, THEIRS = "me", "somebody else"

Call = Callable[[Journal], object]
#: For each call, the state that each state in the order of `State` leads to; None where the call
#: changes nothing.
TABLE: list[tuple[str, Call, list[State | None]]] = [
    ("sent", lambda j: j.mark_sent(1, MINE), [S] + [None] * 8),
    (
        "unsent",
        lambda j: j.mark_unsent(1, MINE, "new"),
        [None, I, None, None, I, None, None, None, None],
    ),
    (
        "rejected",
        lambda j: j.mark_rejected(1, MINE, "new"),
        [R, R, None, None, R, None, None, None, None],
    ),
    ("withdrawn", lambda j: j.mark_withdrawn(1, MINE), [R] + [None] * 8),
    (
        "unknown",
        lambda j: j.mark_unknown(1, MINE, "new", "raw"),
        [None, U, None, None, U] + [None] * 4,
    ),
    (
        "submitted",
        lambda j: j.record_task(j.get(1), "new").id == 1,
        [B, B, None, None, B, None, None, None, None],
    ),
    (
        "running",
        lambda j: j.mark_running(1, 50),
        [None, None, N, None, None, N, None, None, None],
    ),
    (
        "finished",
        lambda j: j.mark_finished(1, "new"),
        [None, None, F, None, None, F, F, F, V],
    ),
    (
        "received",
        lambda j: j.mark_received(1, "new"),
        [None, None, B, None, None, N, F, None, V],
    ),
    ("failed", lambda j: j.mark_failed(1, "new"), [None, None, X, None, None, X, None, None, None]),
    (
        "saved",
        lambda j: j.mark_saved(1, Path("new")),
        [None, None, V, None, None, V, V, None, V],
    ),
    ("error", lambda j: j.record_error(1, "new"), STATES),
    ("forgotten", lambda j: j.forget(1), [None, None, *STATES[2:]]),
]
#: The columns that a call changes beside the state, and their new values. `NOW` is the time of the
#: call, `LEASED` the end of a lease that begins at that time.
NOW, LEASED = object(), object()
COLUMNS: dict[str, dict[str, object]] = {
    "sent": {"sent_at": NOW, "lease_until": LEASED},
    "unsent": {"last_error": "new", "lease_until": LEASED},
    "rejected": {"owner": None, "last_error": "new"},
    "withdrawn": {"owner": None, "last_error": "Stopped before it was sent."},
    "unknown": {"owner": None, "last_error": "new", "answer": "raw"},
    "submitted": {
        "owner": None,
        "last_error": "",
        "task_id": "new",
        "submitted_at": NOW,
        "lease_until": LEASED,
    },
    "running": {"progress": 50},
    "finished": {"progress": 100, "result_url": "new", "finished_at": NOW},
    "received": {"sha256": "new"},
    "failed": {"last_error": "new", "finished_at": NOW},
    "saved": {"last_error": "", "file_path": "new", "saved_at": NOW},
    "error": {"last_error": "new"},
    "forgotten": {"forgotten_at": NOW},
}
#: The calls that release the fingerprint.
RELEASING = {"rejected", "withdrawn", "failed", "forgotten"}


def put(journal: Journal, state: State, owner: str = MINE) -> None:
    """Make the first entry one in this state, with a value in each column."""
    journal.claim(intent(), owner)
    journal.claim(intent("another"), owner)
    texts = ("task_id", "result_url", "file_path", "last_error")
    times = ("sent_at", "submitted_at", "finished_at", "saved_at", "forgotten_at")
    values: dict[str, Any] = {"state": state.value, "progress": 7}
    values |= dict.fromkeys(texts, "old") | dict.fromkeys(times, 1.0)
    columns = ", ".join(f"{name} = :{name}" for name in values)
    with journal._database.write() as connection:
        connection.execute(sa.text(f"UPDATE pika_tasks SET {columns} WHERE id = 1"), values)


def row(journal: Journal, number: int = 1) -> dict[str, Any]:
    """All columns of an entry, with its claim."""
    with journal._database.read() as connection:
        query = f"SELECT claim FROM pika_tasks WHERE id = {number}"
        return {**asdict(journal.get(number)), "claim": connection.exec_driver_sql(query).scalar()}


@pytest.mark.parametrize("number", range(9), ids=[state.value for state in STATES])
@pytest.mark.parametrize(("name", "call", "targets"), TABLE, ids=[each[0] for each in TABLE])
def test_call_changes_exactly_what_the_table_says(
    journal: Journal, clock: Clock, name: str, call: Call, targets: list[State | None], number: int
) -> None:
    """In each state, each column of the entry; another entry stays as it is."""
    put(journal, STATES[number])
    before, other, target = row(journal), row(journal, 2), targets[number]
    clock.now += 5.0
    applied = call(journal)
    assert applied in (None, target is not None)
    expected: dict[str, object] = {}
    if target is not None:
        columns = COLUMNS[name]
        if (name, STATES[number]) == ("finished", State.SAVED):
            columns = {"result_url": "new"}
        if name == "saved":
            columns = columns | {"host": journal.host}
        expected = {"state": target, "changed_at": NOW, "revision": before["revision"] + 1}
        expected |= columns | ({"claim": None} if name in RELEASING else {})
        times = {id(NOW): clock.now, id(LEASED): clock.now + LEASE}
        expected = {key: times.get(id(value), value) for key, value in expected.items()}
    assert row(journal) == before | expected
    assert row(journal, 2) == other


OWNED = {"sent", "unsent", "rejected", "withdrawn", "unknown"}


@pytest.mark.parametrize("state", [I, S], ids=["intended", "sent"])
@pytest.mark.parametrize(("name", "call", "targets"), TABLE, ids=[each[0] for each in TABLE])
def test_only_some_calls_ask_for_the_owner(
    journal: Journal, name: str, call: Call, targets: list[State | None], state: State
) -> None:
    """What decides about sending is for the owner alone; what is known of a task is for anyone."""
    put(journal, state, owner=THEIRS)
    before = row(journal)
    target = None if name in OWNED else targets[STATES.index(state)]
    call(journal)
    assert row(journal)["state"] is (target or state)
    assert (row(journal) == before) == (target is None)


@pytest.mark.parametrize("state", STATES, ids=[state.value for state in STATES])
@pytest.mark.parametrize("late", [-0.1, 0.0], ids=["lease holds", "lease has lapsed"])
def test_claim_settles_an_entry_whose_lease_has_lapsed(
    journal: Journal, clock: Clock, state: State, late: float
) -> None:
    """What was only intended is taken over, what was sent becomes unknown, all else stays."""
    put(journal, state, owner=THEIRS)
    before = row(journal)
    clock.now += LEASE + late
    claim = journal.claim(intent(), MINE)
    changed = {"changed_at": clock.now, "revision": before["revision"] + 1}
    expected: dict[State, dict[str, object]] = {
        State.INTENDED: {
            "owner": MINE,
            "lease_until": clock.now + LEASE,
            "created_at": clock.now,
            **changed,
        },
        State.SENT: {
            "state": State.UNKNOWN,
            "last_error": "The process that sent it ended before an answer was written down.",
            **changed,
        },
    }
    lapsed = late == 0.0
    assert row(journal) == before | (expected.get(state, {}) if lapsed else {})
    assert claim.entry == journal.get(1)
    assert claim.acquired == (lapsed and state is State.INTENDED)


@pytest.mark.parametrize("late", [-0.1, 0.0], ids=["lease holds", "lease has lapsed"])
@pytest.mark.parametrize("state", [I, S], ids=["intended", "sent"])
def test_entry_that_is_being_sent_is_not_forgotten(
    journal: Journal, clock: Clock, state: State, late: float
) -> None:
    """Until its owner's lease has lapsed."""
    put(journal, state, owner=THEIRS)
    before = row(journal)
    clock.now += LEASE + late
    assert journal.forget(1) == (late == 0.0)
    if late != 0.0:
        assert row(journal) == before
        return
    after = row(journal)
    assert (after["claim"], after["forgotten_at"]) == (None, clock.now)
    assert after["state"] is (State.REFUSED if state is I else State.UNKNOWN)
    # The owner may be suspended, and continue later.
    assert not journal.mark_sent(1, THEIRS)
    assert not journal.may_be_sent(1, THEIRS)
