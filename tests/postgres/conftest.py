"""The fixtures of the money and journal tests, with the journal in a real PostgreSQL.

The files of this folder import tests of other folders: they run here with these fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal
from simulator import Simulator
from support.api import KEY, Clock, ServiceHarness
from support.money import LEASE, POLICY, assert_nothing_lost, shorten
from support.postgres import create_database, execute

_EMPTY = "TRUNCATE pika_tasks, pika_prices, pika_pauses, pika_earlier_accounts RESTART IDENTITY"
_FIRST = "UPDATE pika_revision SET value = 0"


@pytest.fixture(scope="session")
def shared_database(postgres_server: str) -> str:
    """A database with the journal's tables, which many tests use one after another."""
    url = create_database(postgres_server)
    with closing(Journal(url)) as journal:
        journal.entries()
    return url


@pytest.fixture
def emptied(shared_database: str) -> str:
    """The same database without rows."""
    execute(shared_database, _EMPTY, _FIRST)
    return shared_database


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A gateway whose tasks are finished as soon as their small clip is drawn."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def harness(
    quick: Simulator, tmp_path: Path, emptied: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServiceHarness]:
    """Services and a journal at the quick gateway. Whatever a test did, nothing is lost by it."""
    shorten(monkeypatch)
    harness = ServiceHarness(quick, tmp_path / "home", POLICY, lease=LEASE, database=emptied)
    try:
        yield harness
        assert_nothing_lost(quick, harness.journal)
    finally:
        harness.close()


@pytest.fixture
def journal(emptied: str, clock: Clock, tmp_path: Path) -> Iterator[Journal]:
    """A journal of the test's own."""
    with closing(Journal(emptied, clock, spool=tmp_path / "spool")) as opened:
        yield opened
