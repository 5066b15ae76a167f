"""PikaHistory and on_failure in a real ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy
from support.graphs import generate, node, seen, text_to_video, told

pytestmark = pytest.mark.comfy


def history(**inputs: str) -> dict[str, object]:
    """A PikaHistory, with the schema's defaults."""
    return node("PikaHistory", **{"task_id": "", "state": "any", **inputs})


def found(comfy: Comfy, **inputs: str) -> str:
    """What a PikaHistory gives."""
    run = comfy.run({"1": history(**inputs), "2": node("ProbeSink", text=["1", 0])})
    assert run.error is None, run.error
    return str(seen(run, "2")[0]["text"])


def listed(comfy: Comfy) -> list[dict[str, Any]]:
    """The editor's list."""
    answer = comfy.request("GET", "/pika/tasks", headers={"X-Pika-Editor": "1"})
    return list(answer.json()["tasks"])


def test_blank_is_the_newest(comfy: Comfy, gateway: Simulator) -> None:
    """Without an id it gives the newest task, and a newer one once there is one, though ComfyUI
    remembers what it gave before."""
    assert comfy.run(text_to_video("Older")).error is None
    assert found(comfy) == gateway.charged[-1]
    assert comfy.run(text_to_video("Newer")).error is None
    assert found(comfy) == gateway.charged[-1]


def test_states(comfy: Comfy, gateway: Simulator) -> None:
    """It gives the newest task that is running, finished or failed, as asked."""
    assert comfy.run(text_to_video("Done")).error is None
    done = gateway.charged[-1]
    gateway.fault(on="task", error="refused by moderation")
    told(comfy, text_to_video("Refused"))
    failed = gateway.charged[-1]
    gateway.fault(on="task", seconds=60.0)
    assert comfy.run({"1": generate("Running")}).error is None
    running = gateway.charged[-1]
    assert found(comfy, state="finished") == done
    assert found(comfy, state="failed") == failed
    assert found(comfy, state="running") == running


def test_an_id_of_an_earlier_day(comfy: Comfy, gateway: Simulator) -> None:
    """An id goes through to PikaResult, which gives the file without asking the gateway."""
    assert comfy.run(text_to_video("An earlier day")).error is None
    task_id = gateway.charged[-1]
    before = len(gateway.log)
    run = comfy.run({"1": history(task_id=task_id), "2": node("PikaResult", task_id=["1", 0])})
    assert run.error is None
    assert task_id in run.outputs["2"]["images"][0]["filename"]
    assert len(gateway.log) == before


def test_an_unknown_id_is_told(comfy: Comfy) -> None:
    """An id that is not in the journal is an error that names the input and the way out."""
    message = told(comfy, {"1": history(task_id="nonsense"), "2": node("ProbeSink", text=["1", 0])})
    assert "task_id" in message
    assert "nonsense" in message
    assert "Pika Result" in message


def test_an_empty_journal_is_told(comfy_factory: Callable[..., Comfy]) -> None:
    """With no task yet, it says so and how to make one."""
    fresh = comfy_factory(pack=ROOT, env={"PIKA_API_KEY": "any"})
    message = told(fresh, {"1": history(), "2": node("ProbeSink", text=["1", 0])})
    assert "no task in the journal" in message
    assert "Pika Generate" in message
    assert listed(fresh) == []


def test_the_editors_list(comfy: Comfy, gateway: Simulator) -> None:
    """The editor's list has state, prompt, time and id, newest first, and no secret."""
    assert comfy.run(text_to_video("Listed <b>pear</b>")).error is None
    newest = listed(comfy)[0]
    assert newest["task_id"] == gateway.charged[-1]
    assert newest["state"] == "saved"
    assert newest["prompt"] == "Listed <b>pear</b>"
    assert newest["created_at"] > 0
    assert gateway.key not in json.dumps(newest)


def test_one_refused_clip_does_not_stop_a_list(comfy: Comfy, gateway: Simulator) -> None:
    """With on_failure «skip» the others of a list come, what hangs on the failed one is blocked
    with the gateway's words, and the task is journalled as failed."""
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
    assert len(seen(run, "3")) == 2
    assert "moderation" in blocked.data["exception_message"]
    assert any("skipped" in text and "moderation" in text for text in texts)
    states = {task["prompt"]: task["state"] for task in listed(comfy)[:3]}
    assert states == {"first": "saved", "forbidden": "failed", "third": "saved"}


def test_stop_is_the_default(comfy: Comfy, gateway: Simulator) -> None:
    """Without on_failure a failed task ends the run with the gateway's words."""
    message = told(comfy, text_to_video("A forbidden pear"))
    assert "moderation" in message
    assert gateway.charged[-1] in message


def test_an_unknown_way_to_fail_is_told(comfy: Comfy) -> None:
    """A value that on_failure does not have is an error that names it."""
    message = told(comfy, {"1": node("PikaResult", task_id="x", on_failure="explode")})
    assert "on_failure" in message
