"""PikaPrompts in a real ComfyUI: a list of prompts becomes as many tasks, at the same time."""

from __future__ import annotations

import pytest

from simulator import Simulator
from support.comfy import Comfy, Graph
from support.gateway import held_tasks, result_name
from support.graphs import error_of, generate, node, sink_inputs

pytestmark = pytest.mark.comfy


def clips(prompts: str) -> Graph:
    """PikaPrompts "1" → PikaGenerate "2" → PikaResult "3"."""
    return {
        "1": node("PikaPrompts", prompts=prompts),
        "2": generate(["1", 0]),
        "3": node("PikaResult", task_id=["2", 0]),
    }


def test_three_lines_are_three_clips_at_once(comfy: Comfy, gateway: Simulator) -> None:
    """Three lines become three tasks, all sent before the first is finished, and three videos in
    the order of the lines."""
    with held_tasks(gateway, 3) as tasks:
        prompt_id = comfy.queue(clips("A fig\nA kiwi\nA lime"))
        tasks.running(3)
    run = comfy.wait(prompt_id)
    assert run.error is None
    by_prompt = {gateway.tasks[task_id].body["promptText"]: task_id for task_id in tasks.ids}
    assert len(tasks.ids) == 3
    videos = run.outputs["3"]["images"]
    assert [video["filename"] for video in videos] == [
        result_name(gateway, by_prompt[prompt]) for prompt in ("A fig", "A kiwi", "A lime")
    ]
    assert all(comfy.file(video).stat().st_size for video in videos)


def test_blank_lines_and_surrounding_blanks_are_ignored(comfy: Comfy) -> None:
    """A prompt is a line without the blanks around it, whatever its line end."""
    graph = {
        "1": node("PikaPrompts", prompts="\n  A fig \r\n\n\t\nA kiwi,\twith  leaves"),
        "2": node("ProbeSink", text=["1", 0]),
    }
    run = comfy.run(graph)
    assert [inputs["text"] for inputs in sink_inputs(run, "2")] == [
        "A fig",
        "A kiwi,\twith  leaves",
    ]


def test_equal_lines_are_one_task(comfy: Comfy, gateway: Simulator) -> None:
    """The same line twice is one task and one charge; its video comes twice."""
    before = len(gateway.charged)
    run = comfy.run(clips("A plum\nA date\nA plum"))
    assert run.error is None
    assert len(gateway.charged) == before + 2
    first, second, third = (video["filename"] for video in run.outputs["3"]["images"])
    assert first == third != second


@pytest.mark.parametrize("over_a_link", [False, True])
def test_empty_list_is_an_error(comfy: Comfy, gateway: Simulator, over_a_link: bool) -> None:
    """If all lines are blank, the error names the input and the next step, whether ComfyUI knows
    the text before the run or not. Nothing is sent."""
    before = len(gateway.log)
    graph = dict(clips(" \n\n\t"))
    if over_a_link:
        graph["0"] = node("ProbeList", lines=" ")
        graph["1"] = node("PikaPrompts", prompts=["0", 0])
    message = error_of(comfy, graph)
    assert "prompts" in message
    assert "one prompt per line" in message
    assert len(gateway.log) == before
