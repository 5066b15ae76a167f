"""Fixtures that need no ComfyUI: a fast gateway, services, a journal, a clock."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import Clock, ServiceHarness


@pytest.fixture(autouse=True)
def _no_own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the developer's journal, settings or .netrc."""
    for name in ("PIKA_JOURNAL_URL", "PIKA_BASE64_STYLE", "PIKA_MAX_REQUESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def calm() -> Iterator[None]:
    """Disable garbage collection: deep in a recursion, finalizers would fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A gateway whose tasks finish as soon as their small clip is rendered."""
    with Simulator(task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def harness(quick: Simulator, tmp_path: Path) -> Iterator[ServiceHarness]:
    """Services and a journal for the fast gateway."""
    harness = ServiceHarness(quick, tmp_path / "home")
    try:
        yield harness
    finally:
        harness.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that a test sets."""
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """A journal of the test's own."""
    with closing(Journal(sqlite_url(tmp_path / "home"), clock)) as opened:
        yield opened
