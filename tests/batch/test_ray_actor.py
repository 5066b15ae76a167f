"""What the actors of a batch check before they send anything. No cluster is needed for that."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch.test_batch import prompts, table
from cli.test_cli import Shell
from pika_api.batch.ray_workers import Actor, ClipStage, Job, Site
from pika_api.batch.workers import Outcome
from pika_api.errors import InvalidInput, JournalError, LimitReached, PikaError, SettingsError
from simulator import Simulator
from support.api import KEY, run


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """A gateway, whose key and address are in the environment."""
    with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as running:
        monkeypatch.setenv("PIKA_API_KEY", KEY)
        monkeypatch.setenv("PIKA_BASE_URL", running.url)
        monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("PIKA_JOURNAL_URL", raising=False)
        yield running


def use(site: Site | None, output: Path, node: str = "a", **row: Any) -> tuple[Any, Outcome | None]:
    """Start an actor on a machine, run a row in it if it starts, and close it."""

    async def used() -> tuple[Site | PikaError, Outcome | None]:
        actor = Actor(Job(str(output), output.parent), lambda: node)
        try:
            answer = await actor.start(site)
            if isinstance(answer, PikaError) or not row:
                return answer, None
            return answer, await actor.run(row, answer)
        finally:
            await actor.close()

    return run(used())


def test_actor_reads_its_environment(gateway: Simulator, tmp_path: Path) -> None:
    """It is told neither key nor gateway. Afterwards, only the file of the row is there."""
    site, outcome = use(None, tmp_path / "clips", prompt_text="An apple")
    assert isinstance(site, Site)
    assert KEY not in repr(site)
    assert outcome is not None
    assert outcome.result is not None
    assert [path.name for path in (tmp_path / "clips").iterdir()] == [
        Path(outcome.result.file).name
    ]
    assert len(gateway.charged) == 1


def test_actor_that_differs_from_the_first_sends_nothing(
    gateway: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine with a journal in a file, a folder that is not shared, another gateway or
    another journal; and no key."""

    async def first() -> Site:
        actor = Actor(Job(str(tmp_path / "clips"), tmp_path), lambda: "a")
        site = await actor.start(None)
        assert isinstance(site, Site)
        return site

    site = run(first())
    assert use(site, tmp_path / "clips")[0] == site
    answers = [use(site, tmp_path / "clips", node="b"), use(site, tmp_path / "other")]
    with monkeypatch.context() as changed:
        changed.setenv("PIKA_BASE_URL", "https://other.example")
        answers.append(use(site, tmp_path / "clips"))
    with monkeypatch.context() as changed:
        changed.setenv("PIKA_HOME", str(tmp_path / "home of another"))
        answers.append(use(site, tmp_path / "clips"))
    with monkeypatch.context() as changed:
        changed.delenv("PIKA_API_KEY")
        answers.append(use(site, tmp_path / "clips"))
    errors = [answer for answer, _ in answers]
    assert list(map(type, errors)) == [JournalError, InvalidInput, InvalidInput, InvalidInput,
                                       SettingsError]  # fmt: skip
    assert "PostgreSQL" in str(errors[0])
    assert "not the same folder" in str(errors[1])
    assert "different gateways or journals" in str(errors[2])
    assert gateway.log == []


def test_actor_that_was_started_again_checks_as_well(gateway: Simulator, tmp_path: Path) -> None:
    """Ray does not introduce it again: its first row does."""

    async def restarted() -> Outcome:
        site = await Actor(Job(str(tmp_path / "clips"), tmp_path), lambda: "a").start(None)
        assert isinstance(site, Site)
        row = {"prompt_text": "An apple"}
        return await Actor(Job(str(tmp_path / "clips"), tmp_path), lambda: "b").run(row, site)

    outcome = run(restarted())
    assert outcome.result is None
    assert isinstance(outcome.stop, JournalError)
    assert gateway.log == []


def test_actor_closes_while_it_waits(gateway: Simulator, tmp_path: Path) -> None:
    """Tasks that it waits for are left to the next start."""
    gateway.fault("feed", delay=5.0, times=None)

    async def closed() -> None:
        actor = Actor(Job(str(tmp_path / "clips"), tmp_path), lambda: "a")
        site = await actor.start(None)
        assert isinstance(site, Site)
        row = asyncio.ensure_future(actor.run({"prompt_text": "An apple"}, site))
        while not gateway.charged:  # noqa: ASYNC110 - in another thread
            await asyncio.sleep(0.01)
        await asyncio.wait_for(actor.close(), 4.0)
        with pytest.raises(asyncio.CancelledError):
            await row

    run(closed())
    assert len(gateway.charged) == 1


@pytest.mark.parametrize(
    ("package", "arguments", "install"),
    [
        ("ray", ("--ray", "local"), "pip install ray"),
        ("fsspec", ("--output", "s3://bucket/clips"), "pip install fsspec"),
    ],
)
def test_missing_package_is_named(
    gateway: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    arguments: tuple[str, ...],
    install: str,
) -> None:
    """Neither is installed by the pack."""
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    shell = Shell(gateway, tmp_path / "home")
    source = str(table(tmp_path, *prompts(1)))
    done = shell("batch", source, str(tmp_path / "out.csv"), *arguments, code=1)
    assert install in done.stderr
    assert gateway.log == []


def test_stage_of_a_pipeline_adds_the_columns(gateway: Simulator, tmp_path: Path) -> None:
    """With values as Ray Data has them. A second run reuses the tasks; a limit ends it."""
    batch = {
        "prompt_text": np.array(["An apple", "A pear"], dtype=object),
        "seed": np.array([1, 2]),
        "model": np.array(["2.0", None], dtype=object),
        "frame_rate": np.array([16.0, np.nan]),
        "id": np.array(["mine", "yours"]),
    }
    for _ in range(2):
        columns = ClipStage(str(tmp_path / "clips"))(batch)
        assert list(columns["id"]) == ["mine", "yours"]
        assert columns["state"] == ["saved", "saved"]
        assert set(columns["pika_id"]) == set(gateway.charged)
        assert all(Path(file).is_file() for file in columns["file"])
    assert len(gateway.charged) == 2
    bodies = [post.body for post in gateway.requests("POST")]
    assert sorted((body["model"], body["options"]["frameRate"]) for body in bodies) == [
        ("1.5", 24), ("2.0", 16),
    ]  # fmt: skip


def test_stage_of_a_pipeline_ends_at_a_limit(
    gateway: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that was not sent is not silently without a clip."""
    monkeypatch.setenv("PIKA_DAILY_LIMIT", "1")
    with pytest.raises(LimitReached):
        ClipStage(str(tmp_path / "clips"))({"prompt_text": np.array(["An apple", "A pear"])})
    assert len(gateway.charged) == 1
