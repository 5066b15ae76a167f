"""docs/run_workflow.py, as a user starts it, on a real ComfyUI with the simulated gateway."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devtools import ROOT
from simulator import Simulator
from support.comfy import Comfy
from support.gateway import held_tasks, result_name
from support.graphs import generate, node, text_to_video
from support.waiting import until

pytestmark = pytest.mark.comfy

SCRIPT = ROOT / "docs" / "run_workflow.py"
#: Seconds; only for hangs.
WITHIN = 120


def command(folder: Path, graph: Any, server: str, *options: str) -> list[str]:
    """The script with this workflow; files go to the folder `files`."""
    path = folder / "workflow.json"
    path.write_text(graph if isinstance(graph, str) else json.dumps(graph), "utf-8")
    # Isolated: the script must not need anything of the checkout.
    start = [sys.executable, "-I", str(SCRIPT), str(path), "--server", server]
    return [*start, "--into", str(folder / "files"), *options]


def run(folder: Path, graph: Any, server: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end."""
    return subprocess.run(
        command(folder, graph, server, *options),
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN,
        check=False,
    )


def test_workflow_runs_and_running_again_charges_nothing(
    comfy: Comfy, gateway: Simulator, tmp_path: Path
) -> None:
    """The script prints the paths of the files, which are those of the output folder. Run again it
    prints the same paths and charges nothing; with another seed it charges once."""
    graph = {
        "1": node("PikaPrompts", prompts="A scripted fig\nA scripted kiwi"),
        "2": generate(["1", 0]),
        "3": node("PikaResult", task_id=["2", 0]),
    }
    before = len(gateway.charged)
    first = run(tmp_path, graph, comfy.url)
    assert first.returncode == 0, first.stderr
    paths = [Path(line) for line in first.stdout.splitlines()]
    tasks = gateway.charged[before:]
    assert sorted(path.name for path in paths) == sorted(
        result_name(gateway, task) for task in tasks
    )
    for path in paths:
        assert path.read_bytes() == (comfy.base_dir / "output" / "pika" / path.name).read_bytes()
    again = run(tmp_path, graph, comfy.url)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert len(gateway.charged) == before + 2
    other = run(tmp_path, graph, comfy.url, "--set", "2.seed=987654", "--set", "1.prompts=A lime")
    assert other.returncode == 0, other.stderr
    assert len(gateway.charged) == before + 3
    assert len(list((tmp_path / "files").iterdir())) == 3


def test_file_with_another_content_is_not_overwritten(comfy: Comfy, tmp_path: Path) -> None:
    """A file that has the name already stays, and the new one gets a number."""
    graph = text_to_video("A scripted plum")
    (path,) = run(tmp_path, graph, comfy.url).stdout.splitlines()
    Path(path).write_bytes(b"mine")
    (other,) = run(tmp_path, graph, comfy.url).stdout.splitlines()
    assert Path(path).read_bytes() == b"mine"
    assert Path(other).name == f"{Path(path).stem}_1.mp4"
    (same,) = run(tmp_path, graph, comfy.url).stdout.splitlines()
    assert same == other


EDITOR = (ROOT / "example_workflows" / "01 Text to video.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("graph", "options", "code", "words"),
    [
        (EDITOR, [], 1, r"format of the editor.*Export\s+\(API\)"),
        ("{", [], 1, "cannot be read as JSON"),
        ("[]", [], 1, "is not a workflow"),
        ("{}", [], 1, "is not a workflow"),
        ('{"prompt": {}}', [], 1, "is not a workflow"),
        (text_to_video(), ["--set", "9.seed=1"], 2, "no node 9"),
        (text_to_video(), ["--set", "1.sed=1"], 2, "no node 1 with this input"),
        (text_to_video(), ["--set", "1.seed"], 2, "write NODE.INPUT=VALUE"),
        (text_to_video(), ["--set", "2.task_id=x"], 2, "connected to another node"),
        (text_to_video(), ["--server", "127.0.0.1:8188"], 2, "whole URL"),
        (text_to_video(""), [], 1, r"node 1 \(PikaGenerate\): .*the prompt is blank"),
        (text_to_video(), ["--set", '1.seed="x"'], 1, r"node 1 \(PikaGenerate\): .*seed"),
        ({"1": node("NoSuchNode")}, [], 1, "refuses the workflow"),
        ({"1": generate("Without a result")}, [], 1, "ended without a file"),
    ],
)
def test_invalid_workflow_is_an_error(
    comfy: Comfy, tmp_path: Path, graph: Any, options: list[str], code: int, words: str
) -> None:
    """The error says what is wrong, without a traceback, and nothing goes to stdout."""
    done = run(tmp_path, graph, comfy.url, *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.search(words, done.stderr, re.DOTALL), done.stderr
    assert "Traceback" not in done.stderr


def test_error_of_a_node_is_the_error_of_the_script(
    comfy: Comfy, gateway: Simulator, tmp_path: Path
) -> None:
    """The gateway's words and the node's name are in it."""
    gateway.fault("task", error="Moderation: no pears")
    done = run(tmp_path, text_to_video("A scripted pear"), comfy.url)
    assert done.returncode == 1
    assert "node 2 (PikaResult): " in done.stderr
    assert "Moderation: no pears" in done.stderr


def test_timeout_and_interrupt_lose_nothing(
    comfy: Comfy, gateway: Simulator, tmp_path: Path
) -> None:
    """When the time is over, the exit code says that the task is not finished; an interrupt is an
    error. The next run gets the same task's file, and there is one charge."""
    graph = text_to_video("A patient plum")
    before = len(gateway.charged)
    with held_tasks(gateway) as tasks:
        done = run(tmp_path, graph, comfy.url, "--timeout-minutes", "0.02")
        assert done.returncode == 4
        assert "has not ended yet" in done.stderr
        tasks.running()
        comfy.interrupt()
        done_again: list[subprocess.CompletedProcess[str]] = []
        thread = threading.Thread(
            target=lambda: done_again.append(run(tmp_path, graph, comfy.url)), daemon=True
        )
        thread.start()
        until(lambda: len(comfy.get("/queue")["queue_running"]), what="the second run")
        until(lambda: interrupted(comfy, done_again), what="the interrupt")
        thread.join(WITHIN)
    assert done_again[0].returncode == 1
    assert "was interrupted" in done_again[0].stderr
    done = run(tmp_path, graph, comfy.url)
    assert done.returncode == 0, done.stderr
    assert tasks.ids[0] in done.stdout
    assert len(gateway.charged) == before + 1


def interrupted(comfy: Comfy, done: list[Any]) -> bool:
    """Interrupt whatever runs, and whether the script has ended."""
    comfy.interrupt()
    return bool(done)


Answer = tuple[int, str, bytes] | None


@contextmanager
def server(answer: Callable[[str, str, bytes], Answer]) -> Iterator[str]:
    """A web server; `answer` gets method, path and body, and None breaks the connection."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply = answer(self.command, self.path, body)
            if reply is None:
                self.close_connection = True
                return
            status, kind, content = reply
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _reply  # noqa: N815 - names of the base class

        def log_message(self, *_: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def as_json(value: Any) -> Answer:
    return 200, "application/json", json.dumps(value).encode()


def test_no_server_and_a_server_that_is_no_comfyui(gateway: Simulator, tmp_path: Path) -> None:
    """Without a server nothing was queued. A web page, an error page and an answer of another
    program are named with their status."""
    with server(lambda *_: None) as closed:
        pass
    done = run(tmp_path, text_to_video(), closed)
    assert done.returncode == 1
    assert "Nothing was queued" in done.stderr
    pages: list[Answer] = [
        (200, "text/html", b"<html>Sign in</html>"),
        (403, "text/plain", b""),
        (502, "text/html", b"<html>Bad Gateway</html>"),
        (200, "application/json", b"[1]"),
        (400, "text/html", b"<html>Bad Request</html>"),
    ]
    for page in pages:
        assert page
        with server(lambda *_, page=page: page) as url:
            done = run(tmp_path, text_to_video(), url)
        assert done.returncode == 1
        assert "ComfyUI" in done.stderr
        assert page[2].decode()[:20] in done.stderr
        assert "Traceback" not in done.stderr


def test_lost_answer_is_found_in_the_queue(
    comfy: Comfy, gateway: Simulator, tmp_path: Path
) -> None:
    """The connection breaks after ComfyUI has queued the workflow. The script finds its prompt and
    gets the file; it does not queue the workflow twice."""
    posts = []

    def forward(method: str, path: str, body: bytes) -> Answer:
        answer = comfy.request(method, path, data=body or None)
        if method == "POST":
            posts.append(path)
            return None
        return answer.status_code, answer.headers["Content-Type"], answer.content

    graph = text_to_video("A scripted quince")
    before = len(gateway.charged)
    with server(forward) as url:
        done = run(tmp_path, graph, url)
    assert done.returncode == 0, done.stderr
    assert posts == ["/prompt"]
    assert gateway.charged[before:] == [gateway.charged[-1]]
    assert gateway.charged[-1] in done.stdout


def test_prompt_that_comfyui_lost_is_an_error(tmp_path: Path) -> None:
    """After a restart ComfyUI has the prompt neither in its queue nor in its history. Where the
    answer was lost as well, the script says that nobody knows. Both say that running again is
    safe."""

    def forgetful(_method: str, path: str, _body: bytes) -> Answer:
        if path == "/prompt":
            return as_json({"prompt_id": "p", "number": 1, "node_errors": {}})
        return as_json({"queue_running": [], "queue_pending": []} if path == "/queue" else {})

    def breaking(method: str, path: str, body: bytes) -> Answer:
        return None if path == "/prompt" else forgetful(method, path, body)

    for answer, words in (
        (forgetful, "no longer has prompt p"),
        (breaking, "Whether the workflow was queued is not known"),
    ):
        with server(answer) as url:
            done = run(tmp_path, text_to_video(), url)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Run this again" in done.stderr


@pytest.mark.parametrize(
    ("name", "view", "words"),
    [
        ("../evil.mp4", b"x", "cannot be saved"),
        ("..\\evil.mp4", b"x", "cannot be saved"),
        ("/etc/evil", b"x", "cannot be saved"),
        (".bashrc", b"x", "cannot be saved"),
        ("", b"x", "cannot be saved"),
        ("gone.mp4", None, "could not be downloaded"),
    ],
)
def test_file_that_cannot_be_saved_is_an_error(
    tmp_path: Path, name: str, view: bytes | None, words: str
) -> None:
    """A name never leads out of the folder, and a broken download leaves no file."""
    item = {"filename": name, "subfolder": "pika", "type": "output"}
    entry = {"outputs": {"2": {"images": [item], "animated": [True]}}, "status": {"messages": []}}

    def answer(_method: str, path: str, _body: bytes) -> Answer:
        if path == "/prompt":
            return as_json({"prompt_id": "p"})
        if path.startswith("/view"):
            return None if view is None else (200, "video/mp4", view)
        return as_json({"p": entry})

    with server(answer) as url:
        done = run(tmp_path, text_to_video(), url)
    assert done.returncode == 1
    assert words in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["workflow.json"]
