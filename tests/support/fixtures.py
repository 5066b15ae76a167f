"""Fixtures that need no ComfyUI: a quick gateway, services, a journal, a clock."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import Clock, Desk


@pytest.fixture(autouse=True)
def _no_own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the developer's journal, settings or .netrc."""
    for name in ("PIKA_JOURNAL_URL", "PIKA_BASE64_STYLE", "PIKA_MAX_REQUESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def calm() -> Iterator[None]:
    """No garbage is collected at the bottom of a deep recursion, where finalizers would fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A gateway whose tasks are finished as soon as their small clip is drawn."""
    with Simulator(task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def desk(quick: Simulator, tmp_path: Path) -> Iterator[Desk]:
    """Services and a journal at the quick gateway."""
    made = Desk(quick, tmp_path / "home")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that goes when told to."""
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """A journal of the test's own."""
    with closing(Journal(sqlite_url(tmp_path / "home"), clock)) as opened:
        yield opened
