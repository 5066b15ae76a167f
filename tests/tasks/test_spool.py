"""The second place on disk: a paid id that the journal does not take is never lost."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import JournalError, SubmitUnknown
from pika_api.journal import Entry, Journal, State
from pika_api.settings import sqlite_url
from pika_api.tasks import Service, ServicePolicy
from support.api import Clock, ServiceHarness, ask, run

SPOOL = "journal.sqlite3-spool"


class FailingJournal(Journal):
    """A journal that takes no task ids while `failing` is set: the disk is full, for example."""

    def __init__(self, home: Path) -> None:
        super().__init__(sqlite_url(home))
        self.failing = threading.Event()

    def record_task(self, entry: Entry, task_id: str) -> Entry:
        if self.failing.is_set():
            raise JournalError("database or disk is full")
        return super().record_task(entry, task_id)


@pytest.fixture
def journal(harness: ServiceHarness) -> Iterator[FailingJournal]:
    """The journal of `service`."""
    harness.policy = ServicePolicy(record_retries=(0.01,))
    journal = FailingJournal(harness.home)
    yield journal
    journal.close()


@pytest.fixture
def service(harness: ServiceHarness, journal: FailingJournal) -> Service:
    """A service whose journal can fail."""
    return harness.another(journal=journal)


def records(home: Path) -> list[Path]:
    """The files of the spool that contain a task."""
    return [path for path in (home / SPOOL).glob("*") if path.read_bytes().strip()]


def submit_and_fail(service: Service, journal: FailingJournal, take: int = 0) -> JournalError:
    """Pay for a task whose id the journal does not take."""
    journal.failing.set()
    with pytest.raises(JournalError) as caught:
        run(service.submit(ask(), take=take))
    journal.failing.clear()
    return caught.value


def test_id_is_in_the_spool_and_in_the_error(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """One private file in a private folder. The error names the id and the file, and says that the
    same workflow uses the task."""
    error = submit_and_fail(service, journal)
    (task_id,) = harness.gateway.charged
    (path,) = records(harness.home)
    assert error.charged
    for words in (task_id, str(path), "queue the same workflow again"):
        assert words in str(error)
    assert task_id in path.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_same_process_reuses_the_task(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """Its next submit records the id first. The spool is empty afterwards."""
    submit_and_fail(service, journal)
    found = run(service.submit(ask()))
    assert ([found.task_id], found.reused) == (harness.gateway.charged, True)
    assert harness.posts == 1
    assert records(harness.home) == []


def test_nothing_is_sent_while_the_journal_fails(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The same request, and another one: an error, no POST."""
    submit_and_fail(service, journal)
    submit_and_fail(service, journal)
    submit_and_fail(service, journal, take=1)
    assert harness.posts == 1


def test_next_process_records_the_task_at_its_start(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """This process ended. The first use of the journal in another one, a list, records the id."""
    submit_and_fail(service, journal)
    journal.close()
    with closing(Journal(sqlite_url(harness.home))) as other:
        (entry,) = other.entries()
        assert (entry.state, [entry.task_id]) == (State.SUBMITTED, harness.gateway.charged)
    assert records(harness.home) == []
    assert run(harness.another().submit(ask())).reused
    assert harness.posts == 1


def test_other_process_that_is_open_records_the_task(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """It was open before, and wants the same request after the lease has lapsed: no "unknown"."""
    with closing(Journal(sqlite_url(harness.home), Clock(4e9))) as other:
        assert other.entries() == []
        submit_and_fail(service, journal)
        found = run(harness.another(journal=other).submit(ask()))
        assert ([found.task_id], found.reused) == (harness.gateway.charged, True)


def test_task_of_a_replaced_journal_is_recorded_in_the_new_one(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The failing journal was moved away, and a new one takes its place."""
    submit_and_fail(service, journal)
    journal.close()
    for path in harness.home.glob("journal.sqlite3*"):
        if path.is_file():
            path.rename(path.with_name(f"old-{path.name}"))
    found = run(harness.another().submit(ask()))
    assert ([found.task_id], found.reused, harness.posts) == (harness.gateway.charged, True, 1)
    (entry,) = harness.another().journal.entries()
    assert (entry.prompt, entry.request["promptText"]) == (ask().prompt_text, ask().prompt_text)


def test_record_without_room_for_the_prompt_is_read(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The disk was full, or the process was killed, while the second line was written."""
    submit_and_fail(service, journal)
    journal.close()
    (path,) = records(harness.home)
    first, second, _ = path.read_bytes().split(b"\n")
    assert json.loads(second)["entry"]["prompt"]
    for torn in (first + b"\n", first + b"\n" + second[:-20], first + b"\n" + b" " * 3000):
        path.write_bytes(torn)
        with closing(Journal(sqlite_url(harness.home))) as other:
            assert [entry.task_id for entry in other.entries()] == harness.gateway.charged


def test_first_line_fits_into_the_reserved_room(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The prompt may be of any length: the id is written into blocks that the disk has given."""
    journal.failing.set()
    with pytest.raises(JournalError):
        run(service.submit(ask("long " * 20_000)))
    (path,) = records(harness.home)
    assert len(path.read_bytes().split(b"\n")[0]) < 4096


def test_without_room_for_the_spool_nothing_is_sent(harness: ServiceHarness) -> None:
    """The room is taken before the request leaves. The error names the folder."""
    harness.home.mkdir(parents=True)
    (harness.home / SPOOL).write_text("in the way")
    with pytest.raises(JournalError, match=SPOOL) as caught:
        harness.submit()
    assert "Nothing was sent" in str(caught.value)
    assert harness.posts == 0
    (harness.home / SPOOL).unlink()
    assert harness.submit() in harness.gateway.charged


def test_spool_that_fails_after_the_charge_keeps_the_id_in_memory(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """Neither place on disk works: until the process ends, the same request uses the task."""
    harness.gateway.fault("submit", delay=0.5)

    def remove() -> None:
        while not (found := list((harness.home / SPOOL).glob("*"))):
            pass
        found[0].unlink()
        (harness.home / SPOOL).rmdir()

    remover = threading.Thread(target=remove)
    remover.start()
    error = submit_and_fail(service, journal)
    remover.join()
    assert "until this process ends" in str(error)
    found = run(service.submit(ask()))
    assert ([found.task_id], found.reused, harness.posts) == (harness.gateway.charged, True, 1)


def test_empty_records_are_deleted_at_the_end(harness: ServiceHarness) -> None:
    """A journal that worked leaves no files behind; several requests at once share a few."""
    for take in range(3):
        harness.submit(take=take)
    assert len(list((harness.home / SPOOL).glob("*"))) == 1
    harness.close()
    assert list((harness.home / SPOOL).glob("*")) == []


def test_unknown_is_still_unknown(harness: ServiceHarness, service: Service) -> None:
    """A request without an answer leaves no record, and is not resolved by one of another."""
    harness.gateway.fault("submit", reset=True, accept=True)
    for _ in range(2):
        with pytest.raises(SubmitUnknown):
            run(service.submit(ask()))
    assert records(harness.home) == []
    assert harness.posts == 1
