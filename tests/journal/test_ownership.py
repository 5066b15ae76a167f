"""The journal: whose a row is, for how long, and which row answers a question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pika_api.journal import LEASE, Journal, State
from pika_api.journal.database import Database
from support.api import Clock, intent

Move = Callable[[Journal, int, str], object]


def intended(journal: Journal, name: str = "f", owner: str = "me") -> int:
    """The number of a row that is about to be sent."""
    return journal.claim(intent(name), owner)[0].id


def sent(journal: Journal, name: str = "f", owner: str = "me") -> int:
    """The number of a row that is on the wire."""
    number = intended(journal, name, owner)
    assert journal.mark_sent(number, owner)
    return number


def submitted(journal: Journal, name: str = "f", task_id: str = "t") -> int:
    """The number of a row with a task."""
    number = sent(journal, name)
    journal.mark_submitted(number, task_id)
    return number


@pytest.mark.parametrize(
    ("begin", "move", "state"),
    [
        (intended, lambda j, n, who: j.mark_sent(n, who), State.SENT),
        (sent, lambda j, n, who: j.mark_unsent(n, who, "busy"), State.INTENDED),
        (intended, lambda j, n, who: j.mark_rejected(n, who, "no"), State.REFUSED),
        (sent, lambda j, n, who: j.mark_rejected(n, who, "no"), State.REFUSED),
        (intended, lambda j, n, who: j.mark_withdrawn(n, who), State.REFUSED),
    ],
    ids=["sent", "unsent", "refused before", "refused after", "withdrawn"],
)
def test_a_row_is_moved_by_its_owner_alone(
    journal: Journal, begin: Callable[[Journal], int], move: Move, state: State
) -> None:
    """Whoever was held up until another took his row over must not say a word about it: it may be
    on the wire by now. Nor does a word about one row move another of the same owner."""
    number, other = begin(journal), intended(journal, "another request")
    before = journal.get(number), journal.get(other)
    move(journal, number, "somebody else")
    assert (journal.get(number), journal.get(other)) == before
    move(journal, number, "me")
    assert journal.get(number).state is state
    assert journal.get(other) == before[1]


def test_what_is_on_the_wire_is_not_withdrawn(journal: Journal) -> None:
    """Giving up came too late: the row goes on saying that it was sent."""
    number = sent(journal)
    journal.mark_withdrawn(number, "me")
    assert journal.get(number).state is State.SENT


@pytest.mark.parametrize(
    "move",
    [
        lambda j: j.mark_unknown(1, "reset"),
        lambda j: j.mark_submitted(1, "t-9"),
        lambda j: j.record_error(1, "broke off"),
        lambda j: j.forget(1),
        lambda j: j.acquire_lease(1, "somebody"),
    ],
    ids=["unknown", "submitted", "note", "forget", "lease"],
)
def test_a_word_about_one_row_is_none_about_another(
    journal: Journal, clock: Clock, move: Callable[[Journal], object]
) -> None:
    """Rows have their fates apart, though they are in the same state."""
    sent(journal)
    other = sent(journal, "another request")
    clock.now += LEASE
    before = journal.get(other)
    move(journal)
    assert journal.get(1) != before
    assert journal.get(other) == before


def test_of_two_who_see_a_dead_owners_row_one_takes_it(journal: Journal, clock: Clock) -> None:
    """Both have read it before either took it."""
    seen, _ = journal.claim(intent(), "dead")
    clock.now += LEASE
    assert journal._settle(seen, "one")[1]
    entry, mine = journal._settle(seen, "two")
    assert (entry.owner, mine) == ("one", False)


def test_every_step_of_an_owner_puts_his_lease_off(journal: Journal, clock: Clock) -> None:
    """Taken over, sent, leased: whole time from then on."""
    journal.claim(intent(), "dead")
    clock.now += LEASE
    entry, mine = journal.claim(intent(), "me")
    assert (mine, entry.lease_until) == (True, clock.now + LEASE)
    clock.now += 1
    journal.mark_sent(entry.id, "me")
    assert journal.get(entry.id).lease_until == clock.now + LEASE
    journal.mark_submitted(entry.id, "t")
    clock.now += 1
    journal.acquire_lease(entry.id, "me")
    assert journal.get(entry.id).lease_until == clock.now + LEASE


def test_a_lease_is_renewed_for_its_owner_and_given_back_for_its_row(
    journal: Journal, clock: Clock
) -> None:
    """Who renews keeps all rows of his; who gives one back keeps the others."""
    first, second, third = (submitted(journal, name, name) for name in "abc")
    assert [journal.acquire_lease(first, "me"), journal.acquire_lease(second, "me")] == [True, True]
    assert journal.acquire_lease(third, "other")
    clock.now += LEASE - 1
    journal.renew_leases(["me"])
    journal.release_lease(first, "me")
    clock.now += 1
    assert [journal.acquire_lease(each, "heir") for each in (first, second, third)] == [
        True,
        False,
        True,
    ]


def test_what_is_being_sent_is_not_forgotten(journal: Journal, clock: Clock) -> None:
    """Its row must be there for the answer. Once its owner is gone, or it has a task, it may go;
    one that is not there is nobody's."""
    number, task = sent(journal), submitted(journal, "another request")
    clock.now += LEASE - 1
    assert not journal.forget(number)
    assert journal.get(number).forgotten_at is None
    assert journal.acquire_lease(task, "a download")
    assert journal.forget(task)
    clock.now += 1
    assert journal.forget(number)
    assert journal.get(number).forgotten_at == clock.now
    assert not journal.forget(99)


def test_an_id_in_two_rows_is_the_newer_ones(journal: Journal) -> None:
    """It was adopted by hand, and then its own answer came after all."""
    adopted = journal.adopt("t", "https://a", "k")
    assert journal.find_by_task_id("t") == adopted
    number = submitted(journal, task_id="t")
    entry = journal.find_by_task_id("t")
    assert entry is not None
    assert entry.id == journal.adopt("t", "https://a", "k").id == number != adopted.id


def test_a_number_is_looked_up(journal: Journal) -> None:
    """As the user typed it: there or not."""
    first, second = intended(journal), intended(journal, "another request")
    assert journal.find_by_id(first) == journal.get(first)
    assert journal.find_by_id(second) == journal.get(second)
    assert journal.find_by_id(99) is None


def test_trouble_is_over_when_the_task_goes_on(journal: Journal) -> None:
    """A last error is of what is not well now: an id, and a file, put an end to it."""
    number = sent(journal)
    journal.record_error(number, "no answer")
    journal.mark_submitted(number, "t")
    assert journal.get(number).last_error == ""
    journal.record_error(number, "broke off")
    assert journal.get(number).last_error == "broke off"
    journal.mark_saved(number, Path("x"))
    assert journal.get(number).last_error == ""


def test_a_task_from_elsewhere_is_no_request_given_up(journal: Journal) -> None:
    """It never answered for a request here, so it makes none a new one."""
    journal.adopt("t", "https://a", "k")
    assert journal.count_released(None) == 0


def test_rows_are_by_time_then_by_number(journal: Journal, clock: Clock) -> None:
    """Two of one moment: the later number first; a clock that was set back sorts its row down."""
    same = [intended(journal, name) for name in "ab"]
    clock.now -= 60
    early = intended(journal, "c")
    assert [row.id for row in journal.entries()] == [same[1], same[0], early]


def test_a_clock_that_begins_at_nought_is_as_good(journal: Journal, clock: Clock) -> None:
    """A machine without a battery: the first row's change has its time."""
    clock.now = 0.5
    assert journal.get(intended(journal)).changed_at == 0.5


def test_where_transactions_overlap_a_change_is_seen_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In such a database a change may come to light after a later one: what is younger than five
    seconds before the cursor comes once more, and nothing is missed."""
    intended(journal)
    monkeypatch.setattr(Database, "in_order", False)
    newest = journal.page(limit=10).cursor
    for cursor, seen in ((newest, [1]), (newest + 4.9, [1]), (newest + 5.1, [])):
        assert [row.id for row in journal.changed_since(cursor, limit=10).entries] == seen


def test_files_that_are_nowhere_are_counted(journal: Journal, tmp_path: Path) -> None:
    """Not one that is where it was saved, nor one that was moved along with its folder, nor one of
    a task that was never saved."""
    there, moved = tmp_path / "there.mp4", tmp_path / "new" / "moved.mp4"
    moved.parent.mkdir()
    for path in (there, moved):
        path.touch()
    gone = [tmp_path / name for name in ("old/moved.mp4", "lost.mp4", "lost too.mp4")]
    for path in (there, *gone):
        journal.mark_saved(submitted(journal, path.name, path.name), path)
    submitted(journal, "not saved", "t")
    assert journal.count_missing_files(moved.parent) == 2
