"""A journal outlives the pack that began it: no version loses a paid task of an earlier one."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect

from pika_api.errors import JournalError, SubmitUnknown
from pika_api.journal import Journal, State
from pika_api.journal import database as database_module
from pika_api.request import request_fingerprint
from pika_api.settings import journal_url, sqlite_url
from support.api import PROMPT, ServiceHarness, ask, free_port, run
from support.money import rows

#: What version 0.1.0 makes. For ever as it is: users have it on their disks.
SCHEMA_OF_VERSION_1 = """
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
ROW = """
INSERT INTO pika_tasks VALUES (
    NULL, :state, :fingerprint, :fingerprint, NULL, 1800000012.0, :task_id, :base_url, :key_id,
    :take, 'Apple evaporates', '{"promptText": "Apple evaporates"}', '7', 'p-1', 1800000000.0,
    1800000001.0, 1800000002.0, NULL, NULL, NULL, 40, '', '', :last_error
)
"""
BASE_URL, KEY_ID = "https://api.gpt.ge", "0123456789abcdef"
#: Of the seed's example under this address and key, as version 0.1.0 writes it.
FINGERPRINT_OF_VERSION_1 = "2d7952c9e76b54dfe7b5c3fbe76512bc6f161f3952bec2f15f013e435c545e66"


def make_old(home: Path, *given: dict[str, Any]) -> Path:
    """A journal file of version 0.1.0 with these rows."""
    home.mkdir(parents=True)
    path = home / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA_OF_VERSION_1)
        for each in given:
            values = {"base_url": BASE_URL, "key_id": KEY_ID, "take": "0", "last_error": ""}
            database.execute(ROW, values | each)
        database.commit()
    return path


def columns_of(path: Path) -> list[tuple[Any, ...]]:
    """Name, type and null-ness of the columns of a file's tasks."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA table_info(pika_tasks)").fetchall()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal of version 0.1.0 with a task that runs, and a request nobody knows about."""
    running = {"state": "running", "fingerprint": "a" * 64, "task_id": "t-1"}
    unknown = {"state": "unknown", "fingerprint": "b" * 64, "task_id": None, "take": "1"}
    return make_old(tmp_path / "old", running, unknown | {"last_error": "HTTP 502"})


def indexes_of(path: Path) -> set[tuple[str, int]]:
    """Name and uniqueness of the indexes of a file's tasks."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("PRAGMA index_list(pika_tasks)").fetchall()
    return {(name, unique) for _, name, unique, *_ in found}


def test_the_schemas_have_not_changed(old: Path, tmp_path: Path) -> None:
    """An upgraded journal and a new one are the same, and both are version 1 and what was added
    since; a change of it needs a new SCHEMA_VERSION and an upgrade."""
    assert database_module.SCHEMA_VERSION == 2, "freeze the next version here too"
    first = columns_of(old)
    with closing(Journal(sqlite_url(tmp_path / "new"))) as new:
        new.entries()
    with closing(Journal(sqlite_url(old.parent))) as upgraded:
        upgraded.entries()
    for path in (tmp_path / "new" / "journal.sqlite3", old):
        *before, changed_at = columns_of(path)
        assert before == first
        # SQLite keeps a column's type as it was written; a FLOAT(53) is a FLOAT.
        assert changed_at[1:] in {
            ("changed_at", kind, 1, default, 0)
            for kind in ("FLOAT", "FLOAT(53)")
            for default in ("0", "'0'")
        }
        assert indexes_of(path) == {
            ("ix_pika_tasks_changed_at", 0),
            ("ix_pika_tasks_created_at", 0),
            ("ix_pika_tasks_task_id", 0),
            ("sqlite_autoindex_pika_tasks_1", 1),  # the claim: without it twins pay twice
        }


def everything_in(path: Path) -> list[dict[str, Any]]:
    """All that a file's tasks hold, as it stands there."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        found = database.execute("SELECT * FROM pika_tasks ORDER BY id").fetchall()
    return [dict(row) for row in found]


def test_a_journal_of_version_1_keeps_all_it_holds(old: Path) -> None:
    """Every row and every value is there after the upgrade; each has changed when it last did, by
    its own times, so that a list asks for none of them again."""
    before = everything_in(old)
    with closing(Journal(sqlite_url(old.parent))) as journal:
        assert journal.changed_since(1_800_000_002.0, limit=10).entries == []
        assert len(journal.changed_since(0.0, limit=10).entries) == len(before) == 2
        journal.mark_running(1, 60)
        assert [entry.id for entry in journal.changed_since(1_800_000_002.0, limit=10).entries] == [
            1
        ]
    added = {"changed_at": 1_800_000_002.0}
    assert everything_in(old)[1] == before[1] | added
    assert everything_in(old)[0].keys() == (before[0] | added).keys()
    assert version_of(old) == [(2,)]


def test_a_pack_of_version_1_may_still_be_writing(old: Path) -> None:
    """What a process of before the upgrade, still open, writes after it is a row like others."""
    with closing(Journal(sqlite_url(old.parent))) as journal:
        journal.entries()
        with closing(sqlite3.connect(old)) as database:
            columns = [name for _, name, *_ in columns_of(old) if name not in ("id", "changed_at")]
            copied = ", ".join(columns).replace("fingerprint, claim", "'c', 'c'")
            database.execute(
                f"INSERT INTO pika_tasks ({', '.join(columns)}) "
                f"SELECT {copied} FROM pika_tasks WHERE id = 1"
            )
            database.commit()
        assert [entry.id for entry in journal.entries(limit=10)] == [3, 2, 1]


def test_an_old_journal_is_read(old: Path) -> None:
    """Each column comes back as what it was."""
    with closing(Journal(sqlite_url(old.parent))) as journal:
        unknown, running = rows(journal)
    assert (running.state, running.task_id, running.take) == (State.RUNNING, "t-1", 0)
    assert (running.prompt, running.request) == (PROMPT, {"promptText": PROMPT})
    assert (running.created_at, running.submitted_at) == (1_800_000_000.0, 1_800_000_002.0)
    assert (running.progress, running.node_id, running.prompt_id) == (40, "7", "p-1")
    assert (unknown.state, unknown.task_id, unknown.take) == (State.UNKNOWN, None, 1)
    assert unknown.last_error == "HTTP 502"


def test_the_fingerprint_has_not_changed() -> None:
    """The seed's example has the fingerprint that version 0.1.0 gave it: else an update would make
    every paid task anew."""
    made = request_fingerprint(ask().body(), base_url=BASE_URL, key_id=KEY_ID, take=0)
    assert made == FINGERPRINT_OF_VERSION_1


def test_an_old_journals_tasks_are_taken_up(harness: ServiceHarness) -> None:
    """A task that version 0.1.0 paid for is found by the same request, and so is its unknown: no
    POST, and both rows are as they were."""
    settings = ServiceHarness(harness.gateway, harness.home.with_name("none")).service.settings
    values = {"base_url": settings.base_url, "key_id": settings.key_id}
    prints = [request_fingerprint(ask().body(), take=take, **values) for take in (0, 1)]
    task = {"state": "submitted", "fingerprint": prints[0], "task_id": "t-1", **values}
    unknown = {"state": "unknown", "fingerprint": prints[1], "task_id": None, "take": "1", **values}
    make_old(harness.home, task, unknown)
    found = run(harness.service.submit(ask()))
    assert (found.task_id, found.reused) == ("t-1", True)
    with pytest.raises(SubmitUnknown, match="may have been accepted"):
        run(harness.service.submit(ask(), take=1))
    assert harness.posts == 0
    assert [entry.state for entry in rows(harness.journal)] == [State.UNKNOWN, State.SUBMITTED]


def upgrade_by(patch: pytest.MonkeyPatch, *statements: str) -> None:
    """A pack of the next version."""
    patch.setattr(database_module, "SCHEMA_VERSION", 3)
    patch.setattr(database_module, "UPGRADES", {**database_module.UPGRADES, 2: list(statements)})


def version_of(path: Path) -> list[tuple[int]]:
    """The version that a file says it has."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version FROM pika_schema").fetchall()


def test_an_upgrade_keeps_the_rows(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements run once, in whichever of two services comes first; ids and states stay."""
    upgrade_by(
        monkeypatch,
        "ALTER TABLE pika_tasks ADD COLUMN price FLOAT NOT NULL DEFAULT 0.5",
        "UPDATE pika_tasks SET price = 1.5 WHERE task_id IS NOT NULL",
    )
    for _ in range(2):
        with closing(Journal(sqlite_url(old.parent))) as journal:
            assert [e.state for e in rows(journal)] == [State.UNKNOWN, State.RUNNING]
            assert journal.find_by_task_id("t-1") is not None
    assert version_of(old) == [(3,)]
    with closing(sqlite3.connect(old)) as database:
        prices = database.execute("SELECT price FROM pika_tasks ORDER BY id").fetchall()
    assert prices == [(1.5,), (0.5,)]


def test_a_failed_upgrade_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of an upgrade or nothing: an error, nothing half done, and the old version works on."""
    with monkeypatch.context() as patch:
        upgrade_by(
            patch,
            "ALTER TABLE pika_tasks ADD COLUMN price FLOAT",
            "UPDATE pika_tasks SET state = 'failed', claim = NULL",
            "ALTER TABLE no_such_table ADD COLUMN price FLOAT",
        )
        with closing(Journal(sqlite_url(old.parent))) as journal:
            for _ in range(2):
                with pytest.raises(JournalError, match="no_such_table") as caught:
                    journal.entries()
                assert "Nothing is sent" in str(caught.value)
    assert version_of(old) == [(1,)]
    assert "price" not in [name for _, name, *_ in columns_of(old)]
    with closing(Journal(sqlite_url(old.parent))) as journal:
        assert [entry.state for entry in rows(journal)] == [State.UNKNOWN, State.RUNNING]


def test_another_place_is_used(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PIKA_JOURNAL_URL with another SQLite file: made, with its folder, and the only one used."""
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
    """What a driver does, one that quotes what it was given."""
    try:
        socket.create_connection((given["host"], given["port"]), timeout=5).close()
    except OSError as error:
        raise _Refused(f"cannot connect with {given}: {error}") from error


class Unreachable(DefaultDialect):
    """A database in the network, whose driver needs no installation."""

    driver = "unreachable"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        errors = dict.fromkeys(("Error", "OperationalError", "InterfaceError"), _Refused)
        return SimpleNamespace(paramstyle="named", connect=_connect, **errors)


@pytest.fixture
def network_database() -> Iterator[str]:
    """The address of a database that does not answer."""
    registry.register("unreachable", __name__, "Unreachable")
    yield f"unreachable://me:se-cret@127.0.0.1:{free_port()}/pika"
    registry.impls.pop("unreachable")


def test_a_database_that_does_not_answer_is_told(
    harness: ServiceHarness, network_database: str
) -> None:
    """Where it is and why it does not work, never with its password, though the driver quotes it;
    nothing is sent."""
    assert rows(harness.journal) == []
    service = harness.another(journal=Journal(network_database))
    with pytest.raises(JournalError, match="Connection refused") as caught:
        run(service.submit(ask()))
    assert "127.0.0.1" in str(caught.value)
    assert "Nothing is sent" in str(caught.value)
    assert "se-cret" not in str(caught.value)
    assert harness.posts == 0


@pytest.mark.parametrize("password", ["p@ss:se-cret", "p:ss@w:se-cret", "se-cret@:x"])
def test_a_password_that_breaks_the_address_is_not_told(password: str) -> None:
    """An @ in it, not percent-encoded: the error says how to write it, and quotes no piece of it,
    its traceback neither."""
    with pytest.raises(JournalError, match="%40") as caught:
        Journal(f"postgresql+psycopg://me:{password}@localhost/pika")
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
