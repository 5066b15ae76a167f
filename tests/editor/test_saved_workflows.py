"""Workflows that earlier releases saved still open, and send the same requests."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from devtools.comfyui.pages import complaints, open_workflow
from simulator import Simulator
from simulator.log import Request
from support.comfy import Comfy, Graph
from support.graphs import text_to_video
from support.routes import save_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.comfy

WORKFLOWS = Path(__file__).parents[1] / "workflows"
SAVED = sorted(path.with_suffix("").with_suffix("") for path in WORKFLOWS.glob("*/*.body.json"))


def name(saved: Path) -> str:
    """Release and name of a saved workflow."""
    return saved.relative_to(WORKFLOWS).as_posix()


@pytest.fixture(scope="module")
def inputs(unconfigured: Comfy, shared_gateway: Simulator) -> None:
    """The files that the workflows load, and one finished task for Pika History."""
    for file in WORKFLOWS.glob("*/input/*"):
        shutil.copy(file, unconfigured.base_dir / "input")
    save_settings(unconfigured, base_url=shared_gateway.url, api_key=shared_gateway.key)
    assert unconfigured.run(text_to_video("A saved quince")).error is None


def described(request: Request) -> dict[str, Any]:
    """A submitted body, with its image described as in the saved bodies."""
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


def assert_same_requests(comfy: Comfy, gateway: Simulator, graph: Graph, saved: Path) -> None:
    """Run a graph and compare its requests with those of the release."""
    before = len(gateway.requests(method="POST", path="/pika/generate"))
    run = comfy.run(graph)
    assert run.error is None
    arrived = gateway.requests(method="POST", path="/pika/generate")[before:]
    bodies = sorted((described(request) for request in arrived), key=lambda b: b["promptText"])
    assert bodies == json.loads(saved.with_suffix(".body.json").read_text("utf-8"))


def test_every_workflow_is_saved_in_both_formats() -> None:
    """Each workflow has a file of the editor and one in the API format."""
    assert SAVED
    for saved in SAVED:
        assert saved.with_suffix(".json").is_file()
        assert saved.with_suffix(".api.json").is_file()


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("saved", SAVED, ids=name)
def test_exported_workflow_sends_the_same_requests(
    keyed: Comfy, gateway: Simulator, saved: Path
) -> None:
    """A workflow that a release exported in the API format sends the requests of that release."""
    graph = json.loads(saved.with_suffix(".api.json").read_text("utf-8"))
    assert_same_requests(keyed, gateway, graph, saved)


@pytest.mark.browser
@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("saved", SAVED, ids=name)
def test_saved_workflow_opens_unchanged_and_sends_the_same_requests(
    keyed: Comfy, gateway: Simulator, editor: Page, saved: Path
) -> None:
    """A workflow that a release's editor saved opens without a warning, every widget keeps its
    value, and it sends the requests of that release."""
    opened = open_workflow(editor, saved.with_suffix(".json"))
    assert complaints(editor) == []
    values = editor.evaluate(
        "() => window.app.graph.serialize().nodes.map((n) => n.widgets_values)"
    )
    for node, now in zip(opened["nodes"], values, strict=True):
        then = node.get("widgets_values") or []
        assert (now or [])[: len(then)] == then, node["type"]
    graph = editor.evaluate("async () => (await window.app.graphToPrompt()).output")
    assert_same_requests(keyed, gateway, graph, saved)
