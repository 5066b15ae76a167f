"""The tasks' routes in a real ComfyUI whose key is from the environment."""

from __future__ import annotations

import io
import time
from contextlib import closing
from typing import Any

import pytest
from PIL import Image

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import generate, text_to_video
from support.routes import (
    HEADER,
    ask,
    done,
    entered,
    entered_elsewhere,
    journal_of,
    refused,
    strangers,
)
from support.waiting import until

pytestmark = pytest.mark.comfy


@pytest.fixture(autouse=True)
def _calm(gateway: Simulator) -> Any:
    """No test leaves trouble behind."""
    yield
    gateway.clear_faults()


def newest(comfy: Comfy) -> dict[str, Any]:
    """The newest task."""
    return dict(ask(comfy, "tasks?limit=1")["tasks"][0])


def made(comfy: Comfy, prompt: str, *, wait: bool = True) -> dict[str, Any]:
    """A task, with its file where it is waited for."""
    graph = text_to_video(prompt) if wait else {"1": generate(prompt)}
    assert comfy.run(graph).error is None
    task = newest(comfy)
    assert task["prompt"] == prompt[:500]
    return task


def test_a_task_as_the_list_has_it(comfy: Comfy, gateway: Simulator) -> None:
    """All that a card shows, its file as ComfyUI's /view asks for it, and a long prompt cut."""
    task = made(comfy, "A <b>pear</b> 梨 " + "very " * 200)
    assert task["task_id"] == gateway.charged[-1]
    assert (task["state"], task["kind"], task["progress"]) == ("saved", "video", 100)
    assert (task["error"], task["forgotten"]) == ("", False)
    assert abs(task["created_at"] - time.time()) < 60
    assert comfy.request("GET", "/view", params=task["file"]).content[4:8] == b"ftyp"
    asked = ask(comfy, f"tasks/{task['number']}/request")["request"]
    assert len(asked["promptText"]) > 500


def test_pages_and_changes(comfy: Comfy) -> None:
    """Page by page the newest first; with the cursor only what has changed, forgotten ones too."""
    numbers = [entered(comfy, name) for name in ("a", "b", "c")]
    page = ask(comfy, "tasks?limit=2")
    assert [task["number"] for task in page["tasks"]] == numbers[:0:-1]
    assert page["more"] is True
    before = ask(comfy, f"tasks?limit=1&before={numbers[1]}")
    assert [task["number"] for task in before["tasks"]] == numbers[:1]
    assert ask(comfy, f"tasks?since={page['cursor']!r}")["tasks"] == []
    with closing(journal_of(comfy)) as journal:
        journal.mark_rejected(numbers[0], "another", "no")
        journal.mark_withdrawn(numbers[2], "another")
        journal.forget(numbers[2])
    changed = ask(comfy, f"tasks?since={page['cursor']!r}")
    seen = {task["number"]: (task["state"], task["forgotten"]) for task in changed["tasks"]}
    assert seen == {numbers[0]: ("refused", False), numbers[2]: ("refused", True)}
    assert numbers[2] not in [task["number"] for task in ask(comfy, "tasks")["tasks"]]
    assert ask(comfy, f"tasks?since={changed['cursor']!r}")["tasks"] == []


@pytest.mark.parametrize("query", ["limit=x", "before=1.5", "since=now", "since=nan", "since=inf"])
def test_a_query_that_is_none_is_told(comfy: Comfy, query: str) -> None:
    """400 that names it, no 500."""
    answer = comfy.request("GET", f"/pika/tasks?{query}", headers=HEADER)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert query.partition("=")[0] in answer.json()["error"]


@pytest.mark.parametrize("path", ["request", "poster"])
@pytest.mark.parametrize("number", [999_999_999, 0])
def test_a_number_that_is_not_there_is_told(comfy: Comfy, path: str, number: int) -> None:
    """404 with its number."""
    answer = comfy.request("GET", f"/pika/tasks/{number}/{path}", headers=HEADER)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert str(number) in answer.json()["error"]


def test_forget_makes_the_same_request_a_new_task(comfy: Comfy, gateway: Simulator) -> None:
    """It goes out of the list, and is paid for anew when it is queued again."""
    graph = text_to_video("To be forgotten")
    assert comfy.run(graph).error is None
    task = newest(comfy)
    assert done(comfy, f"tasks/{task['number']}/forget")["task"]["forgotten"] is True
    paid = len(gateway.charged)
    graph["1"]["_meta"] = {"title": "another"}
    comfy.request("POST", "/free", json={"free_memory": True, "unload_models": True})
    assert comfy.run(graph).error is None
    assert len(gateway.charged) == paid + 1


def test_what_is_being_sent_cannot_be_forgotten(comfy: Comfy) -> None:
    """Its answer may be on its way."""
    number = entered(comfy, "sending")
    status, code, _said = refused(comfy, f"tasks/{number}/forget")
    assert (status, code) == (409, "being_sent")
    assert newest(comfy)["number"] == number
    with closing(journal_of(comfy)) as journal:
        journal.mark_withdrawn(number, "another")
    assert done(comfy, f"tasks/{number}/forget")["task"]["forgotten"] is True


def test_refresh_asks_once_and_writes_it_down(comfy: Comfy, gateway: Simulator) -> None:
    """A task that nobody waits for goes on in the list; once it is over nothing is asked."""
    gateway.fault(on="task", seconds=0.8)
    task = made(comfy, "Refreshed", wait=False)
    assert task["state"] == "submitted"
    feed = f"/pika/feed/{task['task_id']}"
    told = done(comfy, f"tasks/{task['number']}/refresh")
    assert (told["task"]["state"], told["asked"]) == ("running", True)
    assert len(gateway.requests("GET", feed)) == 1

    def over() -> bool:
        told = done(comfy, f"tasks/{task['number']}/refresh")["task"]
        return told["state"] == "finished" and told["progress"] == 100

    until(over)
    asked = len(gateway.requests("GET", feed))
    told = done(comfy, f"tasks/{task['number']}/refresh")
    assert (told["task"]["file"], told["asked"]) == (None, False)
    assert len(gateway.requests("GET", feed)) == asked


def test_a_failed_task_is_told_of(comfy: Comfy, gateway: Simulator) -> None:
    """Refreshed, it has the gateway's words; and there is no file to collect."""
    gateway.fault(on="task", error="refused by moderation", seconds=0.0)
    task = made(comfy, "Failing", wait=False)
    told = done(comfy, f"tasks/{task['number']}/refresh")["task"]
    assert (told["state"], told["error"]) == ("failed", "refused by moderation")
    status, code, said = refused(comfy, f"tasks/{task['number']}/collect")
    assert (status, code) == (409, "failed")
    assert "moderation" in said["error"]


def test_a_feed_that_is_down_is_told(comfy: Comfy, gateway: Simulator) -> None:
    """The gateway's words, and the task stays as it is."""
    gateway.fault(on="task", seconds=30.0)
    task = made(comfy, "Feed down", wait=False)
    gateway.fault(on="feed", status=500, body={"message": "the feed is down"}, times=1)
    status, code, said = refused(comfy, f"tasks/{task['number']}/refresh")
    assert (status, code) == (502, "gateway")
    assert "the feed is down" in said["error"]
    assert newest(comfy)["state"] == "submitted"


def test_another_gateways_task_is_not_asked_for(comfy: Comfy, gateway: Simulator) -> None:
    """Its id is not told to this one. It is told as the journal has it, and no error, which a
    browser would write to its console at each of its looks."""
    number = entered_elsewhere(comfy, "A pear of another gateway's")
    told = done(comfy, f"tasks/{number}/refresh")
    assert told["asked"] is False
    assert told["task"]["state"] == "submitted"
    assert comfy.request("GET", f"/pika/tasks/{number}/poster").status_code == 204
    assert not gateway.requests("GET", f"/pika/feed/theirs-{number}")


def test_collect_brings_the_file(comfy: Comfy, gateway: Simulator) -> None:
    """Of a task that nobody waited for; a second time, and after its link expired, the file on
    disk is enough."""
    task = made(comfy, "Collected", wait=False)
    until(lambda: gateway.tasks[task["task_id"]].state == "finished")
    told = done(comfy, f"tasks/{task['number']}/collect")["task"]
    assert (told["state"], told["kind"]) == ("saved", "video")
    assert comfy.file(told["file"]).is_file()
    before = len(gateway.log)
    assert done(comfy, f"tasks/{task['number']}/collect")["task"]["file"] == told["file"]
    assert len(gateway.log) == before


def test_collect_does_not_wait_for_a_task(comfy: Comfy, gateway: Simulator) -> None:
    """It asks once, and says that it is not finished, within a second or so."""
    gateway.fault(on="task", seconds=60.0)
    task = made(comfy, "Not finished", wait=False)
    started = time.monotonic()
    status, code, said = refused(comfy, f"tasks/{task['number']}/collect")
    assert (status, code) == (409, "not_finished")
    assert task["task_id"] in said["error"]
    assert time.monotonic() - started < 10.0


def test_what_never_became_a_task_has_no_file(comfy: Comfy) -> None:
    """There is no id to ask with."""
    number = entered(comfy, "never")
    assert refused(comfy, f"tasks/{number}/collect")[:2] == (409, "no_task")


def test_a_file_that_is_gone_is_not_offered(comfy: Comfy) -> None:
    """The list has no dead link, and collecting brings it back."""
    task = made(comfy, "Deleted")
    comfy.file(task["file"]).unlink()
    assert newest(comfy)["file"] is None
    told = done(comfy, f"tasks/{task['number']}/collect")["task"]
    assert comfy.file(told["file"]).is_file()


def poster(comfy: Comfy, number: int, query: str = "") -> Image.Image | None:
    """A task's small picture, asked for as an <img> does: without our header."""
    answer = comfy.request("GET", f"/pika/tasks/{number}/poster{query}")
    if answer.status_code == 204:
        return None
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_a_saved_tasks_poster_is_of_its_file(comfy: Comfy, gateway: Simulator) -> None:
    """A small JPEG, made without asking the gateway, kept on disk."""
    task = made(comfy, "Posed")
    before = len(gateway.log)
    picture = poster(comfy, task["number"])
    assert picture is not None
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert picture.width <= 320
    kept = list((comfy.base_dir / "user" / "__pika" / "posters").glob(f"*{task['task_id']}*"))
    assert len(kept) == 1
    assert len(gateway.log) == before
    answer = comfy.request("GET", f"/pika/tasks/{task['number']}/poster?v=saved")
    assert "max-age" in answer.headers["Cache-Control"]


def test_a_running_tasks_poster_is_the_feeds(comfy: Comfy, gateway: Simulator) -> None:
    """Asked for once; where there is none yet, not again for a while, however often a list asks;
    and there is none of a request that is no task."""
    gateway.fault(on="task", seconds=30.0, empty_for=30.0)
    task = made(comfy, "No poster yet", wait=False)
    for _ in range(3):
        assert poster(comfy, task["number"]) is None
    assert len(gateway.requests("GET", f"/pika/feed/{task['task_id']}")) == 1
    assert poster(comfy, entered(comfy, "no task")) is None


def test_a_poster_that_was_shown_on_the_node_is_kept(comfy: Comfy, gateway: Simulator) -> None:
    """The node fetched it: the list's picture is there while the task still runs."""
    gateway.fault(on="task", seconds=3.0)
    prompt_id = comfy.queue(text_to_video("Shown on the node"))
    task = until(lambda: next(
        (each for each in ask(comfy, "tasks?limit=1")["tasks"]
         if each["prompt"] == "Shown on the node" and each["task_id"]), None,
    ))  # fmt: skip
    assert task is not None
    folder = comfy.base_dir / "user" / "__pika" / "posters"
    until(lambda: list(folder.glob(f"*{task['task_id']}*.jpg")))
    assert newest(comfy)["state"] == "running"
    before = len(gateway.requests(server="cdn"))
    assert poster(comfy, task["number"]) is not None
    assert len(gateway.requests(server="cdn")) == before
    assert comfy.wait(prompt_id).error is None


def test_only_the_editor_is_answered(comfy: Comfy) -> None:
    """On loopback, too, nobody else reads the list or forgets a task; and a picture is for this
    page alone, though it needs no header."""
    number = made(comfy, "Guarded")["number"]
    for who, headers in strangers(comfy).items():
        for path in ("tasks", f"tasks/{number}/request", "settings"):
            answer = comfy.request("GET", f"/pika/{path}", headers=headers)
            assert answer.status_code == 403, (who, path)
        for path in ("forget", "refresh", "collect"):
            path = f"tasks/{number}/{path}"
            answer = comfy.request("POST", f"/pika/{path}", json={}, headers=headers)
            assert answer.status_code == 403, (who, path)
        answer = comfy.request("GET", f"/pika/tasks/{number}/poster", headers=headers)
        assert answer.status_code == (200 if headers == {} else 403), who
    assert newest(comfy)["number"] == number
    foreign = {**HEADER, "Host": "192.168.1.7", "Origin": "http://192.168.1.7"}
    assert comfy.request("GET", "/pika/tasks", headers=foreign).status_code == 403


def test_the_environments_key_and_address_are_locked(comfy: Comfy, gateway: Simulator) -> None:
    """They are told, and not changed; nothing is written."""
    found = ask(comfy, "settings")
    assert found["api_key"] == {"set": True, "hint": gateway.key[-4:], "source": "environment"}
    assert (found["base_url"]["value"], found["base_url"]["locked"]) == (gateway.url, "environment")
    for name, value in (("api_key", "another"), ("base_url", "https://thief.example")):
        status, code, said = refused(comfy, "settings", {name: value})
        assert (status, code, said["name"]) == (409, "environment", name)
    assert not (comfy.base_dir / "user" / "__pika" / "settings.json").exists()
    assert done(comfy, "connection")["verdict"] == "good"
