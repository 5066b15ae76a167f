"""Workflows saved by every release so far still open, and send what they sent."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from devtools.comfyui.pages import complaints, open_editor, open_workflow
from simulator import Simulator
from simulator.log import Request
from support.comfy import Comfy, Graph
from support.graphs import text_to_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.comfy

WORKFLOWS = Path(__file__).parents[1] / "workflows"
SAVED = sorted(path.with_suffix("").with_suffix("") for path in WORKFLOWS.glob("*/*.body.json"))


def name(saved: Path) -> str:
    """Release and name of a saved workflow."""
    return saved.relative_to(WORKFLOWS).as_posix()


@pytest.fixture(scope="module")
def ready(comfy: Comfy) -> None:
    """The files that the workflows load, and one finished task to find again."""
    for file in WORKFLOWS.glob("*/input/*"):
        shutil.copy(file, comfy.base_dir / "input")
    assert comfy.run(text_to_video("A saved quince")).error is None


@pytest.fixture(scope="module")
def editor(chromium: Browser, comfy: Comfy) -> Iterator[Page]:
    """The editor, opened once for all workflows."""
    context = chromium.new_context(locale="en-US", service_workers="block")
    page = context.new_page()
    open_editor(page, comfy.url)
    yield page
    context.close()


def described(request: Request) -> dict[str, Any]:
    """A submitted body, its media described as in the saved ones."""
    body = dict(request.body)
    if isinstance(body.get("image"), dict):
        sent = json.loads(request.text or "")["image"]
        with Image.open(io.BytesIO(base64.b64decode(sent))) as picture:
            body["image"] = {
                "kind": "image",
                "format": picture.format,
                "width": picture.width,
                "height": picture.height,
                "pixels": hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest(),
            }
    return body


def check(comfy: Comfy, gateway: Simulator, graph: Graph, saved: Path) -> None:
    """Run a graph and compare the requests that arrive with those of the release."""
    before = len(gateway.requests(method="POST", path="/pika/generate"))
    run = comfy.run(graph)
    assert run.error is None
    arrived = gateway.requests(method="POST", path="/pika/generate")[before:]
    bodies = sorted((described(request) for request in arrived), key=lambda b: b["promptText"])
    assert bodies == json.loads(saved.with_suffix(".body.json").read_text("utf-8"))


def test_every_release_is_complete() -> None:
    """Each saved workflow is there in both formats."""
    assert SAVED
    for saved in SAVED:
        assert saved.with_suffix(".json").is_file()
        assert saved.with_suffix(".api.json").is_file()


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("saved", SAVED, ids=name)
def test_an_exported_workflow_sends_what_it_sent(
    comfy: Comfy, gateway: Simulator, saved: Path
) -> None:
    """A workflow in the API format, as a release exported it, makes the very requests that it made
    then."""
    graph = json.loads(saved.with_suffix(".api.json").read_text("utf-8"))
    check(comfy, gateway, graph, saved)


@pytest.mark.browser
@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("saved", SAVED, ids=name)
def test_a_saved_workflow_sends_what_it_sent(
    comfy: Comfy, gateway: Simulator, editor: Page, saved: Path
) -> None:
    """A workflow as a release's editor saved it opens without a complaint, every widget keeps its
    value, and it makes the very requests that it made then."""
    opened = open_workflow(editor, saved.with_suffix(".json"))
    assert complaints(editor) == []
    values = editor.evaluate(
        "() => window.app.graph.serialize().nodes.map((n) => n.widgets_values)"
    )
    for node, now in zip(opened["nodes"], values, strict=True):
        then = node.get("widgets_values") or []
        assert (now or [])[: len(then)] == then, node["type"]
    graph = editor.evaluate("async () => (await window.app.graphToPrompt()).output")
    check(comfy, gateway, graph, saved)
