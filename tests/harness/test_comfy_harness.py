"""The harness itself: what other tests rely on when they blame the pack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from support.comfy import Comfy, ComfyDied, Rejected
from support.waiting import until

pytestmark = pytest.mark.comfy

# Nodes with what core ones lack: progress text, an error on demand, and an endless wait.
PROBE = """
import asyncio
import comfy.model_management as mm
from comfy_api.latest import ComfyExtension, io
from server import PromptServer


class Probe(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="HarnessProbe", is_output_node=True, hidden=[io.Hidden.unique_id],
            inputs=[io.String.Input("mode")],
        )

    @classmethod
    async def execute(cls, mode):
        PromptServer.instance.send_progress_text(f"mode is {mode} – ü", cls.hidden.unique_id)
        if mode == "fail":
            raise ValueError("as asked")
        while mode == "wait":
            await asyncio.sleep(0.02)
            if mm.processing_interrupted():
                raise mm.InterruptProcessingException()
        return io.NodeOutput(ui={"text": [mode]})


class Pack(ComfyExtension):
    async def get_node_list(self):
        return [Probe]


async def comfy_entrypoint():
    return Pack()
"""


def probe(mode: str) -> dict[str, dict[str, object]]:
    return {"7": {"class_type": "HarnessProbe", "inputs": {"mode": mode}}}


def preview(image: str) -> dict[str, dict[str, object]]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red apple.png"
    Image.new("RGB", (64, 48), "red").save(path)
    return path


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A ComfyUI with the probe for a pack, started by somebody who has a key."""
    pack = tmp_path_factory.mktemp("probe")
    (pack / "__init__.py").write_text(PROBE, encoding="utf-8")
    base_dir = tmp_path_factory.mktemp("core")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIKA_API_KEY", "the developer's own")
        running = Comfy.start(base_dir, pack=pack, env={"PIKA_X": "given"})
    with running:
        yield running


def test_graph_runs_and_its_file_is_in_the_base_directory(core: Comfy, picture: Path) -> None:
    """A graph's outputs come back, and the files they name are under the base directory."""
    run = core.run(preview(core.upload_image(picture)))
    assert run.succeeded
    assert run.error is None
    (image,) = run.outputs["2"]["images"]
    with Image.open(core.base_dir / image["type"] / image["filename"]) as made:
        assert made.size == (64, 48)


def test_rejected_graph_names_node_and_input(core: Comfy) -> None:
    """A graph that ComfyUI refuses raises Rejected with the details of every bad node."""
    with pytest.raises(Rejected) as caught:
        core.queue(preview("there is no such picture.png"))
    (error,) = caught.value.node_errors["1"]["errors"]
    assert error["extra_info"]["input_name"] == "image"
    assert "there is no such picture.png" in str(caught.value)


def test_unknown_node_is_rejected(core: Comfy) -> None:
    """Rejected also where ComfyUI gives no details by node."""
    with pytest.raises(Rejected, match="NoSuchNode"):
        core.queue({"1": {"class_type": "NoSuchNode", "inputs": {}}})
    assert core.object_info("NoSuchNode") == {}


def test_error_of_a_node_comes_back(core: Comfy) -> None:
    """A node's exception is on the run, with the node that raised it."""
    run = core.run(probe("fail"))
    assert not run.succeeded
    assert not run.interrupted
    assert run.error is not None
    assert (run.error.node_id, run.error.node_type) == ("7", "HarnessProbe")
    assert (run.error.type, run.error.message) == ("ValueError", "as asked")


def test_listener_hears_progress_text_and_the_end(core: Comfy) -> None:
    """JSON events and binary progress text come in, in order, with the node they are about."""
    with core.listen("harness") as events:
        prompt_id = core.queue(probe("done"), client_id="harness")
        events.wait_for(lambda event: event.type == "execution_success")
        assert events.texts("7") == ["mode is done – ü"]
        (executed,) = events.of_type("executed")
        assert executed.data["prompt_id"] == prompt_id
        assert executed.data["output"] == {"text": ["done"]}


def test_listener_without_a_server_says_so(core: Comfy) -> None:
    """No websocket, no silent listening to nothing."""
    with core.listen("harness") as events, pytest.raises(TimeoutError, match="no such event"):
        events.wait_for(lambda event: event.type == "never", timeout=0.2)


def test_interrupt_ends_a_run(core: Comfy) -> None:
    """`interrupt` ends the running graph, and the run says that it was cancelled."""
    with core.listen("harness") as events:
        prompt_id = core.queue(probe("wait"), client_id="harness")
        events.wait_for(lambda event: event.type == "progress_text")
        core.interrupt()
        run = core.wait(prompt_id, timeout=10)
    assert run.interrupted
    assert run.error is None


def test_killed_one_comes_back_on_its_own_data(core: Comfy, picture: Path) -> None:
    """After `kill` a wait ends at once; `restart` brings the same address and files back."""
    name = core.upload_image(picture)
    prompt_id = core.queue(probe("wait"))
    core.kill()
    with pytest.raises(ComfyDied, match="whole log"):
        core.wait(prompt_id)
    url = core.url
    core.restart()
    assert core.url == url
    assert core.run(preview(name)).succeeded


def test_one_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """A ComfyUI that dies on the way up is told with what it printed."""
    with pytest.raises(ComfyDied, match="unrecognized arguments: --no-such-option"):
        Comfy.start(tmp_path, extra_args=["--no-such-option"])


def test_environment_of_the_process_is_the_given_one(core: Comfy) -> None:
    """A developer's own key does not leak into a ComfyUI under test."""
    environment = psutil.Process(core.process.pid).environ()
    assert "PIKA_API_KEY" not in environment
    assert environment["PIKA_X"] == "given"


@pytest.mark.skipif(os.name != "posix", reason="signals to a group are POSIX")
def test_terminated_owner_takes_its_comfyui_along(tmp_path: Path) -> None:
    """SIGTERM to whoever holds a Comfy, as a CI's time-out sends, leaves no ComfyUI behind."""
    script = (
        "import sys; from pathlib import Path; from devtools.comfyui import Comfy\n"
        "from devtools.setup.processes import unwind_on_termination; unwind_on_termination()\n"
        "with Comfy.start(Path(sys.argv[1])) as c: print(c.process.pid, flush=True); input()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGTERM)
        owner.wait(timeout=20)
    until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of ComfyUI")
