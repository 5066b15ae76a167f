"""The second place on disk: a paid id that the journal does not take is never lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import JournalError, SubmitUnknown
from pika_api.journal import Entry, Journal, State
from pika_api.journal.spool import Record, Spool
from pika_api.settings import sqlite_url
from pika_api.tasks import Service, ServicePolicy, Submitted
from support.api import Clock, ServiceHarness, ask, run
from support.waiting import until

SPOOL = "journal.sqlite3-spool"
#: Size of an empty record.
RESERVED = 8192


class FailingJournal(Journal):
    """A journal that takes no task ids while `failing` is set: the disk is full, for example."""

    def __init__(self, home: Path) -> None:
        super().__init__(sqlite_url(home))
        self.failing = threading.Event()
        self.error: Exception = JournalError("database or disk is full")

    def record_task(self, entry: Entry, task_id: str) -> Entry:
        if self.failing.is_set():
            raise self.error
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


def test_id_is_kept_if_the_rest_does_not_fit(tmp_path: Path) -> None:
    """The disk is full when the second line is written: that is no error, since the id is safe."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of a file")
    value = a_record()
    spool = Spool(tmp_path)
    with spool.reserve() as slot:
        assert slot is not None
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * RESERVED, limits[1]))
        try:
            slot.write("t-7", value["entry"], {"prompt": "x" * 3 * RESERVED})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (record,) = Spool(tmp_path).records(all_files=True)
    assert (record.task_id, record.entry) == ("t-7", value["entry"])


def test_removed_record_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From the memory of this process and from the disk. Another process may have deleted the file
    already, which needs no warning."""
    spool = Spool(tmp_path)
    with spool.reserve() as slot:
        spool.add(slot, "t-7", a_record()["entry"], {})
    (record,) = spool.records(all_files=True)
    assert spool.has_own
    for _ in range(2):
        spool.remove(record)
        assert not spool.has_own
        assert spool.records(all_files=True) == []
    assert caplog.text == ""


def test_empty_record_that_was_deleted_is_replaced(tmp_path: Path) -> None:
    """A user may empty the folder: the next request reserves room again."""
    spool = Spool(tmp_path)
    with spool.reserve() as slot:
        assert slot is not None
    slot.path.unlink()
    with spool.reserve() as other:
        assert other is not None
        assert other.path.stat().st_size == RESERVED


def test_empty_record_of_another_process_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    """Until then that process may be sending a request."""
    month = 30 * 24 * 3600
    for name, age in (("new", 0), ("young", month - 60), ("old", month + 60)):
        (tmp_path / f"{name}.json").write_bytes(b" " * RESERVED)
        os.utime(tmp_path / f"{name}.json", (time.time() - age,) * 2)
    assert Spool(tmp_path).records(all_files=True) == []
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["new", "young"]


def test_damaged_record_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may be of a paid task. No other one is."""
    (tmp_path / "sound.json").write_text(json.dumps(a_record()))
    (tmp_path / "empty.json").write_bytes(b" " * RESERVED)
    (tmp_path / "torn.json").write_bytes(b"{")
    assert len(Spool(tmp_path).records(all_files=True)) == 1
    (logged,) = caplog.records
    assert logged.levelname == "WARNING"
    assert str(tmp_path / "torn.json") in logged.message


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
    harness.gateway.fault("submit", delay=1.0)

    def remove() -> None:
        until(lambda: harness.posts, what="the POST, before which the record is created")
        shutil.rmtree(harness.home / SPOOL)

    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove)
        error = submit_and_fail(service, journal)
        removed.result()
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


@pytest.mark.parametrize(
    "error", [OSError(5, "I/O error"), MemoryError(), OverflowError("too large"), RuntimeError()]
)
def test_id_is_kept_whatever_the_journal_raises(
    harness: ServiceHarness, service: Service, journal: FailingJournal, error: Exception
) -> None:
    """Not only errors of the database: the answer with the id comes once."""
    journal.error = error
    assert harness.gateway.charged == []
    assert submit_and_fail(service, journal).charged
    assert len(records(harness.home)) == 1
    found = run(service.submit(ask()))
    assert ([found.task_id], found.reused, harness.posts) == (harness.gateway.charged, True, 1)


def test_first_line_fits_whatever_is_long(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """Not only the prompt: ComfyUI takes prompt ids of any length, a gateway's words of an earlier
    attempt may be Chinese, and an id may have 255 characters of any kind."""
    busy = {"error": {"message": "\u989d" * 600}}
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "0"}, body=busy)
    accepted = {"id": "t" + "\U0001d54f" * 254}
    harness.gateway.fault("submit", body=accepted, accept=True)
    journal.failing.set()
    with pytest.raises(JournalError):
        run(service.submit(ask(), prompt_id="p" * 5000, node_id="7:" * 2000))
    (path,) = records(harness.home)
    first, second, _ = path.read_bytes().split(b"\n")
    assert len(first) < RESERVED
    assert json.loads(first)["task_id"] == accepted["id"]
    assert json.loads(second)["entry"]["prompt_id"] == "p" * 5000


def a_record(**changes: object) -> dict[str, Any]:
    """A record of a task that the journal does not have."""
    entry: dict[str, Any] = dict.fromkeys(
        ("prompt", "node_id", "prompt_id", "result_url", "file_path"), ""
    )
    entry |= {"id": 7, "state": "sent", "fingerprint": "a" * 64, "owner": None, "task_id": None}
    entry |= {"base_url": "https://api.gpt.ge", "key_id": "k", "take": "0", "request": "{}"}
    entry |= {"lease_until": 1.0, "created_at": 1.0, "sent_at": 1.0, "last_error": ""}
    entry |= dict.fromkeys(("submitted_at", "finished_at", "saved_at", "forgotten_at"))
    entry |= {"progress": 0, "changed_at": 1.0, "revision": 1}
    return {"task_id": "t-7", "entry": {**entry, **changes}}


DAMAGED: dict[str, object] = {
    "no entry": {"task_id": "t-7"},
    "empty entry": {"task_id": "t-7", "entry": {}},
    "text as entry": {"task_id": "t-7", "entry": "id"},
    "a list": [],
    "a number": 7,
    "no id": {**a_record(), "task_id": None},
    "a long id": {**a_record(), "task_id": "t" * 300},
    "markup in the id": {**a_record(), "task_id": "<b>"},
    "state of another version": a_record(state="paused"),
    "row that is no number": a_record(id="7"),
    "row too large for SQLite": a_record(id=2**63),
    "address that is no text": a_record(base_url=7),
    "fingerprint that is no text": a_record(fingerprint=[1]),
    "time that is no number": a_record(created_at=float("nan")),
    "time that is a truth value": a_record(created_at=True),
    "take that is no number": a_record(take="first"),
    "request that is no JSON": a_record(request="{"),
    "half a character": a_record(prompt="\ud83d"),
}


@pytest.mark.parametrize(
    "content",
    [
        *(json.dumps(value).encode() for value in DAMAGED.values()),
        b"[" * 200_000,
        b"\0" * 4096,
        b"\xff\xfe" * 2000,
        b"{",
    ],
    ids=[*DAMAGED, "nested deeply", "zeros", "not UTF-8", "torn"],
)
def test_damaged_record_does_not_stop_the_journal(harness: ServiceHarness, content: bytes) -> None:
    """It stays where it is, and a sound record beside it is recorded."""
    spool = harness.home / SPOOL
    spool.mkdir(parents=True)
    (spool / "a.json").write_bytes(content)
    (spool / "b.json").write_text(json.dumps(a_record(id=2**63 - 1) | {"task_id": "t-8"}))
    (spool / "c.json").mkdir()
    assert [entry.task_id for entry in harness.journal.entries()] == ["t-8"]
    assert harness.submit() in harness.gateway.charged
    assert sorted(path.name for path in spool.glob("[a-c].json")) == ["a.json", "c.json"]


class ReadOnlySpool(Spool):
    """The folder belongs to another user: its records can be read, but not deleted."""

    def remove(self, record: Record) -> None:
        pass


def test_record_that_cannot_be_deleted_does_not_stop_the_journal(harness: ServiceHarness) -> None:
    """It is recorded once, however often it is found. An unknown request, which looks into the
    spool, gets its answer at once."""
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        harness.submit()
    (harness.home / SPOOL / "stays.json").write_text(json.dumps(a_record()))
    with closing(Journal(sqlite_url(harness.home))) as journal:
        journal._spool = ReadOnlySpool(harness.home / SPOOL)
        service = harness.another(journal=journal)
        for _ in range(2):
            with pytest.raises(SubmitUnknown):
                run(asyncio.wait_for(service.submit(ask()), 20))
        assert len(journal.entries()) == 2
    assert harness.posts == 1


def test_ids_are_recorded_before_a_claim_if_not_when_the_journal_was_opened(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The journal was lost, and the disk is still full at the start of the next process: the
    journal can be read. The request is not sent until the id is recorded."""
    submit_and_fail(service, journal)
    service.close()  # nothing in the background opens the journal again
    journal.close()
    (harness.home / "journal.sqlite3").unlink()
    later = FailingJournal(harness.home)
    with closing(later):
        later.failing.set()
        assert later.entries() == []
        other = harness.another(journal=later)
        with pytest.raises(JournalError):
            run(other.submit(ask()))
        later.failing.clear()
        assert run(other.submit(ask())).reused
    assert harness.posts == 1


def test_task_that_was_used_by_hand_first_is_found_by_its_request(
    harness: ServiceHarness, service: Service, journal: FailingJournal
) -> None:
    """The journal was lost, and the user gave the id to Pika Result before the spool was read: one
    entry, which the request reuses."""
    submit_and_fail(service, journal)
    (task_id,) = harness.gateway.charged
    service.close()  # nothing in the background opens the journal again
    journal.close()
    (harness.home / "journal.sqlite3").unlink()
    later = FailingJournal(harness.home)
    with closing(later):
        later.failing.set()
        other = harness.another(journal=later)
        run(other.collect(task_id))
        later.failing.clear()
        assert run(other.submit(ask())) == Submitted(task_id, reused=True)
        (entry,) = later.entries()
        assert (entry.state, entry.prompt) == (State.SAVED, ask().prompt_text)
        assert len(later.entries(forgotten=True)) == 2


def test_journal_of_another_gateway_gets_its_own_record(harness: ServiceHarness) -> None:
    """Two gateways may use the same id: each record becomes a task of its own gateway."""
    spool = harness.home / SPOOL
    spool.mkdir(parents=True)
    for name, url in (("a", "https://a.example"), ("b", "https://b.example/v1")):
        record = a_record(base_url=url, fingerprint=name * 64)
        (spool / f"{name}.json").write_text(json.dumps(record))
    gateways = {(entry.task_id, entry.base_url) for entry in harness.journal.entries()}
    assert gateways == {("t-7", "https://a.example"), ("t-7", "https://b.example/v1")}
