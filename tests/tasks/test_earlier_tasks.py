"""What is paid for stays reachable, whatever the gateway says of it later."""

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
from pika_api.tasks import poll
from support.api import RawServer, ServiceHarness, answer, ask, client_of, payload, run
from support.waiting import until


def test_trouble_told_with_200_ends_no_task(harness: ServiceHarness) -> None:
    """An error about the answer, without the video's own status, is the gateway's trouble of the
    moment: the task goes on, and the same request is not paid for again."""
    trouble = {"status": "error", "code": 500, "message": "upstream busy, try again"}
    harness.gateway.fault("feed", body=trouble, times=2)
    task_id = harness.submit()
    assert run(harness.service.status(task_id)).status is Status.UNKNOWN
    assert harness.journal.adopt(task_id, "", "").state is State.RUNNING
    assert run(harness.service.collect(task_id)).path.is_file()
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_the_words_of_such_trouble_are_shown() -> None:
    """They stand where the status would."""
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
def test_an_id_by_another_name_is_an_id(body: dict[str, object], task_id: str) -> None:
    """The task is charged: its id is taken wherever gateways put it."""
    with RawServer(answer(200, body)) as server, client_of(server.url) as client:
        assert client.submit(payload()) == task_id


def test_an_answer_without_an_id_is_shown_whole() -> None:
    """Should there be an id in it that nobody expected there, the user can read it."""
    odd = {"message": "success", "job": {"reference": "abc-123"}}
    with (
        RawServer(answer(200, odd)) as server,
        client_of(server.url) as client,
        pytest.raises(SubmitUnknown, match="abc-123"),
    ):
        client.submit(payload())


@pytest.fixture
def _soon_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task counts as new for half a second, not for a minute."""
    monkeypatch.setattr(poll, "NEW_TASK_GRACE", 0.5)


def finished_without_its_file(harness: ServiceHarness) -> str:
    """A task that was finished and saved, whose file is gone and whose feed knows it no more."""
    task_id = harness.submit()
    run(harness.service.collect(task_id)).path.unlink()
    harness.gateway.fault("feed", status=404, times=None)
    return task_id


@pytest.mark.usefixtures("_soon_old")
def test_a_finished_task_is_fetched_by_its_old_link(harness: ServiceHarness) -> None:
    """Its feed does not know it any more, its link is still good: the file comes."""
    task_id = finished_without_its_file(harness)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert harness.posts == 1


@pytest.mark.usefixtures("_soon_old")
def test_a_finished_task_without_file_and_link_stays_that_task(harness: ServiceHarness) -> None:
    """The error says that it is paid for, and how to pay for a new take on purpose; the same
    request still is that task."""
    task_id = finished_without_its_file(harness)
    harness.gateway.expire_links()
    with pytest.raises(LinkRefused, match=task_id) as caught:
        run(harness.service.collect(task_id))
    for words in ("paid for", "seed", f"forget {task_id}", str(harness.home)):
        assert words in str(caught.value)
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_an_unknown_task_is_still_unknown(harness: ServiceHarness) -> None:
    """One that was never finished is not taken for finished when its feed does not know it."""
    with pytest.raises(TaskNotFound):
        run(harness.service.status("nobody-knows"))


def test_a_file_that_was_renamed_and_not_written_down(harness: ServiceHarness) -> None:
    """Killed between the two, the process leaves a whole file: it is found, not fetched again."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    service = harness.another()
    service.journal.mark_finished(service.journal.adopt(task_id, "", "").id, found.result_url)
    with service.journal._begin() as connection:  # as the kill leaves it
        connection.exec_driver_sql("UPDATE pika_tasks SET state = 'finished', file_path = ''")
    before = len(harness.gateway.requests(server="cdn"))
    assert run(service.collect(task_id)).path == found.path
    assert len(harness.gateway.requests(server="cdn")) == before
    assert service.journal.adopt(task_id, "", "").state is State.SAVED


def test_a_file_that_was_cut_later_is_fetched_again(harness: ServiceHarness) -> None:
    """A file that does not decode to its end is not given as the task's video."""
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert run(harness.service.collect(task_id)).path.read_bytes() == whole


def test_a_relative_output_folder_is_found_from_elsewhere(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's path holds from any other folder."""
    monkeypatch.chdir(tmp_path)
    service = harness.another(output=Path("clips"))
    task_id = run(service.submit(ask())).task_id
    run(service.collect(task_id))
    assert Path(service.journal.adopt(task_id, "", "").file_path).is_absolute()


def test_what_is_being_sent_cannot_be_forgotten(harness: ServiceHarness) -> None:
    """Forgotten in the middle, a twin that waits for it would send, and pay, as well."""
    harness.gateway.fault("submit", delay=1.0)
    sending = threading.Thread(target=harness.submit)
    sending.start()
    entry = until(lambda: next(iter(harness.another().journal.entries((State.SENT,))), None))
    assert not harness.journal.forget(entry.id)
    sending.join()
    assert harness.journal.forget(entry.id)


def test_what_waits_for_a_thread_is_not_sent_after_an_interrupt(harness: ServiceHarness) -> None:
    """Interrupted while others hold all the threads, a request is never sent: nobody would be
    there for its task."""
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


def test_a_date_far_out_says_nothing() -> None:
    """A time zone that overflows is a header that cannot be read, not an accident."""
    value = "Mon, 01 Jan 2024 00:00:00 +99999999999999"
    assert parse_retry_after(value, 0.0) is None
