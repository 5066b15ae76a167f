"""Random stories: users, identical requests, killed processes, and a gateway with every fault."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from hypothesis.stateful import run_state_machine_as_test as run_stories

from pika_api.errors import PikaError, SubmitUnknown
from pika_api.journal import SUBMITTING, Entry, State
from pika_api.progress import ProgressObserver
from pika_api.tasks import Service
from simulator import Simulator
from support.api import KEY, ServiceHarness, ask, impatient, run
from support.money import (
    LEASE,
    POLICY,
    Stopped,
    Worker,
    assert_key_not_kept,
    assert_nothing_lost,
    assert_nothing_paid_twice,
    rows,
    shorten,
)
from support.money_story import LATER_FAULTS, SUBMIT_FAULTS, dealt, step, witnessed
from support.sizes import sized
from support.waiting import until

#: A request and a seed; each pair has a prompt of its own, as the seed is not on the wire.
which = st.tuples(st.integers(0, 1), st.integers(0, 2))
#: The first service; one with a rotated key, and another spelling of the address; and one with the
#: key of another account.
who = st.integers(0, 2)
same_account = st.integers(0, 1)
what = st.sampled_from(["submit", "submit", "wait", "collect"])
#: Whether trouble awaits the next submit that reaches the gateway, and its task.
trouble = st.sampled_from([True, True, False])
moment = st.sampled_from([0.0, 0.01, 0.03, 0.08, 0.2])
Key = tuple[int, int]

#: Processes that are killed in one story, at most: each costs the start of another.
KILLS = 2
BUDGET = settings(
    max_examples=sized(8, 100),
    stateful_step_count=15,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    phases=[Phase.generate],  # a story may go otherwise the next time: nothing to make shorter
    suppress_health_check=list(HealthCheck),
)


class Money(RuleBasedStateMachine):
    """Three services and, at times, a process on one journal; the test gives gateway and folder.

    Attributes:
        new_database: Creates an empty database for a journal; a file if it returns nothing.
    """

    gateway: Simulator
    folder: Path
    new_database: Callable[[], str] = staticmethod(str)
    numbers: Iterator[int]
    spare: list[Worker]
    failures: list[str]
    submit_faults: Iterator[dict[str, Any]]
    later_faults: Iterator[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        number = next(self.numbers)
        self.gateway.clear_faults()
        self.name = f"example {number:04}"
        policy = replace(
            impatient(POLICY, 0.1), download_attempts=2, new_task_grace=0.2, max_misses=4
        )
        home = self.folder / f"home-{number}"
        self.harness = ServiceHarness(
            self.gateway, home, policy, lease=LEASE, database=self.new_database()
        )
        self.gateway.add_key("rotated-key")
        self.gateway.add_key("other-key", "other")
        self.services = [
            self.harness.service,
            self.harness.another(api_key="rotated-key", base_url=f"{self.gateway.url}/./x/../"),
            self.harness.another(api_key="other-key"),
        ]
        self.threads = ThreadPoolExecutor(4)
        self.worker: Worker | None = None
        self.kills = 0
        self.story: list[str] = []

    # --- what is done ---

    def prompt(self, key: Key) -> str:
        return f"{self.name}, request {key[0]}, seed {key[1]}"

    async def submit(self, key: Key, by: Service, observer: ProgressObserver | None = None) -> str:
        """The task id, or "" where an error says why not; either must be the truth."""
        try:
            found = await by.submit(
                ask(self.prompt(key)), take=key[1], observer=observer or ProgressObserver()
            )
        except PikaError as error:
            self.tells(error, error.charge_note)
            return ""
        assert found.task_id in self.gateway.tasks
        entry = self.harness.journal.find_by_task_id(found.task_id)
        assert entry is not None
        assert entry.prompt == self.prompt(key)
        return found.task_id

    async def use(self, key: Key, by: Service, do: str, observer: ProgressObserver) -> None:
        """Submit, wait or collect, the last two only where there is a task."""
        if do == "submit":
            await self.submit(key, by, observer)
            return
        entry = next((e for e in rows(by.journal) if e.prompt == self.prompt(key)), None)
        if entry is None or entry.task_id is None:
            return
        try:
            await getattr(by, do)(entry.task_id, timeout=0.3, observer=observer)
        except PikaError as error:
            self.tells(error, entry.task_id)

    def arm(self, fault: bool) -> None:
        if fault:
            self.gateway.fault("submit", **next(self.submit_faults))
            self.gateway.fault(**next(self.later_faults))

    def tells(self, error: PikaError, what: str) -> None:
        """The error has this in it, which is something."""
        assert what
        assert what in str(error)

    def in_worker(self, key: Key) -> Worker:
        """Let the other process submit; its answer is still to come."""
        if self.worker is None:
            self.worker = self.spare.pop(0) if self.spare else Worker()
            self.worker.open(self.gateway, self.harness.home, database=self.harness.database)
        self.worker.tell("submit", prompt=self.prompt(key), take=key[1])
        return self.worker

    # --- rules ---

    @step(key=which, by=who, fault=trouble)
    def one_submits(self, key: Key, by: int, fault: bool) -> None:
        self.arm(fault)
        run(self.submit(key, self.services[by]))

    @step(key=which, by=same_account, fault=trouble)
    def twins_in_one_loop(self, key: Key, by: int, fault: bool) -> None:
        self.arm(fault)

        async def both() -> list[str]:
            pair = (self.services[0], self.services[by])
            return await asyncio.gather(*(self.submit(key, each) for each in pair))

        assert len(set(run(both())) - {""}) <= 1

    @step(key=which, by=same_account, fault=trouble)
    def twins_in_two_threads(self, key: Key, by: int, fault: bool) -> None:
        self.arm(fault)
        pair = (self.services[0], self.services[by])
        found = self.threads.map(lambda each: run(self.submit(key, each)), pair)
        assert len(set(found) - {""}) <= 1

    @step(key=which, by=same_account, fault=trouble)
    def twins_in_two_processes(self, key: Key, by: int, fault: bool) -> None:
        self.arm(fault)
        worker = self.in_worker(key)
        mine = run(self.submit(key, self.services[by]))
        theirs = worker.answer().get("task_id", "")
        assert len({mine, theirs} - {""}) <= 1

    @step(key=which, after=moment, post=st.sampled_from(["any", "charged", "not charged"]))
    def a_process_is_killed(self, key: Key, after: float, post: str) -> None:
        if self.kills == KILLS:  # not a precondition: whether it holds may depend on time
            return
        self.kills += 1
        posts = self.harness.posts
        if post != "any":
            self.gateway.fault("submit", delay=0.3, reset=post == "not charged")
        worker = self.in_worker(key)
        if post == "any":
            asyncio.run(asyncio.sleep(after))
        else:
            until(lambda: self.harness.posts > posts or not worker.silent(), what="POST or answer")
        worker.kill()
        self.worker = None
        self.spare.append(Worker())

    @step(key=which, by=who)
    def one_asks(self, key: Key, by: int) -> None:
        for entry in rows(self.services[by].journal):
            if entry.task_id is not None and entry.prompt == self.prompt(key):
                try:
                    run(self.services[by].status(entry.task_id))
                except PikaError as error:
                    self.tells(error, entry.task_id)

    @step(key=which, by=who, fault=trouble)
    def one_collects(self, key: Key, by: int, fault: bool) -> None:
        self.arm(fault)
        run(self.use(key, self.services[by], "collect", ProgressObserver()))

    @step(key=which, by=who, do=what, after=moment, fault=trouble)
    def one_is_interrupted(self, key: Key, by: int, do: str, after: float, fault: bool) -> None:
        self.arm(fault)

        async def interrupted() -> None:
            loop = asyncio.get_running_loop()
            end = loop.time() + after

            def check() -> None:
                if loop.time() >= end:
                    raise Stopped

            with contextlib.suppress(Stopped):
                await self.use(key, self.services[by], do, ProgressObserver(check))

        run(interrupted())

    @step(key=which, by=who, do=what, after=moment, fault=trouble)
    def one_is_cancelled(self, key: Key, by: int, do: str, after: float, fault: bool) -> None:
        self.arm(fault)

        async def cancelled() -> None:
            task = asyncio.create_task(self.use(key, self.services[by], do, ProgressObserver()))
            await asyncio.wait((task,), timeout=after)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        run(cancelled())

    @step(key=which)
    def one_forgets(self, key: Key) -> None:
        for entry in rows(self.harness.journal):
            if entry.prompt == self.prompt(key) and entry.forgotten_at is None:
                self.harness.journal.forget(entry.id)

    @step(key=which, by=same_account)
    def one_settles(self, key: Key, by: int) -> None:
        """The user finds the charged task of an unknown request in the gateway's list."""
        journal = self.harness.journal
        listed = [task for task in self.gateway.tasks.values() if task.account == "first"]
        known = {entry.task_id for entry in rows(journal)}
        charged = [t.id for t in listed if t.body["promptText"] == self.prompt(key)]
        for entry in journal.entries([State.UNKNOWN]):
            nameless = [task_id for task_id in charged if task_id not in known]
            if entry.prompt != self.prompt(key) or not nameless:
                continue
            try:
                settled = run(self.services[by].settle(entry.id, nameless[0]))
            except PikaError as error:
                self.tells(error, nameless[0])
            else:
                assert (settled.id, settled.task_id) == (entry.id, nameless[0])
            return

    # --- what must hold ---

    @invariant()
    @witnessed
    def the_books_are_right(self) -> None:
        assert_nothing_lost(self.gateway, self.harness.journal, self.name)
        assert_nothing_paid_twice(self.gateway, self.harness.journal, self.name)
        assert_key_not_kept(KEY, self.harness.home)

    @witnessed
    def teardown(self) -> None:
        """Once all is over: nobody is still at work on a row, and what is queued again is a task,
        a refusal to pay twice, or new because nothing was paid."""
        self.gateway.clear_faults()
        try:
            if self.worker is not None:
                self.worker.close()
            # A POST whose caller was interrupted may still be on its way.
            until(lambda: not self.sending(), what="the end of the interrupted submits")
            for key in itertools.product(range(2), range(3)):
                self.settle(key)
            assert not [entry for entry in rows(self.harness.journal) if entry.state in SUBMITTING
                        and entry.forgotten_at is None]  # fmt: skip
            self.the_books_are_right()
        finally:
            self.threads.shutdown()
            self.harness.close()

    def sending(self) -> list[Entry]:
        """The entries that somebody is about to send, or is sending."""
        entries = [entry for entry in rows(self.harness.journal) if entry.state in SUBMITTING]
        return [entry for entry in entries if entry.owner and entry.lease_until > time.time()]

    def settle(self, key: Key) -> None:
        if self.prompt(key) not in {entry.prompt for entry in rows(self.harness.journal)}:
            return
        before = self.harness.posts
        try:
            found = run(self.harness.service.submit(ask(self.prompt(key)), take=key[1]))
        except SubmitUnknown:
            assert self.harness.posts == before
        else:
            assert self.harness.posts == before + (not found.reused)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Money]]:
    """The state machine at a gateway, with two processes to begin with."""
    shorten(monkeypatch)
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.1, height=64) as gateway:
        spare = [Worker() for _ in range(3)]
        given = {"gateway": gateway, "folder": tmp_path, "spare": spare}
        given |= {"numbers": itertools.count(), "failures": []}
        given |= {"submit_faults": dealt(SUBMIT_FAULTS), "later_faults": dealt(LATER_FAULTS)}
        try:
            yield type("MoneyHere", (Money,), given)
        finally:
            for worker in spare:
                worker.close()


def run_machine(machine: type[Money], budget: settings) -> None:
    """Run stories. A failure is reported as the first one that was seen."""
    try:
        run_stories(machine, settings=budget)
    except BaseException:
        if machine.failures:
            pytest.fail(machine.failures[0])
        raise


@pytest.mark.slow
def test_nothing_is_lost_or_paid_twice_in_any_story(machine: type[Money]) -> None:
    """After every step, each charge is in the journal under its id or as a possible charge. No
    request is paid twice unless its task failed or was forgotten. The key is in no file."""
    run_machine(machine, BUDGET)
