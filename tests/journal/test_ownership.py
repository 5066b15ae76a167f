"""The journal: who owns an entry, for how long, and which entry answers a question."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import LEASE, BootTime, Claim, Journal, State
from pika_api.settings import sqlite_url
from support.api import Clock, intent
from support.sizes import sized

Move = Callable[[Journal, int, str], object]


def intended(journal: Journal, name: str = "f", owner: str = "me") -> int:
    """The number of an entry that is about to be sent."""
    return journal.claim(intent(name), owner).entry.id


def sent(journal: Journal, name: str = "f", owner: str = "me") -> int:
    """The number of an entry that is being sent."""
    number = intended(journal, name, owner)
    assert journal.mark_sent(number, owner)
    return number


def submitted(journal: Journal, name: str = "f", task_id: str = "t") -> int:
    """The number of an entry with a task."""
    number = sent(journal, name)
    journal.record_task(journal.get(number), task_id)
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
    ids=["sent", "unsent", "rejected before", "rejected after", "withdrawn"],
)
def test_only_the_owner_moves_an_entry(
    journal: Journal, begin: Callable[[Journal], int], move: Move, state: State
) -> None:
    """A process that was suspended until another took its entry over must not change it: the
    request may be on the wire by now. Nor does a change move another entry of the same owner."""
    number, other = begin(journal), intended(journal, "another request")
    before = journal.get(number), journal.get(other)
    move(journal, number, "somebody else")
    assert (journal.get(number), journal.get(other)) == before
    move(journal, number, "me")
    assert journal.get(number).state is state
    assert journal.get(other) == before[1]


def test_sent_request_is_not_withdrawn(journal: Journal) -> None:
    """The owner gave up too late: the entry still says that it was sent."""
    number = sent(journal)
    journal.mark_withdrawn(number, "me")
    assert journal.get(number).state is State.SENT


@pytest.mark.parametrize(
    "move",
    [
        lambda j: j.mark_unknown(1, "me", "reset"),
        lambda j: j.record_task(j.get(1), "t-9"),
        lambda j: j.record_error(1, "broke off"),
        lambda j: j.forget(1),
        lambda j: j.acquire_lease(1, "somebody"),
    ],
    ids=["unknown", "submitted", "error", "forget", "lease"],
)
def test_change_of_one_entry_leaves_others_alone(
    journal: Journal, clock: Clock, move: Callable[[Journal], object]
) -> None:
    """Although they are in the same state."""
    sent(journal)
    other = sent(journal, "another request")
    clock.now += LEASE
    before = journal.get(other)
    move(journal)
    assert journal.get(1) != before
    assert journal.get(other) == before


def test_one_of_two_takes_over_an_abandoned_entry(journal: Journal, clock: Clock) -> None:
    """Both have read it before either took it, as can happen on PostgreSQL."""
    number = intended(journal, owner="dead")
    clock.now += LEASE
    with journal._database.write() as connection:
        query = "SELECT * FROM pika_tasks"
        seen = connection.exec_driver_sql(query).mappings().one()
        assert journal._settle_lapsed(connection, seen, intent("f"), "one")
        assert not journal._settle_lapsed(connection, seen, intent("f"), "two")
    assert journal.get(number).owner == "one"
    assert journal.claim(intent("f"), "two") == Claim(journal.get(number), acquired=False)


def test_each_step_of_the_owner_extends_its_lease(journal: Journal, clock: Clock) -> None:
    """Taken over, sent, leased: the whole length from then on."""
    intended(journal, owner="dead")
    clock.now += LEASE
    claim = journal.claim(intent("f"), "me")
    number = claim.entry.id
    assert (claim.acquired, claim.entry.lease_until) == (True, clock.now + LEASE)
    clock.now += 1
    journal.mark_sent(number, "me")
    assert journal.get(number).lease_until == clock.now + LEASE
    journal.record_task(journal.get(number), "t")
    clock.now += 1
    journal.acquire_lease(number, "me")
    assert journal.get(number).lease_until == clock.now + LEASE


@pytest.mark.parametrize("lease", [0.5, 60.0])
def test_length_of_leases_is_the_journals(tmp_path: Path, clock: Clock, lease: float) -> None:
    """For a claim, a take-over, a send, a download and a renewal."""
    journal = Journal(sqlite_url(tmp_path), clock, lease=lease)
    number = intended(journal, owner="dead")
    ends = [journal.get(number).lease_until - clock.now]
    clock.now += lease
    for step in (
        lambda: journal.claim(intent("f"), "me"),
        lambda: journal.mark_sent(number, "me"),
        lambda: journal.acquire_lease(number, "me"),
        lambda: journal.renew_leases(["me"]),
    ):
        clock.now += 0.25
        step()
        ends.append(journal.get(number).lease_until - clock.now)
    journal.close()
    assert ends == [lease] * 5


def test_lease_is_renewed_by_owner_and_released_by_entry(journal: Journal, clock: Clock) -> None:
    """A renewal is for all entries of an owner; a release is for one."""
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


def test_entry_is_not_forgotten_while_it_is_being_sent(journal: Journal, clock: Clock) -> None:
    """The answer needs it. It can be forgotten once its owner is gone, or once it has a task, also
    during a download. A number without an entry is not forgotten."""
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


def test_newer_of_two_entries_has_the_task_id(journal: Journal) -> None:
    """A task was adopted by hand, and then its own answer came after all."""
    adopted = journal.adopt("t", "https://api.gpt.ge", "k")
    assert journal.find_by_task_id("t") == adopted
    number = submitted(journal, task_id="t")
    entry = journal.find_by_task_id("t")
    assert entry is not None
    assert entry.id == journal.adopt("t", "https://api.gpt.ge", "k").id == number != adopted.id


def test_entry_is_found_by_its_number(journal: Journal) -> None:
    """As the user typed it: there or not."""
    first, second = intended(journal), intended(journal, "another request")
    assert journal.find_by_id(first) == journal.get(first)
    assert journal.find_by_id(second) == journal.get(second)
    assert journal.find_by_id(99) is None


def test_last_error_is_cleared_when_the_task_goes_on(journal: Journal) -> None:
    """It is about a current problem: an id, and a file, end it."""
    number = sent(journal)
    journal.record_error(number, "no answer")
    journal.record_task(journal.get(number), "t")
    assert journal.get(number).last_error == ""
    journal.record_error(number, "broke off")
    assert journal.get(number).last_error == "broke off"
    journal.mark_saved(number, Path("x"))
    assert journal.get(number).last_error == ""


def test_adopted_task_is_not_a_released_request(journal: Journal) -> None:
    """It never held a fingerprint, so it makes no request a new one."""
    journal.adopt("t", "https://a", "k")
    assert journal.count_released(None) == 0


def test_entries_are_sorted_by_number(journal: Journal, clock: Clock) -> None:
    """The last one that was entered comes first, also if the clock was set back meanwhile."""
    numbers = [intended(journal, name) for name in "ab"]
    clock.now -= 60
    numbers.append(intended(journal, "c"))
    assert [row.id for row in journal.entries()] == numbers[::-1]


def test_first_change_has_the_time_of_the_clock(journal: Journal, clock: Clock) -> None:
    """Also on a machine without a battery, whose clock begins at 0."""
    clock.now = 0.5
    assert journal.get(intended(journal)).changed_at == 0.5


@pytest.mark.parametrize("step", [0.0, -86_400.0], ids=["stands still", "is set back"])
def test_time_of_change_grows_with_each_change(journal: Journal, clock: Clock, step: float) -> None:
    """A process of schema 2 lists changes by it, and must miss none, whatever the clock does."""
    number, times = intended(journal), []
    for change in (
        lambda: journal.mark_sent(number, "me"),
        lambda: intended(journal, "another request"),
        lambda: journal.adopt("elsewhere", "", ""),
        lambda: journal.record_error(2, "broke off"),
    ):
        clock.now += step
        change()
        times.append(max(entry.changed_at for entry in journal.entries(forgotten=True)))
    assert times == sorted(set(times))
    clock.now = 2_000_000_000.0
    journal.record_task(journal.get(number), "t")
    assert journal.get(number).changed_at == clock.now


def test_missing_files_are_counted(journal: Journal, tmp_path: Path) -> None:
    """Not a file that is where it was saved, nor one that was moved along with its folder, nor one
    of a task that was never saved."""
    there, moved = tmp_path / "there.mp4", tmp_path / "new" / "moved.mp4"
    moved.parent.mkdir()
    for path in (there, moved):
        path.touch()
    gone = [tmp_path / name for name in ("old/moved.mp4", "lost.mp4", "lost too.mp4")]
    for path in (there, *gone):
        journal.mark_saved(submitted(journal, path.name, path.name), path)
    submitted(journal, "not saved", "t")
    assert journal.count_missing_files(moved.parent) == 2


def test_missing_files_are_those_of_this_machine(journal: Journal, tmp_path: Path) -> None:
    """The clips of a colleague, however many, and those at an address change nothing here: else
    everything behind a Pika Result would run again. Those of earlier versions count everywhere.
    A file that another machine has saved, and this one has now too, is of this one."""
    here = submitted(journal, "here", "here")
    journal.mark_saved(here, tmp_path / "lost.mp4")
    url = journal._database._url
    with closing(Journal(url, host="a")) as one, closing(Journal(url, host="b")) as two:
        counts = [one.count_missing_files(tmp_path), two.count_missing_files(tmp_path)]
        assert counts == [1, 1]
        count = sized(5, 310)  # at night more than are looked at
        for number in range(count):
            two.mark_saved(submitted(two, f"b{number}", f"b{number}"), tmp_path / f"b{number}.mp4")
        assert one.count_missing_files(tmp_path) == 1
        assert two.count_missing_files(tmp_path) == min(count + 1, 300)
        fetched = one.find_by_task_id("b4")
        assert fetched is not None
        assert fetched.host == "b"
        one.mark_saved(fetched.id, tmp_path / "gone too.mp4")
        assert one.count_missing_files(tmp_path) == 2
        one.mark_saved(fetched.id, "s3://bucket/clip.mp4")
        assert one.count_missing_files(tmp_path) == 1


def test_lease_of_a_taken_over_entry_belongs_to_the_new_owner(
    journal: Journal, clock: Clock
) -> None:
    """Also on the clock of the machine's start, which nobody sets: otherwise the wall clock alone
    would say whether the new owner is alive."""
    clock.started = BootTime("this start", 1000.0)
    number = intended(journal, owner="first")
    clock.now += LEASE + 1
    clock.started = BootTime("this start", 1000.0 + LEASE + 1)
    assert journal.claim(intent("f"), "second").acquired
    clock.now += 24 * 3600  # somebody sets the clock
    assert not journal.claim(intent("f"), "third").acquired
    assert journal.get(number).owner == "second"
