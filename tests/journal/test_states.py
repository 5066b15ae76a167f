"""The journal: the states of an entry, and claims on the same request."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pika_api.errors import InvalidInput
from pika_api.journal import (
    LEASE,
    REUSABLE,
    SCHEMA_VERSION,
    SUBMITTING,
    Claim,
    Entry,
    Intent,
    Journal,
    State,
)
from pika_api.settings import sqlite_url
from support.api import Clock, claim_in_process, intent


def sent(journal: Journal, fingerprint: str = "f" * 64, owner: str = "me") -> int:
    """The number of an entry that is being sent."""
    claim = journal.claim(intent(fingerprint), owner)
    assert claim.acquired
    assert journal.mark_sent(claim.entry.id, owner)
    return claim.entry.id


def submitted(journal: Journal, fingerprint: str = "f" * 64, task_id: str = "t-1") -> int:
    """The number of an entry with a task."""
    number = sent(journal, fingerprint)
    journal.record_task(journal.get(number), task_id)
    return number


def test_journal_is_opened_at_its_first_use(tmp_path: Path) -> None:
    """Creating the object creates no folder: importing the pack does no work."""
    Journal(sqlite_url(tmp_path / "home")).close()
    assert not (tmp_path / "home").exists()


def test_entry_goes_through_all_states(journal: Journal, clock: Clock) -> None:
    """intended, sent, submitted, running, finished, saved: each with its time and values."""
    claim = journal.claim(intent(node_id="7", prompt_id="p"), "me")
    entry = claim.entry
    assert claim.acquired
    assert (entry.state, entry.owner, entry.created_at) == (State.INTENDED, "me", clock.now)
    assert (entry.node_id, entry.prompt_id) == ("7", "p")
    assert entry.lease_until == clock.now + LEASE
    seen = []
    for step in (
        lambda: journal.mark_sent(entry.id, "me"),
        lambda: journal.record_task(journal.get(entry.id), "t-1"),
        lambda: journal.mark_running(entry.id, 40),
        lambda: journal.mark_finished(entry.id, "https://cdn/x"),
        lambda: journal.mark_saved(entry.id, Path("/out/x.mp4")),
    ):
        clock.now += 1
        step()
        seen.append(journal.get(entry.id))
    assert [row.state.value for row in seen] == [
        "sent", "submitted", "running", "finished", "saved",
    ]  # fmt: skip
    last = seen[-1]
    assert (last.sent_at, last.submitted_at, last.finished_at, last.saved_at) == (
        entry.created_at + 1, entry.created_at + 2, entry.created_at + 4, entry.created_at + 5,
    )  # fmt: skip
    assert (last.task_id, last.progress, last.result_url, last.file_path) == (
        "t-1", 100, "https://cdn/x", "/out/x.mp4",
    )  # fmt: skip
    assert seen[1].owner is None


def test_identical_request_reuses_the_task(journal: Journal) -> None:
    """Whatever state the task is in."""
    number = submitted(journal)
    for step in (
        str,
        lambda: journal.mark_running(number, 1),
        lambda: journal.mark_finished(number, "u"),
        lambda: journal.mark_saved(number, Path("x")),
    ):
        step()
        claim = journal.claim(intent(), "other")
        assert (claim.entry.id, claim.acquired) == (number, False)
        assert claim.entry.state in REUSABLE


def test_states_do_not_go_back(journal: Journal) -> None:
    """An answer of the feed that comes late changes nothing."""
    number = submitted(journal)
    journal.mark_finished(number, "u")
    journal.mark_running(number, 5)
    journal.mark_failed(number, "no")
    journal.mark_rejected(number, "me", "no")
    journal.mark_unknown(number, "me", "no")
    assert journal.get(number).state is State.FINISHED
    journal.mark_saved(number, Path("x"))
    journal.mark_finished(number, "u2")
    assert journal.get(number).state is State.SAVED
    assert journal.get(number).result_url == "u2"


@pytest.mark.parametrize(
    ("end", "arguments"),
    [("mark_rejected", ("me", "why")), ("mark_failed", ("why",)), ("forget", ())],
)
def test_end_releases_the_claim(journal: Journal, end: str, arguments: tuple[str, ...]) -> None:
    """Rejected, failed or forgotten: the same request is a new task, and the old entry stays."""
    number = submitted(journal) if end != "mark_rejected" else sent(journal)
    getattr(journal, end)(number, *arguments)
    claim = journal.claim(intent(), "me")
    assert claim.acquired
    assert claim.entry.id != number
    assert journal.get(number).last_error == ("" if end == "forget" else "why")
    assert journal.count_released(None) == journal.count_released(intent().prompt) == 1
    assert journal.count_released("another prompt") == 0


def test_unknown_keeps_its_claim_until_it_is_forgotten(journal: Journal) -> None:
    """It is not sent again by accident."""
    number = sent(journal)
    journal.mark_unknown(number, "me", "reset")
    claim = journal.claim(intent(), "other")
    assert (claim.entry.id, claim.entry.state) == (number, State.UNKNOWN)
    assert (claim.entry.last_error, claim.entry.answer) == ("reset", "")
    assert not claim.acquired
    journal.forget(number)
    assert journal.claim(intent(), "other").acquired


def test_late_id_settles_an_unknown(journal: Journal) -> None:
    """The answer came after the entry was given up: the task is reused."""
    number = sent(journal)
    journal.mark_unknown(number, "me", "given up")
    journal.record_task(journal.get(number), "t-9")
    claim = journal.claim(intent(), "other")
    assert (claim.entry.task_id, claim.entry.state) == ("t-9", State.SUBMITTED)
    assert not claim.acquired


@pytest.mark.parametrize("state", ["gone", "of another request", "refused", "of another task"])
def test_task_whose_row_does_not_wait_gets_a_row_of_its_own(journal: Journal, state: str) -> None:
    """The journal was replaced by another one, or the row has ended: the paid id is not lost, and
    no other row gets it. It answers for its request if nothing else does."""
    entry = journal.get(sent(journal, "a"))
    if state == "gone":
        entry = replace(entry, id=99, fingerprint="c")
    if state == "of another request":
        entry = replace(entry, fingerprint="c")
    if state == "refused":
        journal.mark_rejected(entry.id, "me", "no")
    if state == "of another task":
        journal.record_task(entry, "t-0")
    before = journal.find_by_id(1)
    recorded = journal.record_task(entry, "t-1")
    assert journal.find_by_id(1) == before
    assert (recorded.state, recorded.task_id) == (State.SUBMITTED, "t-1")
    assert recorded.prompt == entry.prompt
    assert recorded.submitted_at is not None
    assert journal.record_task(entry, "t-1") == recorded
    claim = journal.claim(intent(entry.fingerprint or ""), "other")
    assert not claim.acquired
    assert claim.entry.task_id == ("t-0" if state == "of another task" else "t-1")


@pytest.mark.parametrize("holder", [False, True])
def test_own_row_of_a_task_holds_the_request_if_nothing_else_does(
    journal: Journal, holder: bool
) -> None:
    """Its fingerprint is claimed in the transaction that records the task."""
    entry = replace(journal.get(sent(journal, "a")), id=99, fingerprint="c")
    if holder:
        sent(journal, "c")
    journal.record_task(entry, "t-1")
    assert journal.count_released(None) == holder


@pytest.mark.parametrize("late", [-0.1, 0.0], ids=["lease holds", "lease has lapsed"])
def test_request_of_a_dead_owner_is_settled(journal: Journal, clock: Clock, late: float) -> None:
    """One that is still being sent is not: its answer may be on the way."""
    number = sent(journal)
    clock.now += LEASE + late
    if late:
        with pytest.raises(InvalidInput, match="does not wait"):
            journal.settle(number, "t-1")
        assert journal.get(number).state is State.SENT
    else:
        settled = journal.settle(number, "t-1")
        assert (settled.state, settled.task_id) == (State.SUBMITTED, "t-1")


def test_entry_is_restored_from_its_row(journal: Journal) -> None:
    """The row has JSON values only, and no others than the entry."""
    entry = journal.get(submitted(journal))
    row = entry.as_row()
    assert Entry.of(json.loads(json.dumps(row))) == entry
    assert {type(row[name]) for name in ("state", "take", "request")} == {str}
    assert set(row) == set(asdict(entry))


@pytest.mark.parametrize("is_sent", [False, True])
def test_task_of_another_file_is_taken_by_the_request_that_waits(
    journal: Journal, is_sent: bool
) -> None:
    """The journal was replaced after the POST, and the same request is in the new one: it is not
    sent any more. Once it is sent, it may become a task of its own, which needs its row."""
    entry = replace(journal.get(sent(journal, "a")), id=99, fingerprint="c")
    waiting = journal.claim(intent("c"), "other").entry.id
    if is_sent:
        journal.mark_sent(waiting, "other")
    recorded = journal.record_task(entry, "t-1")
    assert (recorded.id == waiting, recorded.task_id) == (not is_sent, "t-1")
    assert journal.get(waiting).state is (State.SENT if is_sent else State.SUBMITTED)
    assert not journal.mark_sent(waiting, "other")


def test_own_row_of_a_task_gets_what_is_known_of_it(journal: Journal) -> None:
    """The id was used by hand before it was recorded for its request."""
    twin = journal.adopt("t-1", intent().base_url, "k").id
    journal.mark_finished(twin, "https://a/b.mp4")
    entry = replace(journal.get(sent(journal, "a")), id=99, fingerprint="c")
    recorded = journal.record_task(entry, "t-1")
    assert (recorded.state, recorded.result_url) == (State.FINISHED, "https://a/b.mp4")
    assert journal.get(twin).forgotten_at is not None


@pytest.mark.parametrize("known", ["nothing", "progress", "link", "bytes", "file", "failure"])
def test_settled_request_gets_what_is_known_of_its_task(journal: Journal, known: str) -> None:
    """The id was used by hand before, which made another entry. That leaves the list, and the
    request has its state: a failed task releases it."""
    number = sent(journal)
    journal.mark_unknown(number, "me", "cut off")
    twin = journal.adopt("t-1", intent().base_url, "k").id
    if known == "progress":
        journal.mark_running(twin, 40)
    if known in ("link", "bytes", "file"):
        journal.mark_finished(twin, "https://a/b.mp4")
    if known in ("bytes", "file"):
        journal.mark_received(twin, "5" * 64)
    if known == "file":
        journal.mark_saved(twin, Path("a.mp4"))
    if known == "failure":
        journal.mark_failed(twin, "moderation")
    settled = journal.settle(number, "t-1")
    has_bytes = known in ("bytes", "file")
    assert (settled.id, settled.task_id) == (number, "t-1")
    assert settled.sha256 == ("5" * 64 if has_bytes else "")
    assert settled.result_url == ("https://a/b.mp4" if has_bytes or known == "link" else "")
    assert settled.file_path == ("a.mp4" if known == "file" else "")
    assert settled.last_error == ("moderation" if known == "failure" else "")
    ends = {"link": State.FINISHED, "bytes": State.FINISHED, "file": State.SAVED}
    ends["failure"] = State.FAILED
    assert settled.state is ends.get(known, State.SUBMITTED)
    assert journal.get(twin).forgotten_at is not None
    assert journal.claim(intent(), "other").acquired == (known == "failure")


def test_id_that_is_recorded_twice_is_recorded_once(journal: Journal) -> None:
    """The answer to a commit was lost: the same id again is the same row."""
    entry = journal.get(sent(journal))
    assert journal.record_task(entry, "t-1") == journal.record_task(entry, "t-1")
    assert len(journal.entries()) == 1


def test_unsent_entry_keeps_its_owner(journal: Journal) -> None:
    """After a 429 it waits for its owner's next attempt, and nobody else sends it."""
    number = sent(journal)
    journal.mark_unsent(number, "other", "x")
    assert journal.get(number).state is State.SENT
    journal.mark_unsent(number, "me", "busy")
    assert journal.get(number).state is State.INTENDED
    assert not journal.mark_sent(number, "other")
    assert journal.mark_sent(number, "me")
    assert not journal.mark_sent(number, "me")


def test_intent_of_a_dead_owner_is_taken_over_once(journal: Journal, clock: Clock) -> None:
    """It was never sent, and its lease has lapsed: one of those who claim it may send it."""
    number = journal.claim(intent(), "dead").entry.id
    clock.now += LEASE
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: journal.claim(intent(), f"heir-{n}"), range(8)))
    (heir,) = [claim.entry for claim in claims if claim.acquired]
    assert heir.id == number
    assert not journal.mark_sent(number, "dead")
    assert journal.mark_sent(number, str(heir.owner))


def test_post_of_a_dead_owner_is_unknown(journal: Journal, clock: Clock) -> None:
    """It was on the wire when its process ended: it is not sent again."""
    number = sent(journal, owner="dead")
    clock.now += LEASE - 0.1
    assert journal.claim(intent(), "me").entry.state in SUBMITTING
    clock.now += 0.2
    claim = journal.claim(intent(), "me")
    assert (claim.entry.id, claim.entry.state) == (number, State.UNKNOWN)
    assert not claim.acquired
    assert "process that sent it ended" in claim.entry.last_error


def test_renewed_lease_holds(journal: Journal, clock: Clock) -> None:
    """A process that is at work keeps its entry."""
    sent(journal, owner="me")
    for _ in range(5):
        clock.now += LEASE - 1
        journal.renew_leases(["me"])
    assert journal.claim(intent(), "other").entry.state is State.SENT


def test_lease_has_one_owner(journal: Journal, clock: Clock) -> None:
    """Free, held, taken again by its owner, released, lapsed."""
    number = submitted(journal)
    assert journal.acquire_lease(number, "one")
    assert not journal.acquire_lease(number, "two")
    assert journal.acquire_lease(number, "one")
    journal.release_lease(number, "two")
    assert not journal.acquire_lease(number, "two")
    journal.release_lease(number, "one")
    assert journal.acquire_lease(number, "two")
    clock.now += LEASE
    assert journal.acquire_lease(number, "one")


def test_entries_come_newest_first(journal: Journal, clock: Clock) -> None:
    """By time, then by number; by state; without forgotten ones unless asked for."""
    numbers = []
    for name in "abc":
        numbers.append(submitted(journal, name, f"t-{name}"))
        clock.now += 1
    numbers.append(sent(journal, "d"))
    assert [row.id for row in journal.entries()] == numbers[::-1]
    assert [row.id for row in journal.entries(limit=1)] == [numbers[3]]
    assert [row.id for row in journal.entries(with_task=True)] == numbers[2::-1]
    assert [row.id for row in journal.entries([State.SENT])] == [numbers[3]]
    journal.forget(numbers[1])
    assert numbers[1] not in [row.id for row in journal.entries()]
    assert numbers[1] in [row.id for row in journal.entries(forgotten=True)]


def test_task_from_elsewhere_is_adopted_once(journal: Journal) -> None:
    """A task that another machine submitted gets one entry, however many threads ask."""
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: journal.adopt("t-x", "https://a", "k"), range(16)))
    assert len({row.id for row in rows}) == 1
    assert rows[0].state is State.SUBMITTED
    number = submitted(journal)
    assert journal.adopt("t-1", "https://API.gpt.ge./", "k").id == number
    assert journal.adopt("t-1", "https://a", "k").id != number
    assert journal.find_by_task_id("absent") is None


def test_huge_take_and_any_prompt_are_stored(journal: Journal) -> None:
    """ComfyUI's seeds have 64 bits; prompts have quotes, emoji, line breaks and NUL."""
    prompt = "'\"; DROP TABLE pika_tasks; -- 🍎\n\0"
    request = intent(take=2**64 - 1, prompt=prompt, request={"a": prompt})
    entry = journal.claim(request, "me").entry
    assert entry.take == 2**64 - 1
    is_postgres = journal.location[0] == "postgresql"  # which has no NUL
    assert entry.prompt == (prompt.replace("\0", "\ufffd") if is_postgres else prompt)
    assert entry.request == {"a": prompt}


def test_claim_that_is_released_meanwhile_is_acquired(tmp_path: Path, clock: Clock) -> None:
    """The entry was there at first and gone later, as can happen on PostgreSQL."""

    class Overlapping(Journal):
        def _settle_lapsed(
            self, connection: sa.Connection, row: sa.RowMapping, request: Intent, owner: str
        ) -> bool:
            assert not super()._settle_lapsed(connection, row, request, owner)
            connection.exec_driver_sql("UPDATE pika_tasks SET claim = NULL, state = 'refused'")
            return False

    with closing(Overlapping(sqlite_url(tmp_path), clock)) as journal:
        first = journal.claim(intent(), "one")
        second = journal.claim(intent(), "two")
        assert (second.acquired, second.entry.state) == (True, State.INTENDED)
        assert second.entry.id != first.entry.id
        assert journal.get(first.entry.id).state is State.REFUSED


def test_one_of_sixteen_threads_acquires_the_claim(tmp_path: Path) -> None:
    """Identical requests in one process, whose file does not exist yet."""
    journal = Journal(sqlite_url(tmp_path / "new"))
    barrier = threading.Barrier(16)

    def claim(number: int) -> Claim:
        barrier.wait()
        return journal.claim(intent(), f"owner-{number}")

    try:
        with ThreadPoolExecutor(16) as pool:
            claims = list(pool.map(claim, range(16)))
    finally:
        journal.close()
    assert [claim.acquired for claim in claims].count(True) == 1
    assert len({claim.entry.id for claim in claims}) == 1


@pytest.mark.slow
def test_one_of_four_processes_acquires_the_claim(tmp_path: Path) -> None:
    """On a journal that exists, and on new ones that all of the processes create."""
    # Several new ones: "database is locked" came in one of a hundred.
    folders = [tmp_path / "there", *(tmp_path / f"new-{number}" for number in range(5))]
    urls = [sqlite_url(folder) for folder in folders]
    with closing(Journal(urls[0])) as journal:
        assert journal.entries() == []
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(4), spawn.Queue()
    workers = [
        spawn.Process(target=claim_in_process, args=(urls, f"p{number}", barrier, answers))
        for number in range(4)
    ]
    for worker in workers:
        worker.start()
    answered = [answers.get(timeout=60) for _ in range(4 * len(urls))]
    for worker in workers:
        worker.join(30)
    answers.close()
    assert [error for *_, error in answered] == [""] * len(answered)
    for url, folder in zip(urls, folders, strict=True):
        assert [acquired for at, acquired, _ in answered if at == url].count(True) == 1
        with closing(sqlite3.connect(folder / "journal.sqlite3")) as database:
            assert database.execute("SELECT count(*) FROM pika_tasks").fetchone() == (1,)
            assert database.execute("SELECT version FROM pika_schema").fetchall() == [
                (SCHEMA_VERSION,)
            ]


def test_best_of_several_rows_of_a_request_answers_for_it(journal: Journal) -> None:
    """Before schema 4 there was one for each key. A task comes first, then what is being sent, then
    what is unknown; among these, the current key, and the newest one."""
    for number, name in enumerate("abcdef"):
        key = "mine" if name in "bd" else "other"
        journal.claim(intent(name, key_id=key), "me")
        journal.mark_sent(number + 1, "me")
        if name in "bcd":
            journal.record_task(journal.get(number + 1), f"t-{name}")
        if name == "f":
            journal.mark_unknown(number + 1, "me", "cut off")
    request = intent("z", key_id="mine")
    for names, best in (("abcdef", 4), ("acef", 3), ("abef", 2), ("aef", 5), ("af", 1), ("f", 6)):
        with journal._database.read() as connection:
            row = journal._claimed(connection, request, list(names))
        assert row is not None
        assert row["id"] == best
