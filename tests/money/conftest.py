"""Fixtures for the tests about money: a quick gateway, and a desk at it with short leases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from support.api import KEY, ServiceHarness
from support.money import LEASE, POLICY, assert_key_not_kept, assert_nothing_lost, shorten


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A gateway whose tasks are finished as soon as their small clip is drawn."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        yield running


@pytest.fixture
def harness(
    quick: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServiceHarness]:
    """Services and a journal at the quick gateway; whatever a test did, nothing is lost by it."""
    shorten(monkeypatch)
    made = ServiceHarness(quick, tmp_path / "home", POLICY, lease=LEASE)
    try:
        yield made
        assert_nothing_lost(quick, made.journal)
        assert_key_not_kept(quick.key, made.home)
    finally:
        made.close()
