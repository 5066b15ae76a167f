"""Updates of the pack: no version loses a paid task of an earlier one, nor pays for it again."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect

from pika_api.errors import JournalError, NotAccepted, SubmitUnknown
from pika_api.journal import Journal, State
from pika_api.journal import database as database_module
from pika_api.request import earlier_fingerprints
from pika_api.settings import journal_url, sqlite_url
from support.api import PROMPT, ServiceHarness, ask, free_port, intent, run
from support.money import rows

#: The tables of a journal of schema 1. Never change them: users have such journals.
SCHEMA_1 = """
CREATE TABLE pika_schema (version INTEGER NOT NULL);
INSERT INTO pika_schema VALUES (1);
CREATE TABLE pika_tasks (
    id INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    fingerprint VARCHAR(64),
    claim VARCHAR(64),
    owner VARCHAR(36),
    lease_until FLOAT NOT NULL,
    task_id VARCHAR(255),
    base_url VARCHAR(255) NOT NULL,
    key_id VARCHAR(16) NOT NULL,
    take VARCHAR(24) NOT NULL,
    prompt TEXT NOT NULL,
    request TEXT NOT NULL,
    node_id VARCHAR(64) NOT NULL,
    prompt_id VARCHAR(64) NOT NULL,
    created_at FLOAT NOT NULL,
    sent_at FLOAT,
    submitted_at FLOAT,
    finished_at FLOAT,
    saved_at FLOAT,
    forgotten_at FLOAT,
    progress INTEGER NOT NULL,
    result_url TEXT NOT NULL,
    file_path TEXT NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (claim)
);
CREATE INDEX ix_pika_tasks_created_at ON pika_tasks (created_at);
CREATE INDEX ix_pika_tasks_task_id ON pika_tasks (task_id);
"""
#: What a journal of schema 2 has in addition. Never change it either.
ADDED_BY_SCHEMA_2 = """
UPDATE pika_schema SET version = 2;
ALTER TABLE pika_tasks ADD COLUMN changed_at FLOAT DEFAULT '0' NOT NULL;
UPDATE pika_tasks SET changed_at =
    COALESCE(forgotten_at, saved_at, finished_at, submitted_at, sent_at, created_at);
CREATE INDEX ix_pika_tasks_changed_at ON pika_tasks (changed_at);
"""
#: What a journal of schema 3 has in addition. Never change it either.
ADDED_BY_SCHEMA_3 = """
UPDATE pika_schema SET version = 3;
CREATE TABLE pika_revision (value BIGINT NOT NULL);
ALTER TABLE pika_tasks ADD COLUMN revision BIGINT DEFAULT '0' NOT NULL;
UPDATE pika_tasks SET revision = (SELECT count(*) FROM pika_tasks AS other
    WHERE (other.changed_at, other.id) <= (pika_tasks.changed_at, pika_tasks.id));
INSERT INTO pika_revision SELECT count(*) FROM pika_tasks;
CREATE INDEX ix_pika_tasks_revision ON pika_tasks (revision);
CREATE TRIGGER pika_tasks_inserted
        AFTER INSERT ON pika_tasks BEGIN
    UPDATE pika_revision SET value = value + 1;
    UPDATE pika_tasks SET revision = (SELECT value FROM pika_revision) WHERE id = NEW.id;
 END;
CREATE TRIGGER pika_tasks_changed
        AFTER UPDATE OF
    state, task_id, progress, result_url, file_path, last_error, forgotten_at, changed_at
 ON pika_tasks BEGIN
    UPDATE pika_revision SET value = value + 1;
    UPDATE pika_tasks SET revision = (SELECT value FROM pika_revision) WHERE id = NEW.id;
 END;
"""
#: Name, type, null-ness, default and key of the columns that schema 4 adds.
ADDED_BY_SCHEMA_4 = {
    ("answer", "TEXT", 1, "''", 0),
    ("lease_owner", "VARCHAR(36)", 0, None, 0),
    ("lease_boot", "VARCHAR(64)", 0, None, 0),
    ("lease_boot_until", "FLOAT", 0, None, 0),
    ("sha256", "VARCHAR(64)", 1, "''", 0),
    ("price", "FLOAT", 0, None, 0),
    ("estimate", "FLOAT", 0, None, 0),
    ("host", "VARCHAR(64)", 1, "''", 0),
}
ROW = """
INSERT INTO pika_tasks VALUES (
    NULL, :state, :fingerprint, :fingerprint, NULL, 1800000012.0, :task_id, :base_url, :key_id,
    :take, 'Apple evaporates', '{"promptText": "Apple evaporates"}', '7', 'p-1', 1800000000.0,
    1800000001.0, :submitted_at, NULL, NULL, NULL, 40, '', '', :last_error
)
"""
BASE_URL, KEY_ID = "https://api.gpt.ge", "0123456789abcdef"
SUBMITTED_AT = 1_800_000_002.0
#: Of the API specification's example under this address and key, as version 0.1.0 computes it.
FINGERPRINT_OF_VERSION_1 = "2d7952c9e76b54dfe7b5c3fbe76512bc6f161f3952bec2f15f013e435c545e66"


def make_old(home: Path, *rows: dict[str, Any], schema: int = 1) -> Path:
    """A journal file of an earlier schema with these rows."""
    home.mkdir(parents=True)
    path = home / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA_1)
        for row in rows:
            values = {"base_url": BASE_URL, "key_id": KEY_ID, "take": "0", "last_error": ""}
            database.execute(ROW, values | {"submitted_at": SUBMITTED_AT} | row)
        for number, script in ((2, ADDED_BY_SCHEMA_2), (3, ADDED_BY_SCHEMA_3)):
            if number <= schema:
                database.executescript(script)
        database.commit()
    return path


def columns_of(path: Path) -> list[tuple[Any, ...]]:
    """Name, type and null-ness of the columns of a file's tasks."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA table_info(pika_tasks)").fetchall()


@pytest.fixture(params=[1, 2, 3], ids=["schema 1", "schema 2", "schema 3"])
def schema(request: pytest.FixtureRequest) -> int:
    """The schema of `old`."""
    return int(request.param)


@pytest.fixture
def old(tmp_path: Path, schema: int) -> Path:
    """A journal of an earlier schema with a task that is running, and an unknown request."""
    running = {"state": "running", "fingerprint": "a" * 64, "task_id": "t-1"}
    unknown = {"state": "unknown", "fingerprint": "b" * 64, "task_id": None, "take": "1"}
    unknown["last_error"] = "HTTP 502"
    return make_old(tmp_path / "old", running, unknown, schema=schema)


def indexes_of(path: Path) -> set[tuple[str, int]]:
    """Name and uniqueness of the indexes of a file's tasks."""
    with closing(sqlite3.connect(path)) as database:
        indexes = database.execute("PRAGMA index_list(pika_tasks)").fetchall()
    return {(name, unique) for _, name, unique, *_ in indexes}


def triggers_of(path: Path) -> set[tuple[str, str]]:
    """Names and statements of a file's triggers, whatever their line breaks."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        return {(name, " ".join(sql.split())) for name, sql in database.execute(query)}


def test_upgraded_and_new_journals_have_the_same_schema(old: Path, tmp_path: Path) -> None:
    """It is schema 1 and what was added since. A change of it needs a new SCHEMA_VERSION and an
    upgrade."""
    assert database_module.SCHEMA_VERSION == 4, "freeze the next version here too"
    make_old(tmp_path / "first")
    first = columns_of(tmp_path / "first" / "journal.sqlite3")
    with closing(Journal(sqlite_url(tmp_path / "new"))) as new:
        new.entries()
    with closing(Journal(sqlite_url(old.parent))) as upgraded:
        upgraded.entries()
    new_path = tmp_path / "new" / "journal.sqlite3"
    for path in (new_path, old):
        columns = columns_of(path)
        *before, changed_at, revision = columns[: len(first) + 2]
        assert before == first
        added = {(name, kind.removesuffix("(53)"), *rest) for _, name, kind, *rest in
                 columns[len(first) + 2 :]}  # fmt: skip
        assert added == ADDED_BY_SCHEMA_4
        # SQLite keeps a column's type as it was written; a FLOAT(53) is a FLOAT.
        assert changed_at[1:] in {
            ("changed_at", kind, 1, default, 0)
            for kind in ("FLOAT", "FLOAT(53)")
            for default in ("0", "'0'")
        }
        assert revision[1:] in {("revision", "BIGINT", 1, default, 0) for default in ("0", "'0'")}
        assert indexes_of(path) == {
            ("ix_pika_tasks_changed_at", 0),
            ("ix_pika_tasks_created_at", 0),
            ("ix_pika_tasks_errors", 0),
            ("ix_pika_tasks_fingerprint", 0),
            ("ix_pika_tasks_forgotten", 0),
            ("ix_pika_tasks_listed", 0),
            ("ix_pika_tasks_owner", 0),
            ("ix_pika_tasks_released", 0),
            ("ix_pika_tasks_revision", 0),
            ("ix_pika_tasks_task_id", 0),
            (
                "sqlite_autoindex_pika_tasks_1",
                1,
            ),  # the claim: without it, identical requests pay twice
        }
        names = {name for name, _ in triggers_of(path)}
        assert names == {"pika_tasks_changed", "pika_tasks_inserted"}
    assert triggers_of(old) == triggers_of(new_path)


def everything_in(path: Path) -> list[dict[str, Any]]:
    """All values of a file's tasks."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        tasks = database.execute("SELECT * FROM pika_tasks ORDER BY id").fetchall()
    return [dict(row) for row in tasks]


def test_upgrade_keeps_every_value(old: Path) -> None:
    """Every row is there with all its values; a list reads none of them twice."""
    before = everything_in(old)
    with closing(Journal(sqlite_url(old.parent))) as journal:
        page = journal.changed_since(0, limit=10)
        assert [entry.id for entry in page.entries] == [1, 2]
        assert page.cursor == journal.page(limit=10).cursor == 2
        assert journal.changed_since(2, limit=10).entries == []
        journal.mark_running(1, 60)
        assert [entry.id for entry in journal.changed_since(2, limit=10).entries] == [1]
    added = {"changed_at": SUBMITTED_AT, "revision": 2}
    added |= {name: default and "" for name, _, _, default, _ in ADDED_BY_SCHEMA_4}
    assert everything_in(old)[1] == before[1] | added
    assert everything_in(old)[0].keys() == (before[0] | added).keys()
    assert version_of(old) == [(4,)]


def test_upgrade_numbers_rows_in_the_order_of_their_changes(tmp_path: Path, schema: int) -> None:
    """By the time of the last change, then by number; the next change follows them."""
    task = {"state": "submitted", "fingerprint": None}
    times = (5.0, 3.0, 4.0, 3.0)
    rows_of_old = [task | {"task_id": f"t-{at}", "submitted_at": at} for at in times]
    path = make_old(tmp_path / "old", *rows_of_old, schema=schema)
    with closing(Journal(sqlite_url(path.parent))) as journal:
        page = journal.changed_since(0, limit=10)
        assert [entry.id for entry in page.entries] == [2, 4, 3, 1]
        assert [entry.revision for entry in page.entries] == [1, 2, 3, 4]
        assert [entry.changed_at for entry in page.entries] == sorted(times)
        journal.record_error(3, "broke off")
        assert journal.get(3).revision == 5


class Interrupted(BaseException):
    """The process is ended in the middle of an upgrade."""


def open_until(home: Path, statements: int) -> None:
    """Open and read a journal in a process that ends before it executes one more statement."""
    executed = itertools.count()

    def end(*_: object) -> None:
        if next(executed) == statements:
            raise Interrupted

    with closing(Journal(sqlite_url(home))) as journal, contextlib.suppress(Interrupted):
        sa.event.listen(journal._database._engine, "before_cursor_execute", end)
        journal.entries()


def test_interrupted_upgrade_is_done_again(old: Path, schema: int) -> None:
    """Before whichever statement: nothing has changed until everything has."""
    before = everything_in(old)
    for statements in range(100):
        open_until(old.parent, statements)
        if version_of(old) != [(schema,)]:
            break
        assert everything_in(old) == before
    assert statements > 10
    assert version_of(old) == [(4,)]
    assert [row["revision"] for row in everything_in(old)] == [1, 2]
    assert {name for name, _ in triggers_of(old)} == {"pika_tasks_changed", "pika_tasks_inserted"}


def test_upgrade_of_a_current_journal_changes_nothing(old: Path) -> None:
    """A second process finds it upgraded."""
    for _ in range(2):
        with closing(Journal(sqlite_url(old.parent))) as journal:
            assert [entry.revision for entry in journal.changed_since(0, limit=10).entries] == [
                1,
                2,
            ]
            assert journal.page(limit=10).cursor == 2
    assert version_of(old) == [(4,)]


def test_process_of_an_earlier_version_may_still_be_writing(old: Path, schema: int) -> None:
    """It was open before the upgrade and goes on. Its entries and its changes are listed like
    others, and so are the changes of this version for it, which lists them by their time."""
    stamp = ", changed_at = (SELECT max(changed_at) FROM pika_tasks) + 1e-5" if schema > 1 else ""
    newer = [name for name, *_ in ADDED_BY_SCHEMA_4]
    added = ["id", "revision", *newer, *(["changed_at"] if schema == 1 else [])]
    with closing(Journal(sqlite_url(old.parent))) as journal:
        cursor = journal.page(limit=10).cursor
        columns = [name for _, name, *_ in columns_of(old) if name not in added]
        with closing(sqlite3.connect(old, isolation_level=None)) as database:
            copied = ", ".join(columns).replace("fingerprint, claim", "'c', 'c'")
            insert = f"INSERT INTO pika_tasks ({', '.join(columns)}) SELECT {copied}"
            assert database.execute(f"{insert} FROM pika_tasks WHERE id = 1").lastrowid == 3
            assert [entry.id for entry in journal.entries(limit=10)] == [3, 2, 1]

            for change, number in (
                ("state = 'submitted', task_id = 't-2', owner = NULL", 2),
                ("state = 'running', progress = 80", 1),
                ("last_error = 'broke off'", 3),
                ("result_url = 'new'", 2),
                ("file_path = 'new'", 1),
                ("claim = NULL, forgotten_at = 1800000100.0", 3),
            ):
                cursor = journal.page(limit=10).cursor
                update = f"UPDATE pika_tasks SET {change}{stamp} WHERE id = {number}"
                assert database.execute(update).rowcount == 1
                page = journal.changed_since(cursor, limit=10)
                assert [entry.id for entry in page.entries] == [number], change
                assert page.cursor == cursor + 1

            cursor = journal.page(limit=10).cursor
            database.execute("UPDATE pika_tasks SET owner = 'me', lease_until = 1800000200.0")
            assert journal.changed_since(cursor, limit=10).entries == []

            (time,) = database.execute("SELECT max(changed_at) FROM pika_tasks").fetchone()
            journal.record_error(1, "no answer")
            query = f"SELECT id FROM pika_tasks WHERE changed_at > {time!r}"
            assert database.execute(query).fetchall() == [(1,)]


def test_process_of_an_earlier_version_enters_no_request(old: Path, schema: int) -> None:
    """It was open before the upgrade. It would not find the tasks of this version, because their
    fingerprints are others: the database refuses, and says what to do. Its entries go on."""
    waiting = {"state": "intended", "fingerprint": "c" * 64, "task_id": None}
    columns = [name for _, name, *_ in columns_of(old)]
    with closing(sqlite3.connect(old, isolation_level=None)) as database:
        with closing(Journal(sqlite_url(old.parent))) as journal:
            assert len(journal.entries()) == 2
        values = dict.fromkeys(columns, "") | {"id": 3, "lease_until": 0.0, "created_at": 1.0}
        values |= {"progress": 0} | waiting | {"claim": "c" * 64, "owner": "old"}
        names = ", ".join(columns)
        places = ", ".join(f":{name}" for name in columns)
        insert = f"INSERT INTO pika_tasks ({names}) VALUES ({places})"
        for conflict in ("", " ON CONFLICT (claim) DO NOTHING"):
            with pytest.raises(sqlite3.IntegrityError, match="restart ComfyUI"):
                database.execute(insert + conflict, values)
        assert database.execute("SELECT count(*) FROM pika_tasks").fetchone() == (2,)
        sent = database.execute("UPDATE pika_tasks SET state = 'sent', owner = 'old' WHERE id = 2")
        assert sent.rowcount == 1
    with closing(Journal(sqlite_url(old.parent))) as journal:
        assert journal.claim(intent("d" * 64), "new").acquired


def test_old_journal_is_read(old: Path) -> None:
    """Each column has its value and its type."""
    with closing(Journal(sqlite_url(old.parent))) as journal:
        unknown, running = rows(journal)
    assert (running.state, running.task_id, running.take) == (State.RUNNING, "t-1", 0)
    assert (running.prompt, running.request) == (PROMPT, {"promptText": PROMPT})
    assert (running.created_at, running.submitted_at) == (1_800_000_000.0, 1_800_000_002.0)
    assert (running.progress, running.node_id, running.prompt_id) == (40, "7", "p-1")
    assert (unknown.state, unknown.task_id, unknown.take) == (State.UNKNOWN, None, 1)
    assert unknown.last_error == "HTTP 502"


def test_journal_knows_whether_it_has_earlier_requests(old: Path, tmp_path: Path) -> None:
    """Only an upgraded journal has them, and only of its gateway: nothing is decoded for others."""
    with closing(Journal(sqlite_url(old.parent))) as journal:
        gateway = rows(journal)[0].gateway
        assert journal.has_earlier_requests(gateway)
        assert not journal.has_earlier_requests("https://other.example")
    with closing(Journal(sqlite_url(tmp_path / "new"))) as journal:
        assert not journal.has_earlier_requests(gateway)


def test_fingerprint_has_not_changed() -> None:
    """The API specification's example has the fingerprint of version 0.1.0. Otherwise an update
    would pay again for every task."""
    earlier = earlier_fingerprints(ask().body(), base_url=BASE_URL, key_id=KEY_ID, take=0)
    assert earlier == [FINGERPRINT_OF_VERSION_1]


def test_tasks_of_an_old_journal_are_reused(harness: ServiceHarness, schema: int) -> None:
    """The same request finds a task that version 0.1.0 paid for, and so does the request of its
    unknown: no POST, and both entries are as they were."""
    settings = ServiceHarness(harness.gateway, harness.home.with_name("none")).service.settings
    values = {"base_url": settings.base_url, "key_id": settings.key_id}
    prints = [earlier_fingerprints(ask().body(), take=take, **values)[0] for take in (0, 1)]
    task = {"state": "submitted", "fingerprint": prints[0], "task_id": "t-1", **values}
    unknown = {"state": "unknown", "fingerprint": prints[1], "task_id": None, "take": "1", **values}
    make_old(harness.home, task, unknown, schema=schema)
    submitted = run(harness.service.submit(ask()))
    assert (submitted.task_id, submitted.reused) == ("t-1", True)
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        run(harness.service.submit(ask(), take=1))
    assert harness.posts == 0
    assert [entry.state for entry in rows(harness.journal)] == [State.UNKNOWN, State.SUBMITTED]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_restored_journal_of_an_old_version_is_matched(
    harness: ServiceHarness, tmp_path: Path, schema: int
) -> None:
    """It replaces the current one while that is in use. Its tasks are reused, too."""
    harness.gateway.fault("submit", status=400, body={"error": {"message": "No"}})
    with pytest.raises(NotAccepted):
        harness.submit(ask("another prompt"))
    settings = harness.service.settings
    values = {"base_url": settings.base_url, "key_id": settings.key_id}
    fingerprint = earlier_fingerprints(ask().body(), take=0, **values)[0]
    task = {"state": "submitted", "fingerprint": fingerprint, "task_id": "t-1", **values}
    make_old(tmp_path / "old", task, schema=schema).replace(harness.home / "journal.sqlite3")
    submitted = run(harness.service.submit(ask()))
    assert (submitted.task_id, submitted.reused) == ("t-1", True)
    assert harness.posts == 1


def upgrade_by(patch: pytest.MonkeyPatch, *statements: str) -> None:
    """A pack of the next version."""
    patch.setattr(database_module, "SCHEMA_VERSION", 5)
    patch.setattr(database_module, "UPGRADES", {**database_module.UPGRADES, 4: list(statements)})


def version_of(path: Path) -> list[tuple[int]]:
    """The schema version in a file."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version FROM pika_schema").fetchall()


def test_next_upgrade_keeps_the_rows(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its statements run once, in the first of two services; ids and states stay."""
    upgrade_by(
        monkeypatch,
        "ALTER TABLE pika_tasks ADD COLUMN rating FLOAT NOT NULL DEFAULT 0.5",
        "UPDATE pika_tasks SET rating = 1.5 WHERE task_id IS NOT NULL",
    )
    for _ in range(2):
        with closing(Journal(sqlite_url(old.parent))) as journal:
            assert [e.state for e in rows(journal)] == [State.UNKNOWN, State.RUNNING]
            assert journal.find_by_task_id("t-1") is not None
    assert version_of(old) == [(5,)]
    with closing(sqlite3.connect(old)) as database:
        ratings = database.execute("SELECT rating FROM pika_tasks ORDER BY id").fetchall()
    assert ratings == [(1.5,), (0.5,)]


def test_failed_upgrade_changes_nothing(
    old: Path, schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, it leaves no part of itself, and the earlier version still works."""
    with monkeypatch.context() as patch:
        upgrade_by(
            patch,
            "ALTER TABLE pika_tasks ADD COLUMN rating FLOAT",
            "UPDATE pika_tasks SET state = 'failed', claim = NULL",
            "ALTER TABLE no_such_table ADD COLUMN rating FLOAT",
        )
        with closing(Journal(sqlite_url(old.parent))) as journal:
            for _ in range(2):
                with pytest.raises(JournalError, match="no_such_table") as caught:
                    journal.entries()
                assert "Nothing is sent" in str(caught.value)
    assert version_of(old) == [(schema,)]
    assert "rating" not in [name for _, name, *_ in columns_of(old)]
    with closing(Journal(sqlite_url(old.parent))) as journal:
        assert [entry.state for entry in rows(journal)] == [State.UNKNOWN, State.RUNNING]


def test_other_file_is_used(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PIKA_JOURNAL_URL names another SQLite file: it is created with its folder, and no other."""
    path = tmp_path / "elsewhere" / "tasks.db"
    monkeypatch.setenv("PIKA_JOURNAL_URL", f"sqlite:///{path.as_posix()}")
    service = harness.another(journal=Journal(journal_url(harness.home)))
    task_id = run(service.submit(ask())).task_id
    assert not harness.home.exists()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT task_id FROM pika_tasks").fetchall() == [(task_id,)]


class _Refused(Exception):
    """The driver's own error."""


def _connect(**given: Any) -> None:
    """Connects as a driver does, and quotes its arguments in the error."""
    try:
        socket.create_connection((given["host"], given["port"]), timeout=5).close()
    except OSError as error:
        raise _Refused(f"cannot connect with {given}: {error}") from error


class Unreachable(DefaultDialect):
    """A PostgreSQL server, with a driver that needs no installation."""

    driver = "unreachable"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        errors = dict.fromkeys(("Error", "OperationalError", "InterfaceError"), _Refused)
        return SimpleNamespace(paramstyle="named", connect=_connect, **errors)


@pytest.fixture
def network_database() -> Iterator[str]:
    """The URL of a database that does not answer."""
    registry.register("postgresql.unreachable", __name__, "Unreachable")
    yield f"postgresql+unreachable://me:se-cret@127.0.0.1:{free_port()}/pika"
    registry.impls.pop("postgresql.unreachable")


def test_unreachable_database_is_an_error(harness: ServiceHarness, network_database: str) -> None:
    """The error says where it is and why it does not work, without its password, although the
    driver quotes it. Nothing is sent."""
    assert rows(harness.journal) == []
    service = harness.another(journal=Journal(network_database))
    with pytest.raises(JournalError, match="Connection refused") as caught:
        run(service.submit(ask()))
    assert "127.0.0.1" in str(caught.value)
    assert "Nothing is sent" in str(caught.value)
    assert "se-cret" not in str(caught.value)
    assert harness.posts == 0


@pytest.mark.parametrize("password", ["p@ss:se-cret", "p:ss@w:se-cret", "se-cret@:x"])
def test_error_about_a_malformed_url_does_not_contain_the_password(password: str) -> None:
    """It contains an @ that is not percent-encoded. The error says how to write it; neither the
    error nor its traceback contains a part of the password."""
    with pytest.raises(JournalError, match="%40") as caught:
        Journal(f"postgresql+psycopg://me:{password}@localhost/pika")
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
