"""The harness around ComfyUI, which the other tests rely on.

`tests/nodes/test_kill_and_restart.py` tests `kill` and `restart`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image

from support.comfy import Comfy, ComfyDied, Rejected
from support.graphs import node
from support.waiting import PATIENCE, until

pytestmark = pytest.mark.comfy


def probe(mode: str) -> dict[str, dict[str, object]]:
    return {"7": node("ProbeMode", mode=mode, file="")}


def preview(image: str) -> dict[str, dict[str, object]]:
    return {"1": node("LoadImage", image=image), "2": node("PreviewImage", images=["1", 0])}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red apple.png"
    Image.new("RGB", (64, 48), "red").save(path)
    return path


def test_graph_runs_and_its_file_is_in_the_base_directory(comfy: Comfy, picture: Path) -> None:
    """A graph's outputs come back, and the files they name are under the base directory."""
    run = comfy.run(preview(comfy.upload_image(picture)))
    assert run.succeeded
    assert run.error is None
    (image,) = run.outputs["2"]["images"]
    with Image.open(comfy.base_dir / image["type"] / image["filename"]) as file:
        assert file.size == (64, 48)


def test_rejected_graph_names_node_and_input(comfy: Comfy) -> None:
    """A graph that ComfyUI refuses raises Rejected with the details of every bad node."""
    with pytest.raises(Rejected) as caught:
        comfy.queue(preview("there is no such picture.png"))
    (error,) = caught.value.node_errors["1"]["errors"]
    assert error["extra_info"]["input_name"] == "image"
    assert "there is no such picture.png" in str(caught.value)


def test_unknown_node_is_rejected(comfy: Comfy) -> None:
    """Rejected also where ComfyUI gives no details by node."""
    with pytest.raises(Rejected, match="NoSuchNode"):
        comfy.queue({"1": {"class_type": "NoSuchNode", "inputs": {}}})
    assert comfy.object_info("NoSuchNode") == {}


def test_error_of_a_node_is_in_the_run(comfy: Comfy) -> None:
    """The run has the exception and the node that raised it."""
    run = comfy.run(probe("fail"))
    assert not run.succeeded
    assert not run.interrupted
    assert run.error is not None
    assert (run.error.node_id, run.error.node_type) == ("7", "ProbeMode")
    assert (run.error.type, run.error.message) == ("ValueError", "ProbeMode fails as requested")


def test_listener_gets_progress_text_and_the_end(comfy: Comfy) -> None:
    """JSON events and binary progress text arrive in order, with their node."""
    with comfy.listen("harness") as events:
        prompt_id = comfy.queue(probe("done"), client_id="harness")
        events.wait_for(lambda event: event.type == "execution_success")
        assert events.texts("7") == ["mode is done – ü"]
        (executed,) = events.of_type("executed")
        assert executed.data["prompt_id"] == prompt_id
        assert executed.data["output"] == {"text": ["done"]}


def test_listener_raises_if_an_event_does_not_come(comfy: Comfy) -> None:
    """The error lists the events that came."""
    with comfy.listen("harness") as events, pytest.raises(TimeoutError, match="no such event"):
        events.wait_for(lambda event: event.type == "never", timeout=0.2)


def test_interrupt_ends_a_run(comfy: Comfy) -> None:
    """`interrupt` ends the running graph, and its run is marked as interrupted."""
    with comfy.listen("harness") as events:
        prompt_id = comfy.queue(probe("wait"), client_id="harness")
        events.wait_for(lambda event: event.type == "progress_text")
        comfy.interrupt()
        run = comfy.wait(prompt_id)
    assert run.interrupted
    assert run.error is None


def test_failed_start_shows_the_log(tmp_path: Path) -> None:
    """If ComfyUI ends while it starts, the error has its output."""
    with pytest.raises(ComfyDied, match="unrecognized arguments: --no-such-option"):
        Comfy.start(tmp_path, extra_args=["--no-such-option"])


def test_process_gets_only_the_given_pika_variables(unconfigured: Comfy) -> None:
    """The developer's own key is not passed to a ComfyUI under test."""
    environment = psutil.Process(unconfigured.process.pid).environ()
    assert "PIKA_API_KEY" not in environment
    assert environment["PIKA_X"] == "set"


#: Answers as a ComfyUI that is up. The test is about signals, for which it need not be a real one.
STAND_IN = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"system": {"argv": sys.argv}}).encode())

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
#: Starts a ComfyUI, and holds it until the end of its standard input.
OWNER = """
import sys
from pathlib import Path
from devtools.comfyui import Comfy
from devtools.setup.processes import unwind_on_termination

unwind_on_termination()
with Comfy.start(Path(sys.argv[1])) as comfy:
    print(comfy.process.pid, flush=True)
    input()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals to a group are POSIX")
def test_terminated_owner_stops_its_comfyui(tmp_path: Path) -> None:
    """SIGTERM to the process that started a ComfyUI, as by a CI's timeout, stops both."""
    (tmp_path / "main.py").write_text(STAND_IN, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "COMFYUI_PATH": str(tmp_path),
        "COMFYUI_PYTHON": sys.executable,
    }
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "base")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.send_signal(signal.SIGTERM)
        owner.wait(timeout=PATIENCE)
    until(lambda: not psutil.pid_exists(pid), what="the end of ComfyUI")
