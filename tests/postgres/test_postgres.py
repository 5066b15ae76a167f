"""A journal in a real PostgreSQL: what is different from a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from money.test_money_upgrade import SCHEMA_1
from pika_api.errors import JournalError
from pika_api.journal import Entry, Journal, State
from pika_api.journal.clocks import ServerClocks
from pika_api.journal.schema import SCHEMA_VERSION
from pika_api.tasks import ServicePolicy
from support.api import KEY, Clock, ServiceHarness, ask, free_port, intent, run
from support.postgres import create_database, execute
from support.waiting import until

pytestmark = pytest.mark.slow


class Outage:
    """A database that nobody can connect to until `end`."""

    def __init__(self, server: str, database: str) -> None:
        self._server = server
        self._name = sa.make_url(database).database
        execute(
            server,
            f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS false",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{self._name}'",
        )

    def end(self) -> None:
        execute(self._server, f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS true")


@pytest.fixture
def outage(postgres_server: str, emptied: str) -> Iterator[ExitStack]:
    """A stack that ends outages of the shared database."""
    with ExitStack() as stack:
        stack.callback(
            execute,
            postgres_server,
            f"ALTER DATABASE {sa.make_url(emptied).database} WITH ALLOW_CONNECTIONS true",
        )
        yield stack


def test_sidebar_reads_any_number_of_changes_once(emptied: str, journal: Journal) -> None:
    """More changes at one instant than a page has: the cursor passes each of them once."""
    numbers = [journal.claim(intent(f"{n:064}"), "me").entry.id for n in range(40)]
    seen: list[int] = []
    cursor, pages = 0, 0
    while True:
        page = journal.changed_since(cursor, limit=7)
        seen += [entry.id for entry in page.entries]
        cursor, pages = page.cursor, pages + 1
        if not page.more:
            break
        assert pages < 20
    assert sorted(seen) == sorted(numbers)
    assert journal.changed_since(cursor, limit=7).entries == []


def test_id_that_the_database_does_not_take_is_in_the_spool(
    harness: ServiceHarness, postgres_server: str, outage: ExitStack
) -> None:
    """The database is away from the POST on, for longer than the retries. The error has the id; the
    next use records it, also that of another process."""
    harness.policy = ServicePolicy(record_retries=(0.01,))
    harness.gateway.fault("submit", delay=1.0)
    service = harness.another()

    def stop() -> Outage:
        until(lambda: harness.posts, what="the POST")
        return Outage(postgres_server, harness.database)

    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(stop)
        with pytest.raises(JournalError) as caught:
            run(service.submit(ask()))
        (task_id,) = harness.gateway.charged
        assert task_id in str(caught.value)
        stopped.result().end()
    other = Journal(harness.database, spool=harness.home / "spool")
    with closing(other):
        assert [entry.task_id for entry in other.entries()] == [task_id]
    assert run(service.submit(ask())).reused
    assert harness.posts == 1


def test_commit_whose_answer_was_lost_is_no_error(harness: ServiceHarness) -> None:
    """The id was recorded, and the connection broke before that was known: recording it once more
    is the same."""

    class Forgetful(Journal):
        failures = 1

        def record_task(self, entry: Entry, task_id: str) -> Entry:
            recorded = super().record_task(entry, task_id)
            if self.failures:
                self.failures -= 1
                raise JournalError("the connection was lost")
            return recorded

    journal = Forgetful(harness.database, spool=harness.home / "spool")
    with closing(journal):
        harness.policy = ServicePolicy(record_retries=(0.01,))
        submitted = run(harness.another(journal=journal).submit(ask()))
        (entry,) = journal.entries()
        assert (entry.task_id, entry.state) == (submitted.task_id, State.SUBMITTED)


@pytest.mark.parametrize("text", ["p" * 65, "p" * 5000, "\0", "a\0" * 100, "é" * 64])
def test_any_id_of_a_prompt_or_node_is_stored(journal: Journal, text: str) -> None:
    """ComfyUI's ids come from a client and may be of any length. Two long ones stay different."""
    first = journal.claim(intent("a", prompt_id=text, node_id=text, prompt=text), "me").entry
    second = journal.claim(intent("b", prompt_id=f"{text}2"), "me").entry
    assert first.prompt_id != second.prompt_id
    again = journal.claim(intent("c", prompt_id=text), "me").entry
    assert again.prompt_id == first.prompt_id


def test_nul_is_stored_nowhere_and_fails_nothing(journal: Journal) -> None:
    """In an error, an answer, a link and a path; and in an id that is looked up."""
    entry = journal.claim(intent(), "me").entry
    assert journal.mark_sent(entry.id, "me")
    journal.mark_unknown(entry.id, "me", "bad\0", "answer\0")
    assert journal.get(entry.id).answer == "answer\ufffd"
    assert journal.find_by_task_id("no\0such") is None


def test_eight_can_create_the_tables_at_once(postgres_server: str) -> None:
    """Of a new database: nobody fails, and each enters a request."""
    url = create_database(postgres_server)
    barrier = threading.Barrier(8)

    def use(number: int) -> bool:
        with closing(Journal(url)) as journal:
            barrier.wait(30)
            return journal.claim(intent(str(number)), "me").acquired

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(8)))


def test_eight_can_upgrade_the_tables_at_once(postgres_server: str) -> None:
    """From the first schema: rows are kept, nobody fails."""
    url = create_database(postgres_server)
    row = {"state": "saved", "fingerprint": "f" * 64, "prompt": "An apple", "take": "0"}
    row["request"] = "{}"
    texts = ("base_url", "key_id", "node_id", "prompt_id", "result_url", "file_path")
    row |= dict.fromkeys((*texts, "last_error"), "")
    columns, values = ", ".join(row), ", ".join(f"'{value}'" for value in row.values())
    execute(
        url,
        *filter(str.strip, SCHEMA_1.split(";")),
        f"INSERT INTO pika_tasks (id, lease_until, created_at, progress, {columns}) "
        f"VALUES (1, 0, 0, 0, {values})",
    )
    barrier = threading.Barrier(8)

    def use(_number: int) -> int:
        with closing(Journal(url)) as journal:
            barrier.wait(30)
            return len(journal.entries())

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(8))) == {1}
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        version = connection.exec_driver_sql("SELECT version FROM pika_schema").scalar_one()
    assert version == SCHEMA_VERSION


def test_task_is_adopted_once_by_many(emptied: str) -> None:
    """Eight connections adopt the same ids at the same moments: one row for each."""
    barrier = threading.Barrier(8)

    def adopt(_number: int) -> list[int]:
        with closing(Journal(emptied)) as journal:
            journal.entries()
            numbers = []
            for task in range(5):
                barrier.wait(30)
                numbers.append(journal.adopt(f"t-{task}", "https://a.example", "key").id)
            return numbers

    with ThreadPoolExecutor(8) as pool:
        assert len({tuple(numbers) for numbers in pool.map(adopt, range(8))}) == 1


def test_task_is_settled_once_by_many(emptied: str, journal: Journal) -> None:
    """Two users give the same id to the same unknown request, or to two of them."""
    numbers = []
    for name in ("a", "b"):
        entry = journal.claim(intent(name), "me").entry
        assert journal.mark_sent(entry.id, "me")
        journal.mark_unknown(entry.id, "me", "lost")
        numbers.append(entry.id)
    barrier = threading.Barrier(4)

    def settle(number: int) -> str:
        with closing(Journal(emptied)) as own:
            own.entries()
            barrier.wait(30)
            try:
                return str(own.settle(numbers[number % 2], "t-1").task_id)
            except Exception as error:  # noqa: BLE001 - compared below
                return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(settle, range(4)))
    assert sorted(answers) == ["InvalidInput", "InvalidInput", "t-1", "t-1"]
    assert [entry.task_id for entry in journal.entries()].count("t-1") == 1


def test_short_outage_is_waited_for(
    harness: ServiceHarness, postgres_server: str, outage: ExitStack
) -> None:
    """The server is started again while a task is waited for and downloaded: the file comes."""
    task_id = harness.submit()
    stopped = Outage(postgres_server, harness.database)
    timer = threading.Timer(1.0, stopped.end)
    timer.start()
    try:
        assert run(harness.service.collect(task_id)).path.is_file()
    finally:
        timer.join()


@pytest.mark.parametrize("wrong", [-4 * 3600.0, 4 * 3600.0])
def test_leases_are_those_of_the_server_s_clock(emptied: str, wrong: float) -> None:
    """Another machine with a wrong clock neither takes a running request away, nor waits for hours
    after a crash."""
    with closing(Journal(emptied, lease=1.0)) as owner, closing(Journal(emptied, lease=1.0)) as far:
        assert isinstance(far._clocks, ServerClocks)
        far._clocks.machine = Clock(time.time() + wrong)  # and no boot clock in common
        assert owner.claim(intent(), "owner").acquired
        assert not far.claim(intent(), "far").acquired
        assert abs(far.claim(intent("b"), "far").entry.created_at - time.time()) < 60
        time.sleep(1.2)
        assert far.claim(intent(), "far").acquired


def test_error_of_an_unreachable_server_says_what_to_check(tmp_path: Path) -> None:
    """It speaks of the server and the address, not of folders, and has no password."""
    url = f"postgresql+psycopg://me:se-cret@127.0.0.1:{free_port()}/pika"
    with (
        closing(Journal(url, spool=tmp_path)) as journal,
        pytest.raises(JournalError, match="Check that the database server runs") as caught,
    ):
        journal.entries()
    assert "folder" not in str(caught.value)
    assert "se-cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("postgresql+psycopg2://me:se-cret@localhost/pika", "psycopg2-binary"),
        ("postgresql+nothing://me:se-cret@localhost/pika", "postgresql+psycopg://"),
    ],
)
def test_missing_driver_is_named(url: str, package: str) -> None:
    """With the package to install, and without the password."""
    with pytest.raises(JournalError) as caught:
        Journal(url)
    assert package in str(caught.value)
    assert "se-cret" not in str(caught.value)


def test_key_is_in_no_table(harness: ServiceHarness) -> None:
    """As with a file."""
    harness.submit()
    engine = sa.create_engine(harness.database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            assert KEY not in str(connection.exec_driver_sql(f"SELECT * FROM {name}").all())
