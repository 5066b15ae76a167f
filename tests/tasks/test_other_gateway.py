"""A task belongs to the gateway that created it: another one is never asked about it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pika_api.errors import OtherGateway
from pika_api.journal import State
from pika_api.tasks import Service
from support.api import RawServer, ServiceHarness, answer, ask, run

FAILED = answer(200, {"videos": [{"status": "error", "error": "moderation"}]})
Call = Callable[[Service, str], Coroutine[Any, Any, object]]
CALLS: dict[str, Call] = {
    "status": lambda service, task_id: service.status(task_id),
    "wait": lambda service, task_id: service.wait(task_id, timeout=1.0),
    "collect": lambda service, task_id: service.collect(task_id, timeout=1.0),
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("state", [State.SUBMITTED, State.RUNNING, State.FINISHED])
def test_other_gateway_is_not_asked_and_changes_nothing(
    harness: ServiceHarness, name: str, state: State
) -> None:
    """The error names both gateways. The other one receives no request, the row stays as it is, and
    the request is still the same task."""
    task_id = harness.submit()
    entry = harness.journal.entries()[0]
    if state is State.RUNNING:
        harness.journal.mark_running(entry.id, 47)
    if state is State.FINISHED:
        harness.journal.mark_finished(entry.id, "http://127.0.0.1:1/v.mp4")
    before = harness.journal.get(entry.id)
    with RawServer(FAILED) as other:
        service = harness.another(base_url=other.url)
        with pytest.raises(OtherGateway) as caught:
            run(CALLS[name](service, task_id))
        assert other.seen == []
    for words in (task_id, harness.gateway.url, other.url, "nothing was charged"):
        assert words in str(caught.value)
    assert harness.journal.get(entry.id) == before
    assert run(harness.service.submit(ask())).reused
    assert harness.posts == 1


def test_saved_file_is_returned_without_asking_anybody(harness: ServiceHarness) -> None:
    """The file of a saved task does not depend on the gateway of the settings."""
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    with RawServer(FAILED) as other:
        assert run(harness.another(base_url=other.url).collect(task_id)).path == path
        assert other.seen == []


def test_id_without_an_entry_is_asked_for_at_the_current_gateway(harness: ServiceHarness) -> None:
    """A task that was submitted elsewhere gets an entry of the gateway that knows it."""
    with RawServer(FAILED) as other:
        service = harness.another(base_url=other.url)
        assert run(service.status("typed-in")).error == "moderation"
        assert harness.journal.entries()[0].base_url == other.url
