"""The tasks' routes in a real ComfyUI that has its key from the environment."""

from __future__ import annotations

import csv
import io
import time
from contextlib import closing
from typing import Any

import pytest
from PIL import Image

from simulator import Simulator
from support.comfy import Comfy, Graph
from support.gateway import HELD, held_tasks
from support.graphs import generate, text_to_video
from support.routes import (
    HEADER,
    add_entry,
    add_task_of_another_gateway,
    foreign_requests,
    get,
    home,
    journal_of,
    post_error,
    post_ok,
    settings_file,
)
from support.waiting import until

pytestmark = pytest.mark.comfy


def newest(comfy: Comfy) -> dict[str, Any]:
    """The newest task of the list."""
    return dict(get(comfy, "tasks?limit=1")["tasks"][0])


def create_task(comfy: Comfy, prompt: str, *, wait: bool = True) -> dict[str, Any]:
    """A task in the list. With `wait` its file is saved, without it no node waits for it."""
    graph = text_to_video(prompt) if wait else {"1": generate(prompt)}
    assert comfy.run(graph).error is None
    task = newest(comfy)
    assert task["prompt"] == prompt[:500]
    return task


def test_task_in_the_list_has_the_fields_of_its_card(comfy: Comfy, gateway: Simulator) -> None:
    """Its file is described as ComfyUI's /view wants it, and a long prompt is shortened."""
    started = time.time()
    task = create_task(comfy, "A <b>pear</b> 梨 " + "very " * 200)
    assert task["task_id"] == gateway.charged[-1]
    assert (task["state"], task["kind"], task["progress"]) == ("saved", "video", 100)
    assert (task["error"], task["forgotten"]) == ("", False)
    assert started <= task["created_at"] <= time.time()
    assert comfy.request("GET", "/view", params=task["file"]).content[4:8] == b"ftyp"
    request = get(comfy, f"tasks/{task['number']}/request")["request"]
    assert len(request["promptText"]) > 500


def test_list_has_pages_and_changes_since_a_cursor(comfy: Comfy) -> None:
    """The pages have the newest task first. With a cursor the list has only the tasks that changed
    since, also forgotten ones."""
    numbers = [add_entry(comfy, name) for name in ("a", "b", "c")]
    page = get(comfy, "tasks?limit=2")
    assert [task["number"] for task in page["tasks"]] == numbers[:0:-1]
    assert page["more"] is True
    before = get(comfy, f"tasks?limit=1&before={numbers[1]}")
    assert [task["number"] for task in before["tasks"]] == numbers[:1]
    assert get(comfy, f"tasks?since={page['cursor']!r}")["tasks"] == []
    with closing(journal_of(comfy)) as journal:
        journal.mark_rejected(numbers[0], "another", "no")
        journal.mark_withdrawn(numbers[2], "another")
        journal.forget(numbers[2])
    changed = get(comfy, f"tasks?since={page['cursor']!r}")
    states = {task["number"]: (task["state"], task["forgotten"]) for task in changed["tasks"]}
    assert states == {numbers[0]: ("refused", False), numbers[2]: ("refused", True)}
    assert numbers[2] not in [task["number"] for task in get(comfy, "tasks")["tasks"]]
    assert get(comfy, f"tasks?since={changed['cursor']!r}")["tasks"] == []


@pytest.mark.parametrize("since", ["1800000002", "1800000002.00001", "0.0", "-1", "1e300"])
def test_cursor_of_another_journal_or_version_lists_everything(comfy: Comfy, since: str) -> None:
    """An editor tab that is older than an update sends a time, as schema 2 used it."""
    numbers = [add_entry(comfy, name) for name in ("a", "b")]
    page = get(comfy, "tasks?since=0&limit=1000")
    assert [task["number"] for task in page["tasks"]][-2:] == numbers
    assert get(comfy, f"tasks?since={since}&limit=1000") == page
    assert isinstance(page["cursor"], int)


@pytest.mark.parametrize(
    "query",
    [
        "limit=x", "before=1.5", "since=now", "since=nan", "since=inf",
        f"before={'9' * 30}", f"limit={'9' * 5000}", "before=٣", "before=+1", "before=1_0",
    ],
    ids=lambda query: query[:20],
)  # fmt: skip
def test_invalid_query_is_named(comfy: Comfy, query: str) -> None:
    """The status is 400, not 500."""
    answer = comfy.request("GET", f"/pika/tasks?{query}", headers=HEADER)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert query.partition("=")[0] in answer.json()["error"]


@pytest.mark.parametrize("path", ["request", "poster"])
@pytest.mark.parametrize("number", [999_999_999, 0])
def test_unknown_number_is_named(comfy: Comfy, path: str, number: int) -> None:
    """The status is 404."""
    answer = comfy.request("GET", f"/pika/tasks/{number}/{path}", headers=HEADER)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert str(number) in answer.json()["error"]


def test_forgotten_task_is_created_and_charged_again(comfy: Comfy, gateway: Simulator) -> None:
    """A forgotten task is no longer in the list. Its workflow, queued again, creates a new task."""
    graph = text_to_video("To be forgotten")
    assert comfy.run(graph).error is None
    task = newest(comfy)
    assert post_ok(comfy, f"tasks/{task['number']}/forget")["task"]["forgotten"] is True
    paid = len(gateway.charged)
    graph["1"]["_meta"] = {"title": "another"}
    comfy.request("POST", "/free", json={"free_memory": True, "unload_models": True})
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == paid + 1


def test_request_that_is_being_sent_cannot_be_forgotten(comfy: Comfy) -> None:
    """Its answer may still arrive."""
    number = add_entry(comfy, "sending")
    status, code, _answer = post_error(comfy, f"tasks/{number}/forget")
    assert (status, code) == (409, "being_sent")
    assert newest(comfy)["number"] == number
    with closing(journal_of(comfy)) as journal:
        journal.mark_withdrawn(number, "another")
    assert post_ok(comfy, f"tasks/{number}/forget")["task"]["forgotten"] is True


def test_refresh_asks_the_feed_until_the_task_is_finished(comfy: Comfy, gateway: Simulator) -> None:
    """A refresh asks the feed once and updates the list, although no node waits for the task. A
    finished task is not asked for again."""
    with held_tasks(gateway) as tasks:
        task = create_task(comfy, "Refreshed", wait=False)
        assert task["state"] == "submitted"
        feed = f"/pika/feed/{task['task_id']}"
        tasks.running()
        answer = post_ok(comfy, f"tasks/{task['number']}/refresh")
        assert (answer["task"]["state"], answer["asked"]) == ("running", True)
        assert len(gateway.requests("GET", feed)) == 1

    def finished() -> bool:
        refreshed = post_ok(comfy, f"tasks/{task['number']}/refresh")["task"]
        return refreshed["state"] == "finished" and refreshed["progress"] == 100

    until(finished, what="the finished task")
    asked = len(gateway.requests("GET", feed))
    answer = post_ok(comfy, f"tasks/{task['number']}/refresh")
    assert (answer["task"]["file"], answer["asked"]) == (None, False)
    assert len(gateway.requests("GET", feed)) == asked


def test_failed_task_has_the_gateways_words_and_no_file(comfy: Comfy, gateway: Simulator) -> None:
    """A refresh gets the words, and a collect is refused with them."""
    gateway.fault(on="task", error="refused by moderation", seconds=0.0)
    task = create_task(comfy, "Failing", wait=False)
    refreshed = post_ok(comfy, f"tasks/{task['number']}/refresh")["task"]
    assert (refreshed["state"], refreshed["error"]) == ("failed", "refused by moderation")
    status, code, answer = post_error(comfy, f"tasks/{task['number']}/collect")
    assert (status, code) == (409, "failed")
    assert "moderation" in answer["error"]


def test_failing_feed_is_reported_and_changes_nothing(comfy: Comfy, gateway: Simulator) -> None:
    """The answer has the gateway's words, and the task keeps its state."""
    with held_tasks(gateway):
        task = create_task(comfy, "Feed down", wait=False)
        gateway.fault(on="feed", status=500, body={"message": "the feed is down"}, times=1)
        status, code, answer = post_error(comfy, f"tasks/{task['number']}/refresh")
        assert (status, code) == (502, "gateway")
        assert "the feed is down" in answer["error"]
        assert newest(comfy)["state"] == "submitted"


def test_task_of_another_gateway_is_not_requested(comfy: Comfy, gateway: Simulator) -> None:
    """Its id is not sent to this gateway. A refresh returns the journal entry, and no error, which
    a browser would log each time."""
    number = add_task_of_another_gateway(comfy, "A pear of another gateway")
    answer = post_ok(comfy, f"tasks/{number}/refresh")
    assert answer["asked"] is False
    assert answer["task"]["state"] == "submitted"
    assert comfy.request("GET", f"/pika/tasks/{number}/poster").status_code == 204
    assert not gateway.requests("GET", f"/pika/feed/theirs-{number}")


def test_collect_downloads_the_file_once(comfy: Comfy, gateway: Simulator) -> None:
    """It saves the file of a task for which no node waited. The second time it uses the file on
    disk and asks nobody."""
    task = create_task(comfy, "Collected", wait=False)
    until(lambda: gateway.tasks[task["task_id"]].state == "finished", what="the finished task")
    collected = post_ok(comfy, f"tasks/{task['number']}/collect")["task"]
    assert (collected["state"], collected["kind"]) == ("saved", "video")
    assert comfy.file(collected["file"]).is_file()
    before = len(gateway.log)
    assert post_ok(comfy, f"tasks/{task['number']}/collect")["task"]["file"] == collected["file"]
    assert len(gateway.log) == before


def test_collect_does_not_wait_for_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """It is answered while the task is still running."""
    with held_tasks(gateway) as tasks:
        task = create_task(comfy, "Not finished", wait=False)
        tasks.running()
        status, code, answer = post_error(comfy, f"tasks/{task['number']}/collect")
        assert (status, code) == (409, "not_finished")
        assert task["task_id"] in answer["error"]
        assert gateway.tasks[task["task_id"]].running


def test_entry_without_a_task_has_no_file(comfy: Comfy) -> None:
    """There is no id to ask the gateway with."""
    number = add_entry(comfy, "never")
    assert post_error(comfy, f"tasks/{number}/collect")[:2] == (409, "no_task")


def test_deleted_file_is_not_listed_and_can_be_collected_again(comfy: Comfy) -> None:
    """The list has no link to a file that does not exist."""
    task = create_task(comfy, "Deleted")
    comfy.file(task["file"]).unlink()
    assert newest(comfy)["file"] is None
    collected = post_ok(comfy, f"tasks/{task['number']}/collect")["task"]
    assert comfy.file(collected["file"]).is_file()


def unknown_request(comfy: Comfy, gateway: Simulator, prompt: str) -> tuple[Graph, int, str]:
    """A graph whose request was charged without an answer, its number, and its task's id."""
    graph = {"1": generate(prompt)}
    gateway.fault("submit", reset=True, accept=True)
    error = comfy.run(graph).error
    assert error is not None
    assert error.type == "pika.SubmitUnknown"
    task = newest(comfy)
    assert (task["prompt"], task["state"], task["task_id"]) == (prompt, "unknown", None)
    return graph, task["number"], gateway.charged[-1]


def test_unknown_request_gets_its_task_id(comfy: Comfy, gateway: Simulator) -> None:
    """With the id that the user found at the gateway, the task is in the list at once, and the same
    workflow uses it: no second POST."""
    graph, number, task_id = unknown_request(comfy, gateway, "Settled")
    posts = len(gateway.requests("POST"))
    answer = post_ok(comfy, f"tasks/{number}/settle", {"task_id": f" {task_id}\n"})
    task = answer["task"]
    assert (task["number"], task["task_id"], task["error"]) == (number, task_id, "")
    assert task["state"] in ("running", "finished")
    assert newest(comfy) == task
    assert comfy.run(graph).error is None
    assert len(gateway.requests("POST")) == posts


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 400, "body"),
        ({}, 400, "invalid"),
        ({"task_id": None}, 400, "invalid"),
        ({"task_id": 7}, 400, "invalid"),
        ({"task_id": ["x"]}, 400, "invalid"),
        ({"task_id": " "}, 400, "invalid"),
        ({"task_id": ".."}, 400, "invalid"),
        ({"task_id": "<img src=x>"}, 400, "invalid"),
        ({"task_id": "x" * 256}, 400, "invalid"),
        ({"task_id": "mistyped"}, 404, "task_not_found"),
        ({"task_id": "../generate?x#y"}, 404, "task_not_found"),
    ],
    ids=str,
)
def test_wrong_task_id_changes_nothing(
    comfy: Comfy, gateway: Simulator, body: object, status: int, code: str
) -> None:
    """The request still waits for its id. A text that cannot be an id is not sent anywhere."""
    _graph, number, _task_id = unknown_request(comfy, gateway, "Not settled")
    before, asked = newest(comfy), len(gateway.log)
    assert post_error(comfy, f"tasks/{number}/settle", body)[:2] == (status, code)
    assert newest(comfy) == before
    assert len(gateway.log) == asked + (status == 404)


def test_task_of_another_request_cannot_settle(comfy: Comfy, gateway: Simulator) -> None:
    """The error names that request. A request that has its task does not take another one."""
    other = create_task(comfy, "Another request", wait=False)
    _graph, number, task_id = unknown_request(comfy, gateway, "Settled by mistake")
    before = newest(comfy)
    path = f"tasks/{number}/settle"
    status, code, answer = post_error(comfy, path, {"task_id": other["task_id"]})
    assert (status, code) == (409, "invalid")
    assert f"#{other['number']}" in answer["error"]
    assert newest(comfy) == before
    path = f"tasks/{other['number']}/settle"
    assert post_error(comfy, path, {"task_id": task_id})[:2] == (409, "invalid")
    assert get(comfy, f"tasks?before={number}&limit=1")["tasks"] == [other]


def test_request_of_another_gateway_is_not_settled_here(comfy: Comfy, gateway: Simulator) -> None:
    """The current gateway is not asked for the id."""
    number = add_entry(comfy, "elsewhere", base_url="https://elsewhere.example")
    with closing(journal_of(comfy)) as journal:
        journal.mark_sent(number, "another")
        journal.mark_unknown(number, "another", "No answer.")
    asked = len(gateway.log)
    status, code, answer = post_error(comfy, f"tasks/{number}/settle", {"task_id": "theirs"})
    assert (status, code) == (409, "other_gateway")
    assert "https://elsewhere.example" in answer["error"]
    assert len(gateway.log) == asked


def test_answer_with_an_unknown_outcome_is_sent_with_its_request(comfy: Comfy) -> None:
    """Only such a request has one."""
    number = add_entry(comfy, "odd", request={"promptText": "Odd answer"})
    with closing(journal_of(comfy)) as journal:
        journal.mark_sent(number, "another")
        journal.mark_unknown(number, "another", "Not JSON.", "<b>who knows</b>")
    odd = get(comfy, f"tasks/{number}/request")
    assert odd == {"request": {"promptText": "Odd answer"}, "answer": "<b>who knows</b>"}
    plain = create_task(comfy, "Plain answer", wait=False)
    assert get(comfy, f"tasks/{plain['number']}/request")["answer"] == ""


def thumbnail(comfy: Comfy, number: int, query: str = "") -> Image.Image | None:
    """A task's thumbnail, requested as an <img> does: without the pack's header."""
    answer = comfy.request("GET", f"/pika/tasks/{number}/poster{query}")
    if answer.status_code == 204:
        return None
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_thumbnail_of_a_saved_task_is_made_from_its_file(comfy: Comfy, gateway: Simulator) -> None:
    """It is a small JPEG, stored on disk. The gateway is not asked."""
    task = create_task(comfy, "With a thumbnail")
    before = len(gateway.log)
    picture = thumbnail(comfy, task["number"])
    assert picture is not None
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert picture.width <= 320
    assert len(list((home(comfy) / "posters").glob(f"*{task['task_id']}*"))) == 1
    assert len(gateway.log) == before
    answer = comfy.request("GET", f"/pika/tasks/{task['number']}/poster?v=saved")
    assert "max-age" in answer.headers["Cache-Control"]


def test_missing_thumbnail_is_requested_once(comfy: Comfy, gateway: Simulator) -> None:
    """If the feed has no thumbnail yet, it is not asked again soon, however often the list asks.
    An entry without a task has no thumbnail."""
    gateway.fault(on="task", seconds=HELD, empty_for=HELD)
    task = create_task(comfy, "No thumbnail yet", wait=False)
    for _ in range(3):
        assert thumbnail(comfy, task["number"]) is None
    assert len(gateway.requests("GET", f"/pika/feed/{task['task_id']}")) == 1
    assert thumbnail(comfy, add_entry(comfy, "no task")) is None


def test_thumbnail_on_the_node_is_stored_for_the_list(comfy: Comfy, gateway: Simulator) -> None:
    """The list shows the thumbnail that the node has fetched while the task is still running."""
    with held_tasks(gateway) as tasks:
        prompt_id = comfy.queue(text_to_video("With a thumbnail on the node"))
        (task_id,) = tasks.running()
        stored = f"*{task_id}*.jpg"
        until(lambda: list((home(comfy) / "posters").glob(stored)), what="the stored thumbnail")
        task = newest(comfy)
        assert (task["task_id"], task["state"]) == (task_id, "running")
        before = len(gateway.requests(server="cdn"))
        assert thumbnail(comfy, task["number"]) is not None
        assert len(gateway.requests(server="cdn")) == before
    assert comfy.wait(prompt_id).error is None


def test_foreign_requests_are_refused(comfy: Comfy) -> None:
    """Also beyond loopback no foreign page can read the list or forget a task. A thumbnail needs no
    header, but is served to this page only."""
    number = create_task(comfy, "Guarded")["number"]
    for origin, headers in foreign_requests(comfy).items():
        for path in ("tasks", f"tasks/{number}/request", "settings", "ledger.csv", "totals"):
            answer = comfy.request("GET", f"/pika/{path}", headers=headers)
            assert answer.status_code == 403, (origin, path)
        for path in ("forget", "refresh", "collect", "settle"):
            path = f"tasks/{number}/{path}"
            answer = comfy.request("POST", f"/pika/{path}", json={}, headers=headers)
            assert answer.status_code == 403, (origin, path)
        answer = comfy.request("GET", f"/pika/tasks/{number}/poster", headers=headers)
        assert answer.status_code == (200 if headers == {} else 403), origin
    assert newest(comfy)["number"] == number


def test_key_and_address_of_the_environment_cannot_be_changed(
    comfy: Comfy, gateway: Simulator
) -> None:
    """The settings show their source. A change is refused, and no file is written."""
    settings = get(comfy, "settings")
    assert settings["api_key"] == {"set": True, "hint": gateway.key[-4:], "source": "environment"}
    base_url = settings["base_url"]
    assert (base_url["value"], base_url["locked"]) == (gateway.url, "environment")
    for name, value in (("api_key", "another"), ("base_url", "https://thief.example")):
        status, code, answer = post_error(comfy, "settings", {name: value})
        assert (status, code, answer["name"]) == (409, "environment", name)
    assert not settings_file(comfy).exists()
    assert post_ok(comfy, "connection")["verdict"] == "good"


def csv_rows(comfy: Comfy, query: str = "") -> list[dict[str, str]]:
    """The rows of the CSV file that the sidebar exports."""
    answer = comfy.request("GET", f"/pika/ledger.csv{query}", headers=HEADER)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    text = io.StringIO(answer.content.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, strict=True))


def test_list_is_filtered_by_state_and_time(comfy: Comfy) -> None:
    """In the journal, page by page; the first page has the number of all matching tasks. Anything
    that is no state or no time is an error."""
    start = time.time()
    numbers = [add_entry(comfy, name) for name in ("a", "b", "c")]
    with closing(journal_of(comfy)) as journal:
        for number in numbers[:2]:
            journal.mark_rejected(number, "another", "no")
    query = f"tasks?state=refused,unknown&from={start}&limit=1"
    first = get(comfy, query)
    assert [task["number"] for task in first["tasks"]] == [numbers[1]]
    assert (first["count"], first["more"]) == (2, True)
    second = get(comfy, f"{query}&before={numbers[1]}")
    assert [task["number"] for task in second["tasks"]] == [numbers[0]]
    assert "count" not in second
    assert get(comfy, f"tasks?state=refused&from={start}&to={start}")["tasks"] == []
    for wrong in ("state=paid", "from=yesterday", "to=1e9", "from=-1", "to=99999999999999"):
        answer = comfy.request("GET", f"/pika/tasks?{wrong}", headers=HEADER)
        assert answer.status_code == 400, wrong
        answer = comfy.request("GET", f"/pika/ledger.csv?{wrong}", headers=HEADER)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), wrong


def test_export_has_the_paid_tasks_as_a_safe_file(comfy: Comfy) -> None:
    """With the filters of the list. The names of files are as in the editor, without the folders
    of the server; a prompt is no formula; a refused request is in it only if it is asked for."""
    start = time.time()
    task = create_task(comfy, '=HYPERLINK("https://evil.example")')
    refused = add_entry(comfy, "refused")
    with closing(journal_of(comfy)) as journal:
        journal.mark_rejected(refused, "another", "no")
    (row,) = csv_rows(comfy, f"?from={start}")
    assert row["task_id"] == task["task_id"]
    assert row["prompt"].startswith("'=HYPERLINK(")
    assert row["file"] == f"pika/{task['file']['filename']}"
    assert (row["state"], row["model"]) == ("saved", "1.5")
    (row,) = csv_rows(comfy, f"?from={start}&state=refused")
    assert row["number"] == str(refused)
    assert csv_rows(comfy, f"?from={start}&to={start}&state=refused") == []


def test_totals_count_today_and_this_month(comfy: Comfy) -> None:
    """Every task counts; the amount is of those with a known price, and the others are counted.
    Tasks of other gateways have prices in another unit."""
    before = get(comfy, "totals")
    create_task(comfy, "Without a price", wait=False)
    priced = add_entry(comfy, "priced", base_url=newest_address(comfy), price=0.25)
    elsewhere = add_entry(comfy, "elsewhere", base_url="https://elsewhere.example", price=9.0)
    with closing(journal_of(comfy)) as journal:
        for number in (priced, elsewhere):
            journal.mark_sent(number, "another")
            journal.record_task(journal.get(number), f"task-{number}")
    after = get(comfy, "totals")
    for name in ("today", "month"):
        change = {key: after[name][key] - before[name][key] for key in after[name]}
        assert change == {"count": 3, "amount": 0.25, "unpriced": 1, "elsewhere": 1}
    assert after["currency"] == ""


def newest_address(comfy: Comfy) -> str:
    """The address of the gateway that the newest task belongs to."""
    with closing(journal_of(comfy)) as journal:
        return journal.entries(limit=1)[0].base_url
