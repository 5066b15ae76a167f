"""PikaHistory and on_failure in a real ComfyUI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.gateway import held_tasks
from support.graphs import error_of, generate, node, sink_inputs, text_to_video
from support.routes import empty_journal, get

pytestmark = pytest.mark.comfy


def history(**inputs: str) -> dict[str, object]:
    """A PikaHistory, with the schema's defaults."""
    return node("PikaHistory", **{"task_id": "", "state": "any", **inputs})


def history_output(comfy: Comfy, **inputs: str) -> str:
    """The task id that a PikaHistory returns."""
    run = comfy.run({"1": history(**inputs), "2": node("ProbeSink", text=["1", 0])})
    assert run.error is None, run.error
    return str(sink_inputs(run, "2")[0]["text"])


def listed(comfy: Comfy) -> list[dict[str, Any]]:
    """The editor's list of tasks."""
    return list(get(comfy, "tasks")["tasks"])


def test_blank_id_is_the_newest_task(comfy: Comfy, gateway: Simulator) -> None:
    """Without an id it returns the newest task, and later a newer one, although ComfyUI caches the
    node's output."""
    assert comfy.run(text_to_video("Older")).error is None
    assert history_output(comfy) == gateway.charged[-1]
    assert comfy.run(text_to_video("Newer")).error is None
    assert history_output(comfy) == gateway.charged[-1]


def test_newest_task_in_the_requested_state(comfy: Comfy, gateway: Simulator) -> None:
    """It returns the newest task that is running, finished or failed."""
    assert comfy.run(text_to_video("Done")).error is None
    finished = gateway.charged[-1]
    gateway.fault(on="task", error="refused by moderation")
    error_of(comfy, text_to_video("Refused"))
    failed = gateway.charged[-1]
    with held_tasks(gateway):
        assert comfy.run({"1": generate("Running")}).error is None
        running = gateway.charged[-1]
        assert history_output(comfy, state="finished") == finished
        assert history_output(comfy, state="failed") == failed
        assert history_output(comfy, state="running") == running


def test_saved_task_is_not_requested_from_the_gateway(comfy: Comfy, gateway: Simulator) -> None:
    """PikaHistory passes an id on to PikaResult, which returns the file on disk."""
    assert comfy.run(text_to_video("An earlier day")).error is None
    task_id = gateway.charged[-1]
    before = len(gateway.log)
    run = comfy.run({"1": history(task_id=task_id), "2": node("PikaResult", task_id=["1", 0])})
    assert run.error is None
    assert task_id in run.outputs["2"]["images"][0]["filename"]
    assert len(gateway.log) == before


def test_unknown_id_is_an_error(comfy: Comfy) -> None:
    """If an id is not in the journal, the error names the input and the next step."""
    graph = {"1": history(task_id="nonsense"), "2": node("ProbeSink", text=["1", 0])}
    message = error_of(comfy, graph)
    assert "task_id" in message
    assert "nonsense" in message
    assert "Pika Result" in message


def test_empty_journal_is_an_error(keyed: Comfy) -> None:
    """Without any task the error says so, and how to create one."""
    empty_journal(keyed)
    message = error_of(keyed, {"1": history(), "2": node("ProbeSink", text=["1", 0])})
    assert "no task in the journal" in message
    assert "Pika Generate" in message
    assert listed(keyed) == []


def test_editors_list_has_the_newest_task_first(comfy: Comfy, gateway: Simulator) -> None:
    """Each task has state, prompt, time and id. The list does not contain the key."""
    assert comfy.run(text_to_video("Listed <b>pear</b>")).error is None
    newest = listed(comfy)[0]
    assert newest["task_id"] == gateway.charged[-1]
    assert newest["state"] == "saved"
    assert newest["prompt"] == "Listed <b>pear</b>"
    assert newest["created_at"] > 0
    assert gateway.key not in json.dumps(newest)


def test_skip_returns_the_other_clips_of_a_list(comfy: Comfy, gateway: Simulator) -> None:
    """With on_failure «skip» the other clips of a list are returned. The nodes after the failed one
    are blocked with the gateway's words, and the journal has the task as failed."""
    graph = {
        "0": node("ProbeList", lines="first\nforbidden\nthird"),
        "1": generate(["0", 0]),
        "2": node("PikaResult", task_id=["1", 0], on_failure="skip"),
        "3": node("ProbeSink", video=["2", 0]),
    }
    with comfy.listen("skip") as events:
        run = comfy.wait(comfy.queue(graph, client_id="skip"))
        blocked = events.wait_for(lambda event: event.type == "execution_error")
        texts = events.texts("2")
    assert run.error is None
    assert len(run.outputs["2"]["images"]) == 2
    assert len(sink_inputs(run, "3")) == 2
    assert "moderation" in blocked.data["exception_message"]
    assert any("skipped" in text and "moderation" in text for text in texts)
    states = {task["prompt"]: task["state"] for task in listed(comfy)[:3]}
    assert states == {"first": "saved", "forbidden": "failed", "third": "saved"}


def test_failed_task_stops_the_run_by_default(comfy: Comfy, gateway: Simulator) -> None:
    """The error has the gateway's words and the task's id."""
    message = error_of(comfy, text_to_video("A forbidden pear"))
    assert "moderation" in message
    assert gateway.charged[-1] in message


def test_unknown_on_failure_is_an_error(comfy: Comfy) -> None:
    """The error names the input."""
    message = error_of(comfy, {"1": node("PikaResult", task_id="x", on_failure="explode")})
    assert "on_failure" in message
