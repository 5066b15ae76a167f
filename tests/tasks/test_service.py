"""Arguments of the service's methods reach the parts that use them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pika_api.errors import SettingsError, TaskTimeout
from pika_api.gateway import SizeLimits, Task, Timeouts
from pika_api.progress import ProgressObserver
from pika_api.tasks import Service, ServicePolicy
from support.api import GENERATE, ServiceHarness, ask, run

Call = Callable[[Service, Task, ProgressObserver], Coroutine[Any, Any, Any]]

KEYED: dict[str, Call] = {
    "submit": lambda service, _, observer: service.submit(ask(), take=1, observer=observer),
    "status": lambda service, task, observer: service.status(task.id, observer=observer),
    "wait": lambda service, task, observer: service.wait(task.id, observer=observer),
    "collect": lambda service, task, observer: service.collect(task.id, observer=observer),
}
WATCHED: dict[str, Call] = {
    **KEYED,
    "prepare": lambda service, _, observer: service.prepare(time.sleep, 1.0, observer=observer),
    "picture": lambda service, task, observer: service.fetch_poster(
        task.poster_url, task.id, observer=observer
    ),
}


class Stopped(Exception):
    """What ComfyUI's interrupt raises."""


@pytest.mark.parametrize("call", KEYED.values(), ids=KEYED)
def test_no_request_is_sent_without_a_key(harness: ServiceHarness, call: Call) -> None:
    """Every call raises the error that explains how to set a key."""
    with pytest.raises(SettingsError, match="No API key"):
        run(call(harness.another(api_key=""), Task.from_feed("t", {}), ProgressObserver()))
    assert harness.gateway.log == []


@pytest.mark.parametrize("call", WATCHED.values(), ids=WATCHED)
def test_every_call_can_be_interrupted(harness: ServiceHarness, call: Call) -> None:
    """A gateway, a media host or local work that takes a second: an interrupt ends each call."""

    def check() -> None:
        raise Stopped

    task = run(harness.service.wait(harness.submit()))
    for place in ("submit", "feed", "media"):
        harness.gateway.fault(place, delay=1.0)
    with pytest.raises(Stopped):
        run(call(harness.service, task, ProgressObserver(check)))


def test_max_requests_is_respected(harness: ServiceHarness) -> None:
    """With one at a time the second request follows the first one's answer."""
    service = harness.another(max_requests=1)
    harness.gateway.fault("submit", delay=0.3, times=2)

    async def both() -> None:
        await asyncio.gather(*(service.submit(ask(), take=take) for take in (1, 2)))

    run(both())
    first, second = harness.gateway.requests("POST", GENERATE)
    # Windows' clock goes in steps of 16 ms.
    assert second.monotonic - first.monotonic >= 0.25


@pytest.mark.parametrize("call", ["wait", "collect"])
def test_timeout_is_respected(harness: ServiceHarness, call: str) -> None:
    """The waiting ends then; the task is kept."""
    harness.gateway.fault("task", stuck=True)
    task_id = harness.submit()
    with pytest.raises(TaskTimeout) as caught:
        run(getattr(harness.service, call)(task_id, timeout=0.3))
    assert caught.value.task_id == task_id


def test_submit_defaults_to_take_0_without_a_node(harness: ServiceHarness) -> None:
    """The command line leaves these out."""
    harness.submit()
    (entry,) = harness.journal.entries()
    assert (entry.take, entry.node_id, entry.prompt_id) == (0, "", "")


def test_prepare_passes_arguments_and_result(harness: ServiceHarness) -> None:
    """And the error of the call."""
    assert run(harness.service.prepare(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        run(harness.service.prepare(divmod, 7, 0))


def with_thumbnails(harness: ServiceHarness, folder: Path, **given: Any) -> closing[Service]:
    """A service that stores thumbnails."""
    settings = replace(harness.service.settings, **given)
    return closing(Service(settings, harness.journal, harness.output, thumbnails=folder))


def test_fetched_poster_is_stored_as_thumbnail(harness: ServiceHarness, tmp_path: Path) -> None:
    """It is returned complete, and the sidebar has a thumbnail of it without asking the gateway."""
    task = run(harness.service.wait(harness.submit()))
    (entry,) = harness.journal.entries()
    with with_thumbnails(harness, tmp_path) as service:
        assert run(service.fetch_poster(task.poster_url, task.id)) == run(
            harness.service.fetch_poster(task.poster_url, task.id)
        )
        seen = len(harness.gateway.log)
        kept = run(service.thumbnail(entry))
        assert kept is not None
        assert kept.is_file()
    assert len(harness.gateway.log) == seen


def test_thumbnail_is_requested_only_with_a_key(harness: ServiceHarness, tmp_path: Path) -> None:
    """Without a key, or without a folder for thumbnails, there is none, and no error."""
    run(harness.service.wait(harness.submit()))
    (entry,) = harness.journal.entries()
    seen = len(harness.gateway.log)
    assert run(harness.service.thumbnail(entry)) is None
    with with_thumbnails(harness, tmp_path, api_key="") as service:
        assert run(service.thumbnail(entry)) is None
    assert len(harness.gateway.log) == seen
    with with_thumbnails(harness, tmp_path) as service:
        assert run(service.thumbnail(entry)) is not None


def test_each_part_of_a_service_gets_its_policy(harness: ServiceHarness) -> None:
    """The time and size limits of the policy hold in the client, its pauses in the workers, and
    the policy itself in the submitter, the poller and the collector."""
    policy = ServicePolicy(
        timeouts=Timeouts(), size_limits=SizeLimits(), rate_limit_pause=7.5, exit_grace=0.25
    )
    with closing(
        Service(harness.service.settings, harness.journal, harness.output, policy=policy)
    ) as service:
        assert service._client._timeouts is policy.timeouts
        assert service._client._limits is policy.size_limits
        assert service._workers._rate_limit_pause == policy.rate_limit_pause
        assert service._workers._submits._grace == policy.exit_grace
        for part in (service._submitter, service._poller, service._collector):
            assert part._policy is policy
