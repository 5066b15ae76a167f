"""The journal: what states a row goes through, and who may move it."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.errors import JournalError
from pika_api.journal import LEASE, REUSABLE, SUBMITTING, Journal, State
from pika_api.settings import sqlite_url
from support.api import Clock, claim_in_process, intent


def sent(journal: Journal, fingerprint: str = "f" * 64, owner: str = "me") -> int:
    """A row that is on the wire."""
    entry, mine = journal.claim(intent(fingerprint), owner)
    assert mine
    assert journal.mark_sent(entry.id, owner)
    return entry.id


def submitted(journal: Journal, fingerprint: str = "f" * 64, task_id: str = "t-1") -> int:
    """A row with a task."""
    number = sent(journal, fingerprint)
    journal.mark_submitted(number, task_id)
    return number


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    """Making a journal makes no folder: importing a pack does no work."""
    Journal(sqlite_url(tmp_path / "home")).close()
    assert not (tmp_path / "home").exists()


def test_a_row_goes_all_the_way(journal: Journal, clock: Clock) -> None:
    """intended, sent, submitted, running, finished, saved: each with its time and values."""
    entry, mine = journal.claim(intent(node_id="7", prompt_id="p"), "me")
    assert mine
    assert (entry.state, entry.owner, entry.created_at) == (State.INTENDED, "me", clock.now)
    assert (entry.node_id, entry.prompt_id) == ("7", "p")
    assert entry.lease_until == clock.now + LEASE
    seen = []
    for step in (
        lambda: journal.mark_sent(entry.id, "me"),
        lambda: journal.mark_submitted(entry.id, "t-1"),
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


def test_another_claim_finds_the_row(journal: Journal) -> None:
    """Whatever state a task is in, the same request is that task."""
    number = submitted(journal)
    for step in (
        str,
        lambda: journal.mark_running(number, 1),
        lambda: journal.mark_finished(number, "u"),
        lambda: journal.mark_saved(number, Path("x")),
    ):
        step()
        entry, mine = journal.claim(intent(), "other")
        assert (entry.id, mine) == (number, False)
        assert entry.state in REUSABLE


def test_states_do_not_go_back(journal: Journal) -> None:
    """A late reading of the feed changes nothing that is further on."""
    number = submitted(journal)
    journal.mark_finished(number, "u")
    journal.mark_running(number, 5)
    journal.mark_failed(number, "no")
    journal.mark_rejected(number, "me", "no")
    journal.mark_unknown(number, "no")
    assert journal.get(number).state is State.FINISHED
    journal.mark_saved(number, Path("x"))
    journal.mark_finished(number, "u2")
    assert journal.get(number).state is State.SAVED
    assert journal.get(number).result_url == "u2"


@pytest.mark.parametrize(
    ("end", "given"), [("mark_rejected", ("me", "why")), ("mark_failed", ("why",)), ("forget", ())]
)
def test_an_end_gives_the_claim_free(journal: Journal, end: str, given: tuple[str, ...]) -> None:
    """Refused, failed or forgotten: the same request is a new task, and the old row stays."""
    number = submitted(journal) if end != "mark_rejected" else sent(journal)
    getattr(journal, end)(number, *given)
    entry, mine = journal.claim(intent(), "me")
    assert mine
    assert entry.id != number
    assert journal.get(number).last_error == ("" if end == "forget" else "why")
    assert journal.count_released(None) == journal.count_released(intent().prompt) == 1
    assert journal.count_released("another prompt") == 0


def test_unknown_keeps_its_claim_until_it_is_forgotten(journal: Journal) -> None:
    """Nobody sends it again by accident."""
    number = sent(journal)
    journal.mark_unknown(number, "reset")
    entry, mine = journal.claim(intent(), "other")
    assert (entry.id, entry.state, mine) == (number, State.UNKNOWN, False)
    journal.forget(number)
    assert journal.claim(intent(), "other")[1]


def test_a_late_id_settles_an_unknown(journal: Journal) -> None:
    """The answer came after somebody gave it up: the task is found again."""
    number = sent(journal)
    journal.mark_unknown(number, "given up")
    journal.mark_submitted(number, "t-9")
    entry, mine = journal.claim(intent(), "other")
    assert (entry.task_id, entry.state, mine) == ("t-9", State.SUBMITTED, False)


def test_an_id_without_a_row_is_an_error(journal: Journal) -> None:
    """It names the task, which would be lost otherwise."""
    with pytest.raises(JournalError, match="t-1"):
        journal.mark_submitted(99, "t-1")


def test_unsent_stays_its_owners(journal: Journal) -> None:
    """After a 429 the row waits for its owner's next try, and for nobody else."""
    number = sent(journal)
    journal.mark_unsent(number, "other", "x")
    assert journal.get(number).state is State.SENT
    journal.mark_unsent(number, "me", "busy")
    assert journal.get(number).state is State.INTENDED
    assert not journal.mark_sent(number, "other")
    assert journal.mark_sent(number, "me")
    assert not journal.mark_sent(number, "me")


def test_a_dead_owners_intent_is_taken_over_once(journal: Journal, clock: Clock) -> None:
    """Never sent, and its lease is over: one of those who see that may send it."""
    entry, _ = journal.claim(intent(), "dead")
    clock.now += LEASE
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: journal.claim(intent(), f"heir-{n}"), range(8)))
    (heir,) = [row for row, mine in found if mine]
    assert heir.id == entry.id
    assert not journal.mark_sent(entry.id, "dead")
    assert journal.mark_sent(entry.id, str(heir.owner))


def test_a_dead_owners_post_is_unknown(journal: Journal, clock: Clock) -> None:
    """It was on the wire when its process ended: nobody sends it again."""
    number = sent(journal, owner="dead")
    clock.now += LEASE - 0.1
    assert journal.claim(intent(), "me")[0].state in SUBMITTING
    clock.now += 0.2
    entry, mine = journal.claim(intent(), "me")
    assert (entry.id, entry.state, mine) == (number, State.UNKNOWN, False)
    assert "process that sent it ended" in entry.last_error


def test_a_renewed_lease_holds(journal: Journal, clock: Clock) -> None:
    """Whoever is at work keeps his row."""
    sent(journal, owner="me")
    for _ in range(5):
        clock.now += LEASE - 1
        journal.renew_leases(["me"])
    assert journal.claim(intent(), "other")[0].state is State.SENT


def test_a_lease_is_held_by_one(journal: Journal, clock: Clock) -> None:
    """Free, held, again by its holder, given back, lapsed."""
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


def test_rows_come_newest_first(journal: Journal, clock: Clock) -> None:
    """By time, then by number; by state; without what was forgotten unless asked."""
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


def test_a_task_from_elsewhere_is_adopted_once(journal: Journal) -> None:
    """An id that another machine submitted gets one row, however many ask."""
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: journal.adopt("t-x", "https://a", "k"), range(16)))
    assert len({row.id for row in rows}) == 1
    assert rows[0].state is State.SUBMITTED
    number = submitted(journal)
    assert journal.adopt("t-1", "https://a", "k").id == number
    assert journal.find_by_task_id("absent") is None


def test_a_huge_take_and_any_prompt_are_kept(journal: Journal) -> None:
    """ComfyUI's seeds have 64 bits; prompts have quotes, emoji and lines."""
    prompt = "'\"; DROP TABLE pika_tasks; -- 🍎\n\0"
    entry, _ = journal.claim(intent(take=2**64 - 1, prompt=prompt, request={"a": prompt}), "me")
    assert entry.take == 2**64 - 1
    assert entry.prompt == prompt
    assert entry.request == {"a": prompt}


def test_sixteen_threads_one_winner(tmp_path: Path) -> None:
    """Identical twins in one process, each with the file not even there yet."""
    journal = Journal(sqlite_url(tmp_path / "new"))
    barrier = threading.Barrier(16)

    def claim(number: int) -> tuple[int, bool]:
        barrier.wait()
        entry, mine = journal.claim(intent(), f"owner-{number}")
        return entry.id, mine

    try:
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(claim, range(16)))
    finally:
        journal.close()
    assert [mine for _, mine in found].count(True) == 1
    assert len({number for number, _ in found}) == 1


@pytest.mark.slow
def test_four_processes_one_winner(tmp_path: Path) -> None:
    """The same across processes, with a journal that is there, and with one all of them make."""
    # Many new ones: «database is locked» came in one of a hundred.
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
    found = [answers.get(timeout=60) for _ in range(4 * len(urls))]
    for worker in workers:
        worker.join(30)
    answers.close()
    assert [error for *_, error in found] == [""] * len(found)
    for url, folder in zip(urls, folders, strict=True):
        assert [mine for where, mine, _ in found if where == url].count(True) == 1
        with closing(sqlite3.connect(folder / "journal.sqlite3")) as database:
            assert database.execute("SELECT count(*) FROM pika_tasks").fetchone() == (1,)
            assert database.execute("SELECT version FROM pika_schema").fetchall() == [(2,)]
