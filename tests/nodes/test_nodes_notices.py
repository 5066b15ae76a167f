"""The event that tells the editor's page that a task has ended, in a real ComfyUI."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from devtools.comfyui.events import Event, Listener
from simulator import Simulator
from support.comfy import Comfy, Graph, Run
from support.gateway import held_tasks
from support.graphs import generate, node, text_to_video
from support.routes import get

pytestmark = pytest.mark.comfy

EVENT = "pika.task_ended"


def is_end(event: Event) -> bool:
    """Whether the run has ended."""
    return event.type in ("execution_success", "execution_error", "execution_interrupted")


def run(comfy: Comfy, graph: Graph, events: Listener) -> Run:
    """Run a graph that the page of these events queues."""
    result = comfy.wait(comfy.queue(graph, events.client_id))
    events.wait_for(is_end)
    return result


def ended(comfy: Comfy, events: Listener) -> list[Mapping[str, Any]]:
    """The tasks of the events so far, as the page reads them by their numbers."""
    numbers = [event.data["number"] for event in events.of_type(EVENT)]
    return [get(comfy, f"tasks?limit=1&before={number + 1}")["tasks"][0] for number in numbers]


def test_only_the_page_that_queued_is_told_once_per_task(comfy: Comfy, gateway: Simulator) -> None:
    """Of three tasks of a list one fails. Three events come, each with the number of a task and
    the seconds of the waiting, and no other text. Another open page gets none."""
    gateway.fault("task", error="Moderation: no pears")
    graph = {
        "1": node("PikaPrompts", prompts="A quince\nA medlar\nA pear"),
        "2": generate(["1", 0]),
        "3": node("PikaResult", task_id=["2", 0], on_failure="skip"),
    }
    with comfy.listen(uuid.uuid4().hex) as page, comfy.listen(uuid.uuid4().hex) as other:
        assert run(comfy, graph, page).error is None
        assert sorted(task["state"] for task in ended(comfy, page)) == ["failed", "saved", "saved"]
        assert {task["prompt"] for task in ended(comfy, page)} == {"A quince", "A medlar", "A pear"}
        for event in page.of_type(EVENT):
            assert set(event.data) == {"number", "seconds"}
            assert 0 <= event.data["seconds"] < 100
        assert other.of_type(EVENT) == []


def test_task_that_ends_the_run_is_announced(comfy: Comfy, gateway: Simulator) -> None:
    """A failed task, and one whose file cannot be downloaded, is announced although its node raises
    an error, which stays the error of the run."""
    for place, fault, state in (
        ("task", {"error": "Moderation"}, "failed"),
        ("media", {"status": 404, "times": 99}, "finished"),
    ):
        gateway.fault(place, **fault)
        with comfy.listen(uuid.uuid4().hex) as page:
            error = run(comfy, text_to_video("A date"), page).error
            assert error is not None
            assert error.type in ("pika.TaskFailed", "pika.LinkRefused", "pika.DownloadFailed")
            assert [task["state"] for task in ended(comfy, page)] == [state]
        gateway.clear_faults()


def test_end_of_the_waiting_is_not_the_end_of_the_task(comfy: Comfy, gateway: Simulator) -> None:
    """Neither an interrupt nor a timeout is announced. The next run announces the task's end."""
    graph = text_to_video("A patient date")
    timeout = {**graph, "2": node("PikaResult", task_id=["1", 0], timeout_minutes=0.001)}
    with comfy.listen(uuid.uuid4().hex) as page:
        with held_tasks(gateway) as tasks:
            prompt_id = comfy.queue(graph, page.client_id)
            tasks.running()
            comfy.interrupt()
            assert comfy.wait(prompt_id).interrupted
            error = comfy.wait(comfy.queue(timeout, page.client_id)).error
            assert error is not None
            assert error.type == "pika.TaskTimeout"
        assert page.of_type(EVENT) == []
        assert comfy.wait(comfy.queue(graph, page.client_id)).error is None
        page.wait_for(lambda event: event.type == EVENT)
        assert [task["state"] for task in ended(comfy, page)] == ["saved"]


def test_prompt_without_a_page_is_announced_to_nobody(comfy: Comfy) -> None:
    """A prompt of a script has no client id. No open page gets the event of its task."""
    with comfy.listen(uuid.uuid4().hex) as page:
        body = {"prompt": text_to_video("A date for nobody")}
        answer = comfy.request("POST", "/prompt", json=body).json()
        assert comfy.wait(answer["prompt_id"]).error is None
        assert run(comfy, text_to_video("A date for a page"), page).error is None
        assert [task["prompt"] for task in ended(comfy, page)] == ["A date for a page"]
