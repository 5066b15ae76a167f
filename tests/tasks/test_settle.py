"""A request whose outcome is unknown gets the task id that the user found at the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from pika_api.errors import (
    FeedError,
    InvalidInput,
    OtherGateway,
    PikaError,
    SubmitUnknown,
    TaskFailed,
    TaskNotFound,
)
from pika_api.journal import Entry, State
from pika_api.tasks import Submitted
from support.api import RawServer, ServiceHarness, answer, ask, run


def unknown(harness: ServiceHarness) -> Entry:
    """The entry of a request that was charged, and whose answer was lost."""
    harness.gateway.fault("submit", reset=True, accept=True)
    with pytest.raises(SubmitUnknown):
        harness.submit()
    (entry,) = harness.journal.entries([State.UNKNOWN])
    return entry


def settle(harness: ServiceHarness, entry: Entry, task_id: str) -> Entry:
    """Settle an entry with the first service."""
    return run(harness.service.settle(entry.id, task_id))


def test_settled_request_reuses_its_task(harness: ServiceHarness) -> None:
    """The same workflow goes on with the task, and nothing is sent."""
    entry = unknown(harness)
    (task_id,) = harness.gateway.charged
    settled = settle(harness, entry, task_id)
    assert (settled.id, settled.task_id, settled.last_error) == (entry.id, task_id, "")
    assert run(harness.service.submit(ask())) == Submitted(task_id, reused=True)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert settle(harness, entry, task_id).state is State.SAVED
    assert harness.posts == 1


@pytest.mark.parametrize("before", ["status", "collect"])
def test_task_that_was_used_by_hand_before_becomes_one_entry(
    harness: ServiceHarness, before: str
) -> None:
    """The id was given to Pika Status or Pika Result first, which made an entry of its own. What is
    known of the task is kept, and a file is not downloaded again."""
    entry = unknown(harness)
    (task_id,) = harness.gateway.charged
    run(getattr(harness.service, before)(task_id))
    assert len(harness.journal.entries()) == 2
    settle(harness, entry, task_id)
    (listed,) = harness.journal.entries()
    assert (listed.id, listed.task_id) == (entry.id, task_id)
    asked = len(harness.gateway.requests("GET", server="cdn"))
    assert run(harness.service.collect(task_id)).path.is_file()
    assert len(harness.gateway.requests("GET", server="cdn")) == max(asked, 1)
    assert run(harness.service.submit(ask())) == Submitted(task_id, reused=True)


@pytest.mark.parametrize("end", ["saved", "failed"])
def test_end_of_a_task_that_was_used_by_hand_before_is_recorded_for_its_request(
    harness: ServiceHarness, end: str
) -> None:
    """The task was still running when its id was entered. What the feed says later belongs to the
    entry in the list, not to the one that was merged into it."""
    error = {"error": "NSFW"} if end == "failed" else {}
    harness.gateway.fault("task", seconds=1.0, **error)
    entry = unknown(harness)
    (task_id,) = harness.gateway.charged
    run(harness.service.status(task_id))
    settle(harness, entry, task_id)
    if end == "saved":
        run(harness.service.collect(task_id))
    else:
        with pytest.raises(TaskFailed):
            run(harness.service.wait(task_id))
    (listed,) = harness.journal.entries()
    assert (listed.id, listed.state) == (entry.id, State(end))
    assert run(harness.service.submit(ask())).reused == (end == "saved")


def refused(harness: ServiceHarness, entry: Entry, task_id: str, kind: type[PikaError]) -> str:
    """The text of the error; the entry has not changed, and it still blocks its request."""
    before = harness.journal.get(entry.id)
    with pytest.raises(kind) as caught:
        settle(harness, entry, task_id)
    assert caught.value.hint
    assert harness.journal.get(entry.id) == before
    return str(caught.value)


def test_mistyped_id_changes_nothing(harness: ServiceHarness) -> None:
    """The gateway does not know it, and no entry is created for it."""
    entry = unknown(harness)
    assert "does not know" in refused(harness, entry, "mistyped", TaskNotFound)
    assert len(harness.journal.entries()) == 1


@pytest.mark.parametrize("task_id", ["", " ", ".", "0", "None\n1", "<b>x</b>", "x" * 256])
def test_text_that_cannot_be_an_id_is_not_asked_for(harness: ServiceHarness, task_id: str) -> None:
    """The gateway gets no request about it."""
    entry = unknown(harness)
    asked = len(harness.gateway.log)
    assert "is not a task id" in refused(harness, entry, task_id, InvalidInput)
    assert len(harness.gateway.log) == asked


def test_spaces_around_the_id_are_ignored(harness: ServiceHarness) -> None:
    """They come with a copy from a web page."""
    entry = unknown(harness)
    (task_id,) = harness.gateway.charged
    assert settle(harness, entry, f"\t{task_id} \n").task_id == task_id


def test_id_of_another_request_is_refused(harness: ServiceHarness) -> None:
    """Two requests cannot have one task. The message names the other entry."""
    other = harness.submit(take=5)
    entry = unknown(harness)
    number = harness.journal.find_by_task_id(other)
    assert number is not None
    text = refused(harness, entry, other, InvalidInput)
    assert f"task_id: {other} is already the task of another request, #{number.id}." in text


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 401}, {"reset": True}])
def test_gateway_that_does_not_answer_changes_nothing(
    harness: ServiceHarness, fault: dict[str, Any]
) -> None:
    """An id that nobody has confirmed is not taken."""
    entry = unknown(harness)
    harness.gateway.fault("feed", times=None, **fault)
    refused(harness, entry, harness.gateway.charged[0], FeedError)


def test_other_gateway_is_not_asked(harness: ServiceHarness) -> None:
    """The request was sent to another gateway than that of the settings."""
    entry = unknown(harness)
    with RawServer(answer(200, {"videos": [{"status": "finished"}]})) as server:
        service = harness.another(base_url=server.url)
        with pytest.raises(OtherGateway, match="base URL"):
            run(service.settle(entry.id, "t-1"))
        assert server.seen == []


@pytest.mark.parametrize("state", ["has a task", "was refused", "was forgotten", "is missing"])
def test_only_an_unknown_request_is_settled(harness: ServiceHarness, state: str) -> None:
    """Each other request is refused, with its number, and the id of its task if it has one."""
    free = unknown(harness)
    (task_id,) = harness.gateway.charged
    harness.submit(take=1)
    entry = harness.journal.entries()[0]
    if state == "was refused":
        harness.gateway.fault("submit", status=400, body={"error": {"message": "no"}})
        with pytest.raises(PikaError, match="no"):
            harness.submit(take=2)
        entry = harness.journal.entries([State.REFUSED])[0]
    elif state == "was forgotten":
        harness.journal.forget(free.id)
        entry = free
    number = 999 if state == "is missing" else entry.id
    with pytest.raises(InvalidInput) as caught:
        run(harness.service.settle(number, task_id))
    what = f"task: #{number} does not wait for a task id."
    if state == "is missing":
        what = f"task: #{number} is not in the journal."
    elif state == "has a task":
        what += f" It is task {entry.task_id}."
    assert str(caught.value) == f"{what}\n{caught.value.hint}"
    assert ("`tasks`" in caught.value.hint) == (state == "is missing")


def test_failed_task_releases_the_request(harness: ServiceHarness) -> None:
    """The gateway ended the task that the user found with an error: like any failed task, it may be
    sent again."""
    entry = unknown(harness)
    (task_id,) = harness.gateway.charged
    harness.gateway.fault("feed", body={"videos": [{"status": "error", "error": "moderation"}]})
    assert settle(harness, entry, task_id).state is State.FAILED
    assert not run(harness.service.submit(ask())).reused
    assert harness.posts == 2
