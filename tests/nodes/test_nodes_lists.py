"""Lists of prompts in a real ComfyUI: refused and failed items, with on_failure «stop» and «skip».

The chain is PikaGenerate "1" → PikaResult "2" → ProbeSink "3".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator import Simulator
from support.comfy import Comfy, Event, Graph, Run
from support.graphs import error_of, generate, node, sink_inputs

pytestmark = pytest.mark.comfy

MODERATION = {"error": {"message": "blocked by moderation: <b>knife</b>"}}


def chain(lines: str, on_failure: str, **inputs: Any) -> Graph:
    """A list of prompts with the same setting at both nodes."""
    return {
        "0": node("ProbeList", lines=lines),
        "1": generate(["0", 0], on_failure=on_failure, **inputs),
        "2": node("PikaResult", task_id=["1", 0], on_failure=on_failure),
        "3": node("ProbeSink", video=["2", 0]),
    }


@dataclass
class Seen:
    """What a client of ComfyUI sees of a run.

    Attributes:
        texts: The last text on each node.
        blocked: The messages at blocked nodes, by node.
    """

    run: Run
    texts: Mapping[str, str]
    blocked: Mapping[str, list[str]]


def run(comfy: Comfy, graph: Graph) -> Seen:
    """Run a graph and listen."""
    with comfy.listen("list") as events:
        result = comfy.wait(comfy.queue(graph, client_id="list"))
        events.wait_for(is_end)
        seen = events.events
        texts = {key: (events.texts(key) or [""])[-1] for key in graph}
    blocked: dict[str, list[str]] = {}
    for event in seen:
        if event.type == "execution_error" and "Blocked" in event.data["exception_message"]:
            blocked.setdefault(event.data["node_id"], []).append(event.data["exception_message"])
    return Seen(result, texts, blocked)


def is_end(event: Event) -> bool:
    """Whether the event says that ComfyUI has finished a prompt."""
    return event.type == "executing" and event.data.get("node") is None


def saved(run: Run) -> list[str]:
    """The names of the files on PikaResult."""
    return [each["filename"] for each in run.outputs["2"]["images"]]


def charged(gateway: Simulator, before: int) -> dict[str, str]:
    """The ids of the tasks since then, by prompt."""
    return {gateway.tasks[each].body["promptText"]: each for each in gateway.charged[before:]}


def test_skip_returns_the_clips_that_are_possible(comfy: Comfy, gateway: Simulator) -> None:
    """Of four prompts, one is refused at submit and one fails later. The other two come. Each node
    says how many came and which did not, with the prompt and the gateway's words. The nodes behind
    a missing clip are blocked with the same words."""
    before = len(gateway.charged)
    gateway.fault(on="submit", status=400, body=MODERATION, prompt="list knife")
    seen = run(comfy, chain("list pear\nlist knife\nlist forbidden plum\nlist fig", "skip"))
    assert seen.run.error is None
    tasks = charged(gateway, before)
    assert sorted(tasks) == ["list fig", "list forbidden plum", "list pear"]
    pear, fig = saved(seen.run)
    assert tasks["list pear"] in pear
    assert tasks["list fig"] in fig
    assert len(sink_inputs(seen.run, "3")) == 2
    submitted, results = seen.texts["1"], seen.texts["2"]
    assert submitted.startswith("3 of 4 submitted. Refused, skipped: 2: «list knife»: HTTP 400")
    assert "blocked by moderation: ‹b›knife" in submitted
    assert results.startswith("2 of 3 saved. Failed, skipped: 3: «list forbidden plum»: ")
    assert "rejected by the content moderation" in results
    (refused,) = seen.blocked["2"]
    for words in ("2: «list knife»: HTTP 400", "blocked by moderation", "nothing was charged"):
        assert words in refused
    (failed,) = seen.blocked["3"]
    assert "3: «list forbidden plum»: " in failed
    texts = seen.run.outputs["1"]["text"]
    assert seen.run.outputs["1"]["pika_tasks"] == [
        tasks[prompt] for prompt in ("list pear", "list forbidden plum", "list fig")
    ]
    assert [
        tasks.get(prompt, "HTTP 400")[:8] in text
        for prompt, text in zip(
            ("list pear", "list knife", "list forbidden plum", "list fig"), texts, strict=True
        )
    ] == [True] * 4


def test_stop_ends_the_run_and_names_the_item_on_the_node(comfy: Comfy, gateway: Simulator) -> None:
    """By default, the refused prompt ends the run, with the gateway's words. The node says which
    prompt it was. The tasks of the others are reused when the list is queued without it."""
    before = len(gateway.charged)
    gateway.fault(on="submit", status=400, body=MODERATION, prompt="stop knife")
    graph = chain("stop pear\nstop knife\nstop forbidden plum\nstop fig", "stop")
    seen = run(comfy, graph)
    assert seen.run.error is not None
    assert seen.run.error.node_id == "1"
    assert "blocked by moderation" in seen.run.error.message
    assert seen.texts["1"].startswith("3 of 4 submitted. Refused: 2: «stop knife»: HTTP 400")
    assert "2" not in seen.run.outputs
    graph["0"] = node("ProbeList", lines="stop pear\nstop forbidden plum\nstop fig")
    seen = run(comfy, graph)
    assert seen.run.error is not None
    assert seen.run.error.node_id == "2"
    assert "content moderation" in seen.run.error.message
    assert seen.texts["1"] == "3 of 3 submitted (3 reused, no new charge)."
    assert seen.texts["2"].startswith("2 of 3 saved. Failed: 2: «stop forbidden plum»: ")
    assert len(gateway.charged) == before + 3


def test_queued_again_only_the_missing_prompts_are_sent(comfy: Comfy, gateway: Simulator) -> None:
    """Queued again, a list with skipped prompts sends the refused one again, and nothing is paid
    twice. When all clips are there, ComfyUI's cache keeps both nodes."""
    before = len(gateway.charged)
    graph = chain("again pear\nagain knife\nagain fig", "skip")
    gateway.fault(on="submit", status=422, body=MODERATION, prompt="again knife", times=2)
    assert len(saved(run(comfy, graph).run)) == 2
    seen = run(comfy, graph)
    assert len(saved(seen.run)) == 2
    assert seen.texts["1"].startswith("2 of 3 submitted (2 reused, no new charge). Refused, skip")
    assert len(gateway.charged) == before + 2
    seen = run(comfy, graph)
    assert seen.texts["1"] == "3 of 3 submitted (2 reused, no new charge)."
    assert seen.texts["2"] == "3 of 3 saved."
    assert seen.blocked == {}
    assert len(gateway.charged) == before + 3
    cached = run(comfy, graph)
    assert cached.texts["1"] == ""
    assert cached.run.error is None
    assert len(gateway.charged) == before + 3


def test_changed_line_is_the_only_new_request(comfy: Comfy, gateway: Simulator) -> None:
    """If the refused line is changed, only the new line is sent."""
    graph = chain("change pear\nchange knife", "skip")
    gateway.fault(on="submit", status=400, body=MODERATION, prompt="change knife")
    run(comfy, graph)
    before, requests = len(gateway.charged), len(gateway.requests(method="POST"))
    graph["0"] = node("ProbeList", lines="change pear\nchange spoon")
    seen = run(comfy, graph)
    assert seen.texts["1"] == "2 of 2 submitted (1 reused, no new charge)."
    assert list(charged(gateway, before)) == ["change spoon"]
    assert len(gateway.requests(method="POST")) == requests + 1


def test_refused_first_item_does_not_hide_the_others(comfy: Comfy, gateway: Simulator) -> None:
    """ComfyUI merges what the items show by the keys of the first one: it is the refused one here,
    and the same prompt without a list shows that it was skipped."""
    gateway.fault(on="submit", status=413, body="too large", prompt="first knife", times=2)
    seen = run(comfy, chain("first knife\nfirst pear", "skip"))
    assert len(saved(seen.run)) == 1
    assert len(seen.run.outputs["1"]["text"]) == 2
    alone = run(comfy, chain("first knife", "skip"))
    assert alone.run.error is None
    assert alone.texts["1"].startswith("skipped: HTTP 413")
    assert "«first knife»: HTTP 413" in alone.blocked["2"][0]
    assert "2" not in alone.run.outputs
    assert "3" not in alone.run.outputs


def test_all_refused_is_said(comfy: Comfy, gateway: Simulator) -> None:
    """If every prompt is refused, no node behind runs, nothing is charged, and the node says so.
    A long list of refusals is shortened, and so is a long prompt."""
    before = len(gateway.charged)
    gateway.fault(on="submit", status=400, body=MODERATION, prompt="all ", times=7)
    seen = run(comfy, chain("\n".join(f"all {number} {'x' * 300}" for number in range(7)), "skip"))
    assert seen.run.error is None
    assert "2" not in seen.run.outputs
    assert seen.texts["1"].startswith("0 of 7 submitted. Refused, skipped: 1: «all 0 xxx")
    assert seen.texts["1"].endswith("; and 2 more")
    assert "x" * 60 not in seen.texts["1"]
    assert len(seen.blocked["2"]) == 7
    assert len(gateway.charged) == before


@dataclass(frozen=True)
class Global:
    """A fault that concerns every request."""

    fault: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


GLOBAL = {
    "no credit": Global({"status": 402, "body": {"message": "no credit left"}}, "no credit"),
    "quota in a 400": Global(
        {"status": 400, "body": {"error": {"message": "x", "code": "insufficient_user_quota"}}},
        "top it up",
    ),
    "key": Global({"status": 401, "body": {"message": "bad key"}}, "check it in Settings"),
    "rights": Global({"status": 403, "body": {"message": "key is for images"}}, "key's rights"),
    "address": Global({"status": 404, "body": {"message": "no such path"}}, "check PIKA_BASE_URL"),
    "web page": Global({"status": 400, "body": "<html>Sign in</html>"}, "web page"),
    "redirect": Global(
        {"status": 308, "body": "", "headers": {"Location": "http://other.test/"}}, "redirects"
    ),
}


@pytest.mark.parametrize("kind", GLOBAL)
def test_error_about_every_request_is_not_skipped(
    comfy: Comfy, gateway: Simulator, kind: str
) -> None:
    """An error about the key, the account or the address ends the run even with «skip». The task
    that was created is reused later."""
    before = len(gateway.charged)
    gateway.fault(on="submit", prompt=f"{kind} knife", **GLOBAL[kind].fault)
    graph = chain(f"{kind} pear\n{kind} knife", "skip")
    seen = run(comfy, graph)
    assert seen.run.error is not None
    assert GLOBAL[kind].words in seen.run.error.message
    assert seen.texts["1"].startswith(f"1 of 2 submitted. Refused: 2: «{kind} knife»: ")
    assert len(saved(run(comfy, graph).run)) == 2
    assert len(gateway.charged) == before + 2


@pytest.mark.parametrize("fault", [{"status": 502}, {"reset": True}, {"body": {"message": "hm"}}])
def test_unknown_outcome_is_shown_in_every_run(
    comfy: Comfy, gateway: Simulator, fault: dict[str, Any]
) -> None:
    """A request with an unknown outcome does not stop its siblings with «skip»: their clips come.
    Every run says at both nodes that it may have been charged, and never sends it again."""
    before = len(gateway.charged)
    gateway.fault(on="submit", accept=True, prompt="unknown knife", **fault)
    graph = chain("unknown pear\nunknown knife\nunknown fig", "skip", model=str(fault))
    for attempt in range(3):
        seen = run(comfy, graph)
        assert seen.run.error is None
        assert len(saved(seen.run)) == 2
        reused = " (2 reused, no new charge)" if attempt else ""
        assert seen.texts["1"].startswith(
            f"2 of 3 submitted{reused}. Outcome unknown, may have been charged: 2: "
        )
        (message,) = seen.blocked["2"]
        assert "2: «unknown knife»: " in message
        assert "may have been accepted and charged" in message
        assert "enter its id" in message
    assert len(gateway.charged) == before + 3
    graph["1"]["inputs"]["on_failure"] = "stop"
    assert "may have been accepted and charged" in error_of(comfy, graph)
    assert len(gateway.charged) == before + 3


def test_invalid_choice_is_an_error(comfy: Comfy, gateway: Simulator) -> None:
    """The error names the input, and nothing is sent."""
    before = len(gateway.log)
    message = error_of(comfy, {"1": generate("A pear", on_failure="explode")})
    assert "on_failure" in message
    assert len(gateway.log) == before


def test_input_that_cannot_be_sent_is_not_skipped(comfy: Comfy) -> None:
    """A mistake in the workflow is no refusal of the gateway: it ends the run."""
    graph = chain("input pear\ninput fig", "skip", extra_json="{}", image_url="ftp://x")
    assert "image_url" in error_of(comfy, graph)
