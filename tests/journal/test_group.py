"""Group commit: writers that wait for each other share one write to the disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pika_api.errors import JournalError
from pika_api.journal import Claim, Journal, State
from pika_api.journal.group import NotPrepared, WriterQueue
from pika_api.settings import sqlite_url
from support.api import intent


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(sqlite_url(tmp_path))) as journal:
        journal.entries()
        yield journal


def commits_of(journal: Journal) -> list[str]:
    """The names of the threads that commit from now on."""
    commits: list[str] = []
    engine = journal._database._engine
    sa.event.listen(engine, "commit", lambda _: commits.append(threading.current_thread().name))
    return commits


def at_once(journal: Journal, calls: list[Callable[[], Any]]) -> list[Any]:
    """Run writers that all wait for their turn at the same moment. Their results or errors."""
    waiting = threading.Barrier(len(calls) + 1)

    def run(call: Callable[[], Any]) -> Any:
        waiting.wait(10)
        try:
            return call()
        except (JournalError, LookupError) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        with suppress(JournalError), journal._database.write():
            futures = [pool.submit(run, call) for call in calls]
            waiting.wait(10)
            while journal._database._writers._waiting < len(calls):
                time.sleep(0.001)
        return [future.result(30) for future in futures]


def stored(path: Path) -> int:
    with closing(sqlite3.connect(path / "journal.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM pika_tasks").fetchone()[0])


def test_waiting_writers_are_committed_together(journal: Journal, tmp_path: Path) -> None:
    """Twelve and the one they waited for need one commit. Each row is on the disk when its writer
    returns, as another connection sees it."""
    commits = commits_of(journal)

    def claim(number: int) -> int:
        entry = journal.claim(intent(f"{number:064}"), "me").entry
        with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database:
            query = "SELECT count(*) FROM pika_tasks WHERE id = ?"
            return int(database.execute(query, (entry.id,)).fetchone()[0])

    seen = at_once(journal, [lambda number=number: claim(number) for number in range(12)])
    assert seen == [1] * 12
    assert len(commits) == 1


def test_error_of_one_writer_undoes_only_its_own_part(journal: Journal, tmp_path: Path) -> None:
    """The others of the transaction are recorded; it gets its error."""

    def fail() -> None:
        with journal._database.write() as connection:
            connection.execute(sa.text("DELETE FROM pika_tasks"))
            raise LookupError

    claims = [
        lambda number=number: journal.claim(intent(f"{number:064}"), "me").acquired
        for number in range(6)
    ]
    results = at_once(journal, [*claims[:3], fail, *claims[3:]])
    assert [result for result in results if result is not True] == [results[3]]
    assert isinstance(results[3], LookupError)
    assert stored(tmp_path) == 6


def test_failed_commit_is_an_error_of_every_writer(journal: Journal, tmp_path: Path) -> None:
    """Nobody takes for recorded what is not on the disk. The next write works."""

    def refuse(_connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    engine = journal._database._engine
    claims = [
        lambda number=number: journal.claim(intent(f"{number:064}"), "me") for number in range(4)
    ]
    sa.event.listen(engine, "commit", refuse)
    assert [type(result) for result in at_once(journal, [*claims])] == [JournalError] * 4
    assert stored(tmp_path) == 0
    sa.event.remove(engine, "commit", refuse)
    assert all(claim().acquired for claim in claims)
    assert stored(tmp_path) == 4


def test_transaction_that_sqlite_rolls_back_is_an_error_of_every_writer(
    journal: Journal, tmp_path: Path
) -> None:
    """It does so when the disk is full, for example: then nothing of the others is left either."""

    def lose() -> None:
        with journal._database.write() as connection:
            connection.connection.dbapi_connection.execute("ROLLBACK")  # type: ignore[union-attr]
            raise LookupError

    claims = [
        lambda number=number: journal.claim(intent(f"{number:064}"), "me") for number in range(4)
    ]
    results = at_once(journal, [*claims, lose])
    recorded = [result for result in results if not isinstance(result, Exception)]
    assert isinstance(results[-1], LookupError)
    assert {type(result) for result in results[:-1]} <= {JournalError, Claim}
    assert stored(tmp_path) == len(recorded)
    assert all(journal.get(result.entry.id).state is State.INTENDED for result in recorded)


def test_writers_that_waited_for_a_lock_in_vain_fail_together(tmp_path: Path) -> None:
    """One attempt counts for all that waited during it. A later one is an attempt of its own."""
    attempts: list[float] = []

    @contextmanager
    def begin() -> Iterator[sa.Connection]:
        attempts.append(time.monotonic())
        time.sleep(0.2)
        raise sqlite3.OperationalError("database is locked")
        yield  # a generator

    queue = WriterQueue(begin, lambda: None)

    def write() -> None:
        with pytest.raises(sqlite3.OperationalError), queue.write():
            pass

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(write)
        while not attempts:
            time.sleep(0.001)
        others = [pool.submit(write) for _ in range(5)]
        for future in (first, *others):
            future.result(10)
    # Those that came during the first attempt had one of their own, together.
    assert len(attempts) == 2
    write()
    assert len(attempts) == 3


def test_database_is_prepared_outside_of_the_turn() -> None:
    """Preparing may write. After some attempts the writer gets an error instead of going on."""
    prepared: list[int] = []

    @contextmanager
    def begin() -> Iterator[sa.Connection]:
        raise NotPrepared
        yield  # a generator

    queue = WriterQueue(begin, lambda: prepared.append(queue._turn.locked()))
    with pytest.raises(NotPrepared), queue.write():
        pass
    assert prepared == [False] * len(prepared)
    assert len(prepared) > 1
