"""PikaPrompts in a real ComfyUI: a list of prompts is as many tasks, all at once."""

from __future__ import annotations

import pytest

from simulator import Simulator
from support.comfy import Comfy, Graph
from support.graphs import generate, node, seen, told

pytestmark = pytest.mark.comfy


def clips(prompts: str) -> Graph:
    """PikaPrompts "1" → PikaGenerate "2" → PikaResult "3"."""
    return {
        "1": node("PikaPrompts", prompts=prompts),
        "2": generate(["1", 0]),
        "3": node("PikaResult", task_id=["2", 0]),
    }


def test_three_lines_are_three_clips_at_once(comfy: Comfy, gateway: Simulator) -> None:
    """Three lines make three tasks, all sent before the first is over, and three videos in the
    order of the lines."""
    before = len(gateway.charged)
    for _ in range(3):
        gateway.fault(on="task", seconds=1.5)
    run = comfy.run(clips("A fig\nA kiwi\nA lime"))
    assert run.error is None
    made = [gateway.tasks[task_id] for task_id in gateway.charged[before:]]
    assert sorted(task.body["promptText"] for task in made) == ["A fig", "A kiwi", "A lime"]
    assert max(task.started for task in made) < min(task.started + task.seconds for task in made)
    by_prompt = {task.body["promptText"]: task.id for task in made}
    assert [shown["filename"] for shown in run.outputs["3"]["images"]] == [
        f"pika_{by_prompt[prompt]}.mp4" for prompt in ("A fig", "A kiwi", "A lime")
    ]
    assert all(comfy.file(shown).stat().st_size for shown in run.outputs["3"]["images"])


def test_blank_lines_and_blanks_are_left_out(comfy: Comfy) -> None:
    """A line is a prompt without the blanks around it, whatever ends it; blank lines are none."""
    graph = {
        "1": node("PikaPrompts", prompts="\n  A fig \r\n\n\t\nA kiwi,\twith  leaves"),
        "2": node("ProbeSink", text=["1", 0]),
    }
    run = comfy.run(graph)
    assert [saw["text"] for saw in seen(run, "2")] == ["A fig", "A kiwi,\twith  leaves"]


def test_twins_in_a_list_are_one_task(comfy: Comfy, gateway: Simulator) -> None:
    """The same line twice is one task and one charge, and its video stands twice."""
    before = len(gateway.charged)
    run = comfy.run(clips("A plum\nA date\nA plum"))
    assert run.error is None
    assert len(gateway.charged) == before + 2
    first, second, third = (shown["filename"] for shown in run.outputs["3"]["images"])
    assert first == third != second


@pytest.mark.parametrize("over_a_link", [False, True])
def test_no_prompt_is_told(comfy: Comfy, gateway: Simulator, over_a_link: bool) -> None:
    """Nothing but blank lines is an error that names the input and the way out, known before the
    queue starts or not; nothing is sent."""
    before = len(gateway.log)
    graph = dict(clips(" \n\n\t"))
    if over_a_link:
        graph["0"] = node("ProbeList", lines=" ")
        graph["1"] = node("PikaPrompts", prompts=["0", 0])
    message = told(comfy, graph)
    assert "prompts" in message
    assert "one prompt per line" in message
    assert len(gateway.log) == before
