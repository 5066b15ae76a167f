"""A 429 holds for the key: every process with the same journal pauses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pika_api.errors import FeedError, NotAccepted
from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from pika_api.tasks.key_backoff import KeyBackoff
from support.api import Clock, ServiceHarness, ask, run


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[tuple[Clock, Journal, Journal]]:
    """The journals of two processes, on one file, and their clock."""
    clock = Clock()
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(closing(Journal(sqlite_url(tmp_path), clock))) for _ in range(2)
        )
        yield clock, one, two


def test_429_to_one_process_pauses_the_other(harness: ServiceHarness) -> None:
    """Its submit and its reading of the feed come after the pause; nothing in between."""
    first, second = harness.service, harness.another()
    other_key = harness.another(api_key="sk-another-key-of-the-user")
    task_id = run(first.submit(ask(), take=0)).task_id
    harness.gateway.fault("feed", task_id=task_id, status=429, headers={"Retry-After": "2"})
    with pytest.raises(FeedError):
        run(first.status(task_id))
    (braked,) = (seen.monotonic for seen in harness.gateway.log if seen.status == 429)
    with pytest.raises(NotAccepted):  # the simulator has one key: but it was asked at once
        run(other_key.submit(ask(), take=2))
    assert harness.gateway.log[-1].monotonic - braked < 1.8
    assert run(second.submit(ask(), take=1)).task_id
    assert harness.gateway.log[-1].monotonic - braked > 1.8


def test_pause_is_that_of_the_key(journals: tuple[Clock, Journal, Journal]) -> None:
    """Another key goes on; the later end counts; it ends by itself."""
    clock, one, two = journals
    one.pauses.begin("key", 5.0)
    two.pauses.begin("key", 2.0)
    assert two.pauses.remaining("key") == one.pauses.remaining("key") == 5.0
    assert two.pauses.remaining("other") == 0.0
    clock.now += 4.0
    assert two.pauses.remaining("key") == 1.0
    two.pauses.begin("key", 3.0)
    assert one.pauses.remaining("key") == 3.0
    clock.now += 3.0
    assert one.pauses.remaining("key") == 0.0


@pytest.mark.parametrize("step", [-7 * 86_400.0, -4000.0, 7 * 86_400.0])
def test_wall_clock_that_is_set_holds_nothing_up(
    journals: tuple[Clock, Journal, Journal], step: float
) -> None:
    """Neither now nor with the next 429."""
    clock, one, two = journals
    one.pauses.begin("key", 5.0)
    clock.now += step
    assert two.pauses.remaining("key") == 0.0
    two.pauses.begin("key", 2.0)
    assert one.pauses.remaining("key") == 2.0


def test_others_are_looked_at_once_a_second(journals: tuple[Clock, Journal, Journal]) -> None:
    """By all threads of a process together, and a back-off that is known is not written again."""
    clock, one, two = journals
    backoffs = KeyBackoff(one, "key", clock), KeyBackoff(two, "key", clock)
    writer, reader = backoffs
    reader.look()
    writer.slow_down(5.0)
    clock.now += 0.5
    reader.look()
    assert reader.wait() == 0.0
    clock.now += 0.6
    reader.look()
    assert reader.wait() == pytest.approx(3.9)
    before = one.pauses.remaining("key")
    reader.slow_down(2.0)
    assert one.pauses.remaining("key") == before


def test_back_off_works_without_the_database(tmp_path: Path) -> None:
    """Of this process, at least: a file where the journal's folder should be."""
    (tmp_path / "file").touch()
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path / "file"))) as journal:
        backoff = KeyBackoff(journal, "key", clock)
        backoff.look()
        backoff.slow_down(3.0)
        assert backoff.wait() == 3.0
