"""Fixtures for the tests about money: a quick gateway, and a desk at it with short leases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from support.api import KEY, Desk
from support.money import assert_key_not_kept, assert_nothing_lost, shorten


@pytest.fixture(autouse=True)
def _no_own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the developer's journal, settings or .netrc."""
    for name in ("PIKA_JOURNAL_URL", "PIKA_BASE64_STYLE", "PIKA_MAX_REQUESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A gateway whose tasks are finished as soon as their small clip is drawn."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def desk(quick: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Services and a journal at the quick gateway; whatever a test did, nothing is lost by it."""
    shorten(monkeypatch)
    made = Desk(quick, tmp_path / "home")
    try:
        yield made
        assert_nothing_lost(quick, made.journal)
        assert_key_not_kept(quick.key, made.home)
    finally:
        made.close()
