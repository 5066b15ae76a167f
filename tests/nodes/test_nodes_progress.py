"""What a node's text says over time: one clock, and what a stopped run means for the money."""

from __future__ import annotations

import re

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.gateway import advance, held_tasks
from support.graphs import generate, node, text_to_video
from support.waiting import until

pytestmark = pytest.mark.comfy

_SECONDS = re.compile(r"(?<![\d.])(\d+) s(?= ·|$)")


def clock(text: str) -> list[int]:
    """The elapsed times in a text, in seconds."""
    return [int(seconds) for seconds in _SECONDS.findall(text)]


def test_the_clock_of_a_node_never_runs_backwards(comfy: Comfy, gateway: Simulator) -> None:
    """Each text has at most one elapsed time, and the next one is not earlier, although the tasks
    of a list were submitted at different times and are read at different times."""
    graph = {
        "0": node("ProbeList", lines="clock fig\nclock plum"),
        "1": generate(["0", 0]),
        "2": node("PikaResult", task_id=["1", 0]),
    }
    with comfy.listen("clock") as events, held_tasks(gateway, 2) as tasks:
        prompt_id = comfy.queue(graph, client_id="clock")
        tasks.running(2)
        events.wait_for(lambda event: clock(str(event.data.get("text"))) == [3])
        for task_id in tasks.ids:
            advance(gateway, task_id, 1.0)
        assert comfy.wait(prompt_id).error is None
        times = [clock(text) for text in events.texts("2") if "saved" not in text]
    assert all(len(each) <= 1 for each in times)
    shown = [each[0] for each in times if each]
    assert shown == sorted(shown)


def test_stopped_nodes_say_what_is_kept(comfy: Comfy, gateway: Simulator) -> None:
    """An interrupt while the task runs, and one while the request is being sent: what the node says
    last is true for the money."""
    with comfy.listen("stop") as events:
        with held_tasks(gateway) as tasks:
            prompt_id = comfy.queue(text_to_video("stopped pear"), client_id="stop")
            tasks.running()
            events.wait_for(lambda event: "Running" in str(event.data.get("text")))
            comfy.interrupt()
            assert comfy.wait(prompt_id).interrupted
        kept = "Stopped. The task is kept; run again to continue at no cost."
        events.wait_for(lambda event: event.data.get("text") == kept)
        sent = len(gateway.requests("POST"))
        gateway.fault("submit", delay=1, accept=True)
        prompt_id = comfy.queue({"7": generate("stopped fig")}, client_id="stop")
        until(lambda: len(gateway.requests("POST")) > sent, what="the request")
        comfy.interrupt()
        assert comfy.wait(prompt_id).interrupted
        assert events.texts("7")[-1].startswith(
            "Stopped. If the request was sent, its task is kept"
        )


def test_failure_is_said_in_the_gateways_words(comfy: Comfy, gateway: Simulator) -> None:
    """The last text of a failed node has them, with the start of the id."""
    gateway.fault("task", error="Moderation: no <b>pears</b>")
    with comfy.listen("failure") as events:
        run = comfy.wait(comfy.queue(text_to_video("failed pear"), client_id="failure"))
        assert run.error is not None
        task_id = gateway.charged[-1]
        (said,) = [text for text in events.texts("2") if "Moderation" in text]
    assert said.startswith(
        f"The gateway ended task {task_id[:8]} with an error: Moderation: no ‹b›"
    )
    assert task_id not in said
    assert task_id in run.error.message
