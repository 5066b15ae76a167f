"""PikaPrompts in a real ComfyUI: a list of prompts becomes as many tasks, at the same time."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from simulator import Simulator
from support.comfy import Comfy, Graph, Rejected
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


def takes_of(prompts: str, **inputs: Any) -> Graph:
    """PikaPrompts "1", both lists → ProbeSink "2"."""
    return {
        "1": node("PikaPrompts", prompts=prompts, **inputs),
        "2": node("ProbeSink", text=["1", 0], number=["1", 1]),
    }


def pairs(comfy: Comfy, prompts: str, **inputs: Any) -> list[tuple[str, int]]:
    """Prompt and seed of each item."""
    run = comfy.run(takes_of(prompts, **inputs))
    assert run.error is None, run.error
    return [(items["text"], items["number"]) for items in sink_inputs(run, "2")]


def test_without_the_new_inputs_the_list_is_as_before(comfy: Comfy) -> None:
    """A workflow that was saved before takes has one item per line, all with the seed of a new
    Pika Generate; the defaults do the same."""
    expected = [("A fig", 0), ("A kiwi", 0), ("A fig", 0)]
    assert pairs(comfy, "A fig\nA kiwi\nA fig") == expected
    assert pairs(comfy, "A fig\nA kiwi\nA fig", takes=1, first_seed=0) == expected


def test_list_without_takes_has_no_limit(comfy: Comfy) -> None:
    """A text with more lines than tasks are allowed with takes still gives all of them."""
    lines = [f"Prompt {number}" for number in range(1200)]
    assert pairs(comfy, "\n".join(lines)) == [(line, 0) for line in lines]


@pytest.mark.parametrize("first", [0, 7, 2**53, 2**64 - 3])
def test_each_prompt_has_each_take(comfy: Comfy, first: int) -> None:
    """2 prompts with 3 takes are 6 items, grouped by prompt, with consecutive exact seeds up to the
    largest one."""
    assert pairs(comfy, "A fig\nA kiwi", takes=3, first_seed=first) == [
        (prompt, first + take) for prompt in ("A fig", "A kiwi") for take in range(3)
    ]


def clips_with_takes(prompts: str, **inputs: Any) -> Graph:
    """PikaPrompts "1" → PikaGenerate "2", with prompts and seeds."""
    return {
        "1": node("PikaPrompts", prompts=prompts, **inputs),
        "2": generate(["1", 0], seed=["1", 1]),
    }


def test_takes_are_charged_once_whatever_is_added(comfy: Comfy, gateway: Simulator) -> None:
    """Two prompts with three takes are six charges. After that a run charges exactly for what is
    new: nothing if nothing is, a further take of each prompt, a prompt at any place of the text,
    not a prompt that moved, and not what is left after a removal."""
    before = len(gateway.charged)
    steps = [
        ({"prompts": "A pear with takes\nA peach with takes", "takes": 3}, 6),
        ({"prompts": "A pear with takes\nA peach with takes", "takes": 3}, 0),
        ({"prompts": "A pear with takes\nA peach with takes", "takes": 4}, 2),
        ({"prompts": "A grape with takes\nA pear with takes\nA peach with takes", "takes": 4}, 4),
        ({"prompts": "A peach with takes\nA grape with takes\nA pear with takes", "takes": 4}, 0),
        ({"prompts": "A peach with takes", "takes": 2}, 0),
        ({"prompts": "A peach with takes", "takes": 2, "first_seed": 2}, 0),
        ({"prompts": "A peach with takes\nA peach with takes", "takes": 2, "first_seed": 3}, 1),
    ]
    for inputs, charges in steps:
        assert comfy.run(clips_with_takes(**inputs)).error is None
        assert len(gateway.charged) - before == charges, inputs
        before = len(gateway.charged)


def test_first_take_is_the_task_of_the_workflow_without_takes(
    comfy: Comfy, gateway: Simulator
) -> None:
    """A workflow with seed 0 in Pika Generate that gets takes keeps its paid task as the first."""
    graph = {
        "1": node("PikaPrompts", prompts="A cherry with takes"),
        "2": generate(["1", 0], seed=0),
    }
    assert comfy.run(graph).error is None
    before = len(gateway.charged)
    assert comfy.run(clips_with_takes("A cherry with takes", takes=2)).error is None
    assert len(gateway.charged) == before + 1


@pytest.mark.parametrize(
    ("name", "value", "limit", "words"),
    [
        ("takes", 0, "min of 1", "Use 1 to 100."),
        ("takes", -1, "min of 1", "Use 1 to 100."),
        ("takes", 101, "max of 100", "Use 1 to 100."),
        ("takes", 2**80, "max of 100", "Use 1 to 100."),
        ("first_seed", -1, "min of 0", "Use 0 to 18446744073709551612."),
        ("first_seed", 2**64 - 3, "", "Use 0 to 18446744073709551612."),
        ("first_seed", 2**64, "max of 18446744073709551615", "Use 0 to 18446744073709551612."),
    ],
)
def test_out_of_range_is_an_error(
    comfy: Comfy, gateway: Simulator, name: str, value: int, limit: str, words: str
) -> None:
    """The error names the input and the range: for a link, and for a widget, where ComfyUI itself
    refuses the number before the run and blames no other input. The last of four takes needs a
    valid seed too. Nothing is sent."""
    before = len(gateway.log)
    inputs: dict[str, Any] = {"takes": 4, "first_seed": 0}
    linked = clips_with_takes("A fig", **{**inputs, name: ["0", 0]})
    linked["0"] = node("ProbeValue", literal=str(value))
    message = error_of(comfy, linked)
    assert f"{name}: " in message
    assert words in message
    typed = clips_with_takes("A fig", **{**inputs, name: value})
    if limit:
        with pytest.raises(Rejected) as caught:
            comfy.run(typed)
        (text,) = caught.value.texts("1")
        assert text.endswith(f"{limit}: {name}")
    else:
        assert words in error_of(comfy, typed)
    assert len(gateway.log) == before


@pytest.mark.parametrize("literal", ["'3'", "3.0", "True", "None", "[3]"])
@pytest.mark.parametrize("name", ["takes", "first_seed"])
def test_linked_value_that_is_no_integer_is_an_error(
    comfy: Comfy, gateway: Simulator, name: str, literal: str
) -> None:
    """The error names the input. Nothing is sent."""
    before = len(gateway.log)
    graph = {
        **clips_with_takes("A fig", **{name: ["0", 0]}),
        "0": node("ProbeValue", literal=literal),
    }
    message = error_of(comfy, graph)
    assert message.startswith(f"{name}: ")
    assert "is not an integer" in message
    assert len(gateway.log) == before


def test_too_many_tasks_are_an_error(comfy: Comfy, gateway: Simulator) -> None:
    """1000 tasks are accepted. One prompt more is refused with all numbers, and nothing is sent."""
    assert len(pairs(comfy, "\n".join(f"Prompt {i}" for i in range(10)), takes=100)) == 1000
    before = len(gateway.log)
    error = error_of(
        comfy, clips_with_takes("\n".join(f"Prompt {i}" for i in range(11)), takes=100)
    )
    assert error.startswith("takes: 11 prompts with 100 takes each are 1100 tasks")
    assert len(gateway.log) == before


def test_node_shows_the_count_or_that_seed_is_not_connected(comfy: Comfy) -> None:
    """With takes the node says how many tasks there are. Without a connection of seed all takes
    would be one task, and it says so."""
    for graph, text in (
        (takes_of("A fig\nA kiwi", takes=3), "6 tasks: 2 × 3 takes"),
        (clips_without_seed("A plum", takes=2), "The takes have no effect"),
    ):
        client = uuid.uuid4().hex
        with comfy.listen(client) as events:
            run = comfy.wait(comfy.queue(graph, client))
            assert run.error is None
            events.wait_for(lambda event: event.type == "execution_success")
            (shown,) = events.texts("1")
        assert text in shown


def clips_without_seed(prompts: str, **inputs: Any) -> Graph:
    """The same graph with a fixed seed in PikaGenerate."""
    return {**clips_with_takes(prompts, **inputs), "2": generate(["1", 0])}
