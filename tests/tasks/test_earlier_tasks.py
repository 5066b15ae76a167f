"""Paid tasks stay reachable, whatever the gateway says about them later."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from pika_api.errors import LinkRefused, SubmitUnknown, TaskNotFound
from pika_api.gateway import Status, Task
from pika_api.gateway.retry import parse_retry_after
from pika_api.journal import State
from pika_api.progress import ProgressObserver
from pika_api.tasks import ServicePolicy
from support.api import RawServer, ServiceHarness, answer, ask, client_of, payload, run
from support.waiting import until


def test_error_with_status_200_does_not_end_a_task(harness: ServiceHarness) -> None:
    """An error about the answer, without the video's own status, is temporary: the task goes on,
    and the same request is not paid for again."""
    trouble = {"status": "error", "code": 500, "message": "upstream busy, try again"}
    harness.gateway.fault("feed", body=trouble, times=2)
    task_id = harness.submit()
    assert run(harness.service.status(task_id)).status is Status.UNKNOWN
    entry = harness.journal.find_by_task_id(task_id)
    assert entry is not None
    assert entry.state is State.RUNNING
    assert run(harness.service.collect(task_id)).path.is_file()
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_error_with_status_200_is_displayed() -> None:
    """Its words take the place of the status."""
    task = Task.from_feed("t", {"code": 500, "message": "upstream busy"})
    assert task.status is Status.UNKNOWN
    assert "upstream busy" in task.raw_status


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"id": 12345}, "12345"),
        ({"task_id": "t-1"}, "t-1"),
        ({"code": 200, "message": "success", "data": {"taskId": "t-2"}}, "t-2"),
    ],
)
def test_id_in_other_fields_is_accepted(body: dict[str, object], task_id: str) -> None:
    """The task is charged: its id is read from every field that gateways use."""
    with RawServer(answer(200, body)) as server, client_of(server.url) as client:
        assert client.submit(payload()) == task_id


def test_answer_without_an_id_is_quoted() -> None:
    """If the id is in an unexpected field, the user can read it."""
    odd = {"message": "success", "job": {"reference": "abc-123"}}
    with (
        RawServer(answer(200, odd)) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown, match="abc-123"),
    ):
        client.submit(payload())


@pytest.fixture
def _soon_old(harness: ServiceHarness) -> None:
    """A task counts as new for half a second, not for a minute."""
    harness.policy = ServicePolicy(new_task_grace=0.5)


def finished_without_its_file(harness: ServiceHarness) -> str:
    """A task that was finished and saved, whose file is gone and whose feed knows it no more."""
    task_id = harness.submit()
    run(harness.service.collect(task_id)).path.unlink()
    harness.gateway.fault("feed", status=404, times=None)
    return task_id


@pytest.mark.usefixtures("_soon_old")
def test_finished_task_is_downloaded_by_its_last_link(harness: ServiceHarness) -> None:
    """The feed no longer knows the task, but its link works: the file is downloaded."""
    task_id = finished_without_its_file(harness)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert harness.posts == 1


@pytest.mark.usefixtures("_soon_old")
def test_finished_task_without_file_and_link_is_still_reused(harness: ServiceHarness) -> None:
    """The error says that it is paid for, and how to pay for a new take on purpose. The same
    request is still this task."""
    task_id = finished_without_its_file(harness)
    harness.gateway.expire_links()
    with pytest.raises(LinkRefused, match=task_id) as caught:
        run(harness.service.collect(task_id))
    for words in ("paid for", "seed", f"forget {task_id}", str(harness.home)):
        assert words in str(caught.value)
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_unknown_task_is_not_taken_for_finished(harness: ServiceHarness) -> None:
    """A task that was never finished is not found when its feed does not know it."""
    with pytest.raises(TaskNotFound):
        run(harness.service.status("nobody-knows"))


def test_file_saved_before_a_crash_is_found(harness: ServiceHarness) -> None:
    """The process was killed between saving and recording: the complete file is found, not
    downloaded again."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    service = harness.another()
    service.journal.mark_finished(service.journal.adopt(task_id, "", "").id, found.result_url)
    with service.journal._database.write() as connection:  # as the kill leaves it
        connection.exec_driver_sql("UPDATE pika_tasks SET state = 'finished', file_path = ''")
    before = len(harness.gateway.requests(server="cdn"))
    assert run(service.collect(task_id)).path == found.path
    assert len(harness.gateway.requests(server="cdn")) == before
    assert service.journal.adopt(task_id, harness.gateway.url, "").state is State.SAVED


def test_file_cut_after_saving_is_downloaded_again(harness: ServiceHarness) -> None:
    """A file that does not decode to its end is not returned as the task's video."""
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert run(harness.service.collect(task_id)).path.read_bytes() == whole


def test_relative_output_folder_is_recorded_as_absolute(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded path is valid from any working directory."""
    monkeypatch.chdir(tmp_path)
    service = harness.another(output=Path("clips"))
    task_id = run(service.submit(ask())).task_id
    run(service.collect(task_id))
    entry = service.journal.find_by_task_id(task_id)
    assert entry is not None
    assert Path(entry.file_path).is_absolute()


def test_request_that_is_being_sent_cannot_be_forgotten(harness: ServiceHarness) -> None:
    """Otherwise an identical request that waits for it would send and pay as well."""
    harness.gateway.fault("submit", delay=1.0)
    sending = threading.Thread(target=harness.submit)
    sending.start()
    entry = until(lambda: next(iter(harness.another().journal.entries((State.SENT,))), None))
    assert not harness.journal.forget(entry.id)
    sending.join()
    assert harness.journal.forget(entry.id)


def test_queued_request_is_not_sent_after_an_interrupt(harness: ServiceHarness) -> None:
    """Interrupted while all threads are busy, it is never sent: nobody would use its task."""
    harness.gateway.fault("submit", delay=1.2)
    service = harness.another(max_requests=1)
    first = threading.Thread(target=lambda: run(service.submit(ask("first"))))
    first.start()
    until(lambda: harness.posts == 1)

    class Stopped(Exception):
        """The user's interrupt."""

    def check() -> None:
        if service.journal.entries((State.INTENDED,)):
            raise Stopped

    with pytest.raises(Stopped):
        run(service.submit(ask("second"), observer=ProgressObserver(check=check)))
    first.join()
    service.close()
    assert [
        json.loads(each.text or "")["promptText"] for each in harness.gateway.requests("POST")
    ] == ["first"]


def test_retry_after_date_out_of_range_is_ignored() -> None:
    """A time zone that overflows is an unreadable header, not a crash."""
    value = "Mon, 01 Jan 2024 00:00:00 +99999999999999"
    assert parse_retry_after(value, 0.0) is None
