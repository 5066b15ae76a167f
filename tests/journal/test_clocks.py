"""Leases when the clocks lie: steps of the wall clock, restarts, other machines, earlier versions.

"Now" is the time since the machine's start, where that can be had; the wall clock may say anything.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devtools import ROOT
from pika_api.journal import LEASE, SUBMITTING, BootTime, Journal, State, SystemClocks
from pika_api.settings import sqlite_url
from support.api import Clock, intent

HOURS = 3600.0
#: Steps of the wall clock that happen: summer time, a wrong time zone, NTP, an empty battery.
STEPS = [8 * HOURS, -8 * HOURS, LEASE + 1, -LEASE - 1, 5.0, -5.0, 50 * 365 * 24 * HOURS, -1.7e9]
BOOT, OTHER_BOOT = "boot-1", "boot-2"


class Machine(Clock):
    """The clocks of a machine; its processes read the same ones."""

    def __init__(self, boot: str = BOOT, uptime: float = 1000.0) -> None:
        super().__init__(started=BootTime(boot, uptime))

    def run(self, seconds: float, step: float = 0.0) -> None:
        """Let time pass; set the wall clock by `step` in addition."""
        assert self.started is not None
        self.started = BootTime(self.started.boot, self.started.seconds + seconds)
        self.now += seconds + step

    def restart(self, boot: str = OTHER_BOOT) -> None:
        """Start it again. Its wall clock goes on."""
        self.started = BootTime(boot, 20.0)
        self.now += 60.0


@pytest.fixture
def machine() -> Machine:
    """A machine that has been running for a while."""
    return Machine()


@pytest.fixture
def journal(tmp_path: Path, machine: Machine) -> Iterator[Journal]:
    """A journal of a process on that machine."""
    with closing(Journal(sqlite_url(tmp_path), machine)) as opened:
        yield opened


def sent(journal: Journal, owner: str = "me") -> int:
    """The number of an entry that is being sent."""
    entry = journal.claim(intent(), owner).entry
    assert journal.mark_sent(entry.id, owner)
    return entry.id


@pytest.mark.parametrize("step", STEPS)
def test_step_of_the_clock_does_not_end_the_lease_of_a_running_owner(
    journal: Journal, machine: Machine, step: float
) -> None:
    """Neither while it sends, nor before, nor during a download; without a renewal."""
    sent(journal)
    intended = journal.claim(intent("another"), "me").entry.id
    task = journal.adopt("t", "https://a", "k").id
    assert journal.acquire_lease(task, "me")
    machine.run(LEASE - 0.1, step)
    assert journal.claim(intent(), "other").entry.state is State.SENT
    claim = journal.claim(intent("another"), "other")
    assert (claim.acquired, claim.entry.owner) == (False, "me")
    assert not journal.acquire_lease(task, "other")
    assert not journal.forget(intended)


@pytest.mark.parametrize("step", STEPS)
def test_lease_of_a_killed_owner_ends_after_its_length(
    journal: Journal, machine: Machine, step: float
) -> None:
    """Not eight hours later, however the clock was set meanwhile."""
    number = sent(journal)
    journal.claim(intent("another"), "me")
    task = journal.adopt("t", "https://a", "k").id
    assert journal.acquire_lease(task, "me")
    machine.run(LEASE, step)
    assert journal.claim(intent(), "other").entry.state is State.UNKNOWN
    assert journal.claim(intent("another"), "other").acquired
    assert journal.acquire_lease(task, "other")
    assert journal.forget(number)


@pytest.mark.parametrize("step", [-8 * HOURS, -60.0 - 2 * LEASE, -60.0, 0.0, 8 * HOURS])
def test_lease_from_before_a_restart_ends_soon(
    journal: Journal, machine: Machine, step: float
) -> None:
    """The computer crashed, and its clock may be wrong now. At the latest after two lengths."""
    sent(journal)
    machine.restart()
    machine.run(0.0, step)
    waited = 0.0
    while journal.claim(intent(), "other").entry.state in SUBMITTING:
        machine.run(1.0)
        waited += 1.0
        assert waited <= 2 * LEASE


@pytest.mark.parametrize("step", [-8 * HOURS, -2 * LEASE - 1])
def test_lease_that_ends_too_far_ahead_is_not_believed(
    tmp_path: Path, clock: Clock, step: float
) -> None:
    """On a machine that has nothing but a wall clock: the clock was set back after a crash."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        sent(journal)
        clock.now += step
        assert journal.claim(intent(), "other").entry.state is State.UNKNOWN


@pytest.mark.parametrize("ahead", [0.0, 5.0, LEASE])
def test_lease_of_another_machine_is_respected(tmp_path: Path, ahead: float) -> None:
    """Its wall clock may be a little ahead; its time since the start means nothing here."""
    here, there = Machine("here", 5.0), Machine("there", 1e6)
    there.now += ahead
    with closing(Journal(sqlite_url(tmp_path), there)) as theirs:
        sent(theirs)
        with closing(Journal(sqlite_url(tmp_path), here)) as journal:
            assert journal.claim(intent(), "other").entry.state is State.SENT
            here.run(ahead + LEASE)
            assert journal.claim(intent(), "other").entry.state is State.UNKNOWN


def test_same_start_far_behind_is_not_believed(journal: Journal, machine: Machine) -> None:
    """An identification that does not change with a restart, against all rules: the time since
    the start is then far behind the lease, and the lease has lapsed."""
    sent(journal)
    machine.restart(BOOT)
    assert journal.claim(intent(), "other").entry.state is State.UNKNOWN


def test_take_over_by_an_earlier_version_is_respected(
    journal: Journal, machine: Machine, tmp_path: Path
) -> None:
    """A process of schema 3 that is still running sets only the owner and the wall clock's end of
    the lease. The former owner's end does not count for it, and its own does."""
    number = journal.claim(intent(), "dead").entry.id
    machine.run(LEASE + 1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)) as old:
        update = "UPDATE pika_tasks SET owner = 'old', lease_until = ? WHERE id = ?"
        old.execute(update, (machine.now + LEASE, number))
    assert not journal.claim(intent(), "me").acquired
    machine.run(LEASE + 1)
    assert journal.claim(intent(), "me").acquired
    assert not journal.mark_sent(number, "old")


# The age of a task, on which depends whether the gateway must know it.


@pytest.mark.parametrize("step", STEPS)
def test_step_of_the_clock_does_not_make_a_task_older(
    journal: Journal, machine: Machine, step: float
) -> None:
    """It is as old as it is, or seems to be younger, until its machine is started again."""
    number = sent(journal)
    machine.run(3.0)
    journal.record_task(journal.get(number), "t")
    assert journal.age(journal.get(number)) == 0.0
    machine.run(30.0, step)
    assert 0.0 <= journal.age(journal.get(number)) <= 30.0
    if step >= 0:
        assert journal.age(journal.get(number)) == pytest.approx(30.0)


def test_download_does_not_make_a_task_older(journal: Journal, machine: Machine) -> None:
    """Its lease begins later."""
    number = sent(journal)
    journal.record_task(journal.get(number), "t")
    machine.run(30.0)
    assert journal.acquire_lease(number, "me")
    assert journal.age(journal.get(number)) == 0.0
    machine.run(2.0)
    assert journal.age(journal.get(number)) == pytest.approx(2.0)


def test_age_of_a_task_of_an_earlier_start_or_version(
    journal: Journal, machine: Machine, tmp_path: Path
) -> None:
    """By the wall clock, as there is no other. A task without a submit has no age."""
    number = sent(journal)
    journal.record_task(journal.get(number), "t")
    machine.restart()
    assert journal.age(journal.get(number)) == pytest.approx(60.0)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as old, old:
        old.execute("UPDATE pika_tasks SET lease_boot = NULL, lease_boot_until = NULL")
    machine.run(5.0)
    assert journal.age(journal.get(number)) == pytest.approx(65.0)
    assert journal.age(journal.adopt("elsewhere", "https://a", "k")) == 0.0


# A proven refusal counts, whoever else has recorded "unknown" meanwhile.


def abandoned(journal: Journal, clock: Clock) -> int:
    """An entry that is unknown for others, since its owner was suspended too long."""
    number = sent(journal)
    clock.now += LEASE + 1
    assert journal.claim(intent(), "other").entry.state is State.UNKNOWN
    return number


def test_refusal_that_comes_late_releases_the_request(tmp_path: Path, clock: Clock) -> None:
    """The process was suspended while the gateway refused."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = abandoned(journal, clock)
        journal.mark_rejected(number, "somebody else", "no")
        assert journal.get(number).state is State.UNKNOWN
        journal.mark_rejected(number, "me", "HTTP 402")
        entry = journal.get(number)
        assert (entry.state, entry.owner, entry.last_error) == (State.REFUSED, None, "HTTP 402")
        assert journal.claim(intent(), "other").acquired


def test_busy_gateway_that_answers_late_is_asked_again(tmp_path: Path, clock: Clock) -> None:
    """By its owner, whose lease is new, and by nobody else meanwhile."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = abandoned(journal, clock)
        journal.mark_unsent(number, "somebody else", "busy")
        assert journal.get(number).state is State.UNKNOWN
        journal.mark_unsent(number, "me", "busy")
        assert journal.get(number).state is State.INTENDED
        assert not journal.claim(intent(), "other").acquired
        assert journal.mark_sent(number, "me")
        journal.record_task(journal.get(number), "t")
        assert journal.claim(intent(), "other").entry.task_id == "t"


def test_forgotten_request_is_not_sent_after_a_late_refusal(tmp_path: Path, clock: Clock) -> None:
    """The user forgot it, and the same request was sent anew. The former owner hears a 429 at last
    and does not send a second one."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = abandoned(journal, clock)
        assert journal.forget(number)
        again = journal.claim(intent(), "other")
        assert again.acquired
        journal.mark_unsent(number, "me", "busy")
        assert not journal.mark_sent(number, "me")
        assert journal.mark_sent(again.entry.id, "other")


@pytest.mark.parametrize("state", [State.INTENDED, State.SENT])
def test_forgotten_request_of_a_suspended_owner_is_not_sent(
    tmp_path: Path, clock: Clock, state: State
) -> None:
    """In each state in which its owner can be suspended."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = journal.claim(intent(), "me").entry.id
        if state is State.SENT:
            journal.mark_sent(number, "me")
        clock.now += LEASE + 1
        assert journal.forget(number)
        journal.mark_unsent(number, "me", "busy")
        assert not journal.mark_sent(number, "me")


def test_settled_request_is_not_released_by_a_late_refusal(tmp_path: Path, clock: Clock) -> None:
    """Somebody has found its task meanwhile."""
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        number = abandoned(journal, clock)
        journal.record_task(journal.get(number), "t")
        journal.mark_rejected(number, "me", "no")
        journal.mark_unsent(number, "me", "busy")
        assert (journal.get(number).state, journal.get(number).task_id) == (State.SUBMITTED, "t")


# The clocks of this machine.


def test_processes_of_this_machine_read_the_same_clock() -> None:
    """The same identification and the same time, from the start of the machine."""
    script = (
        "from pika_api.journal import SystemClocks\n"
        "boot = SystemClocks().boot()\n"
        "print(boot.boot if boot else '-', boot.seconds if boot else 0)"
    )
    before = SystemClocks().boot()
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=True,
    ).stdout.split()  # fmt: skip
    after = SystemClocks().boot()
    if before is None or after is None:
        assert out == ["-", "0"]
        return
    assert out[0] == before.boot == after.boot
    assert 8 < len(before.boot) <= 64
    assert before.seconds <= float(out[1]) <= after.seconds


def test_wall_clock_is_that_of_the_system() -> None:
    """Seconds since the epoch."""
    assert abs(SystemClocks().wall() - time.time()) < 5
