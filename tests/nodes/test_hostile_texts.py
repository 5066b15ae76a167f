"""Hostile texts of workflows and gateways on the websocket: no node text is HTML."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import error_of, generate, node

pytestmark = pytest.mark.comfy

HTML = (
    "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>&lt;b&gt; [[a|https://b]]"
)
NOW = {"Retry-After": "0"}
#: Characters that must not be in a node text: frontends before 1.58 put it into innerHTML.
SPECIAL = set("<>&\"'`")


@pytest.mark.parametrize(
    ("fault", "succeeds"),
    [
        ({"on": "task", "raw_status": HTML, "seconds": 1.5}, True),
        ({"on": "feed", "status": 502, "body": {"message": HTML}, "times": 2}, True),
        ({"on": "feed", "status": 502, "body": f"<html><body>{HTML}</body></html>"}, True),
        ({"on": "feed", "status": 404, "body": {"message": HTML}}, True),
        ({"on": "submit", "status": 429, "body": {"message": HTML}, "headers": NOW}, True),
        ({"on": "submit", "status": 400, "body": {"message": HTML}}, False),
        ({"on": "submit", "body": {"id": HTML}}, False),
        ({"on": "task", "error": HTML}, False),
        ({"on": "media", "status": 403, "body": HTML, "times": None}, False),
    ],
    ids=["status", "502", "page", "404", "429", "400", "id", "failed", "media"],
)  # fmt: skip
def test_node_text_has_no_html_of_the_gateway(
    comfy: Comfy, gateway: Simulator, fault: dict[str, Any], succeeds: bool
) -> None:
    """Whatever the gateway says, each text that a node shows is free of HTML and of links with
    another label."""
    gateway.fault(**fault)
    graph = {
        "1": generate(f"{HTML} {fault['on']}"),
        "2": node("PikaResult", task_id=["1", 0], on_failure="stop"),
    }
    with comfy.listen("hostile") as events:
        run = comfy.wait(comfy.queue(graph, client_id="hostile"))
        end = ("execution_success", "execution_error", "execution_interrupted")
        events.wait_for(lambda event: event.type in end)
        texts = events.texts()
    assert (run.error is None) is succeeds
    assert texts
    for text in texts:
        assert not SPECIAL & set(text), text
        assert "[[" not in text


@pytest.mark.parametrize("name", ["PikaResult", "PikaStatus"])
@pytest.mark.parametrize(
    "task_id", [HTML, "a<b", "a&b", 'a"b', "a'b", "a\x1b[2Jb", "a\x00b", "a\nb", "a\u202eb"]
)
def test_task_id_with_special_characters_is_refused(
    comfy: Comfy, gateway: Simulator, name: str, task_id: str
) -> None:
    """A workflow's id with HTML or control characters is an error before anything is asked, and on
    no node text."""
    before = len(gateway.log)
    with comfy.listen("hostile") as events:
        message = error_of(comfy, {"1": node(name, task_id=task_id)})
        assert events.texts() == []
    assert "task_id" in message
    assert "\x1b" not in message
    assert len(gateway.log) == before


def test_unknown_outcome_keeps_the_raw_answer(comfy: Comfy, gateway: Simulator) -> None:
    """An answer whose id is not an id may hide a charge: the entry keeps what was answered."""
    from support.routes import get

    gateway.fault("submit", body={"id": "<b>4711</b>"}, accept=True)
    assert "HTTP 200 without a task id" in error_of(comfy, {"1": generate("raw answer")})
    (entry,) = [task for task in get(comfy, "tasks")["tasks"] if task["prompt"] == "raw answer"]
    assert entry["state"] == "unknown"
    assert '"<b>4711</b>"' in entry["error"]
