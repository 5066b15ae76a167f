"""Run a workflow over ComfyUI's HTTP API, and download its files. Standard library only.

python run_workflow.py WORKFLOW.json [--server URL] [--set NODE.INPUT=VALUE] [--into FOLDER]

WORKFLOW.json is in the API format: Workflow → Export (API) in ComfyUI. The paths of the files go to
stdout, one per line; everything else goes to stderr.

It is safe to run it again after any error: Pika Generate reuses the task of a request with the same
inputs and the same seed, with no new charge. This script never changes a seed by itself.

Exit codes: 0 done, 1 error, 2 wrong arguments, 4 not finished yet.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ERROR, NOT_FINISHED = 1, 4
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Seconds.
POLL_EVERY = 1.0
ANSWER_WITHIN = 60.0
#: So many polls in a row must find the prompt neither in the queue nor in the history. It is in
#: neither for a moment when it moves from one to the other.
MISSING_POLLS = 5
#: With these errors there was no connection to a server.
NOT_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)


class Failure(Exception):
    """What went wrong and what to do, for the user."""

    def __init__(self, text: str, code: int = ERROR) -> None:
        self.code = code
        super().__init__(text)


class Unreachable(Exception):
    """There was no answer.

    Attributes:
        sent: Whether the server may have received the request.
    """

    def __init__(self, text: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(text)


class Server:
    """A ComfyUI at this URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # A proxy from the environment is not meant for this computer.
        is_here = urllib.parse.urlsplit(url).hostname in LOOPBACK
        proxies = [urllib.request.ProxyHandler({})] if is_here else []
        self._opener = urllib.request.build_opener(*proxies)

    def request(self, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of an answer. Raises Unreachable."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - main() checks the scheme
            self.url + path, data, {"Content-Type": "application/json"} if data else {}
        )
        try:
            with self._opener.open(request, timeout=ANSWER_WITHIN) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except urllib.error.URLError as error:
            sent = not isinstance(error.reason, NOT_SENT)
            raise Unreachable(f"{self.url} does not answer: {error.reason}", sent=sent) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url} broke the connection: {error}", sent=True) from error

    def get(self, path: str) -> dict[str, Any]:
        """A JSON object. Raises Unreachable, Failure."""
        return _object(self.url + path, *self.request(path))


def _object(url: str, status: int, body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises Failure."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if status != http.client.OK or not isinstance(value, dict):
        text = " ".join(body[:200].decode("utf-8", "replace").split())
        raise Failure(f"{url} does not answer like ComfyUI: HTTP {status}, {text!r}")
    return value


def load(path: Path) -> dict[str, Any]:
    """A workflow in the API format. Raises Failure."""
    try:
        graph = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read as JSON: {error}") from error
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise Failure(
            f"{path} is in the format of the editor. Open it in ComfyUI, choose Workflow → Export "
            "(API), and use that file."
        )
    nodes = graph.values() if isinstance(graph, dict) else ()
    if not graph or not all(isinstance(node, dict) and "class_type" in node for node in nodes):
        raise Failure(f"{path} is not a workflow of ComfyUI.")
    return dict(graph)


def change(graph: Mapping[str, Any], assignment: str) -> None:
    """Set an input, as in ``4.seed=7``. The value is JSON, or else a text. Raises Failure."""
    target, equals, text = assignment.partition("=")
    node_id, dot, name = target.rpartition(".")
    if not equals or not dot:
        raise Failure(f"--set {assignment}: write NODE.INPUT=VALUE, as in 4.seed=7.", 2)
    inputs = graph.get(node_id, {}).get("inputs", {})
    if name not in inputs:
        raise Failure(f"--set {assignment}: the workflow has no node {node_id} with this input.", 2)
    if isinstance(inputs[name], list):
        raise Failure(f"--set {assignment}: the input is connected to another node.", 2)
    try:
        inputs[name] = json.loads(text)
    except ValueError:
        inputs[name] = text


def submit(server: Server, graph: Mapping[str, Any]) -> str:
    """Queue the workflow. Returns the id of the prompt. Raises Failure."""
    prompt_id = str(uuid.uuid4())
    # Without a client id the history lacks the files of nodes whose results are cached.
    ids = {"prompt_id": prompt_id, "client_id": prompt_id}
    try:
        status, body = server.request("/prompt", {"prompt": graph, **ids})
    except Unreachable as error:
        if not error.sent:
            raise Failure(f"{error}. Nothing was queued.") from error
        if _knows(server, prompt_id):
            return prompt_id
        raise Failure(
            f"{error}. Whether the workflow was queued is not known. Run this again with the same "
            "seeds: nothing is charged twice."
        ) from error
    if status == http.client.BAD_REQUEST:
        raise Failure(_refusal(body))
    return str(_object(f"{server.url}/prompt", status, body).get("prompt_id", prompt_id))


def _knows(server: Server, prompt_id: str) -> bool:
    """Whether ComfyUI has queued the prompt although its answer was lost."""
    for _ in range(MISSING_POLLS):
        try:
            if _is_queued(server, prompt_id) or prompt_id in server.get(f"/history/{prompt_id}"):
                return True
        except (Unreachable, Failure):
            pass
        time.sleep(POLL_EVERY)
    return False


def _is_queued(server: Server, prompt_id: str) -> bool:
    queue = server.get("/queue")
    items = [*queue.get("queue_running", []), *queue.get("queue_pending", [])]
    return any(prompt_id in item[:2] for item in items)


def _refusal(body: bytes) -> str:
    """The words of ComfyUI for a workflow that it does not queue."""
    try:
        answer = json.loads(body)
        lines = [f"ComfyUI refuses the workflow: {answer['error']['message']}"]
        for node_id, node in dict(answer.get("node_errors") or {}).items():
            for error in node["errors"]:
                line = f"node {node_id} ({node['class_type']}): {error['message']}"
                lines.append(f"{line}: {error['details']}")
        return "\n".join(lines)
    except (ValueError, KeyError, TypeError):
        return f"ComfyUI refuses the workflow: {body[:500].decode('utf-8', 'replace')}"


def wait(server: Server, prompt_id: str, deadline: float) -> dict[str, Any]:
    """The entry of the history, once the prompt has ended. Raises Failure."""
    missing = 0
    while True:
        try:
            history = server.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return dict(history[prompt_id])
            missing = 0 if _is_queued(server, prompt_id) else missing + 1
        except Unreachable as error:  # it may be restarting
            print(error, file=sys.stderr)
        if missing >= MISSING_POLLS:
            raise Failure(
                f"ComfyUI no longer has prompt {prompt_id}: it was restarted, or somebody removed "
                "it. Run this again: tasks that were created are reused, with no new charge."
            )
        if time.monotonic() >= deadline:
            raise Failure(
                f"Prompt {prompt_id} has not ended yet. It goes on in ComfyUI. Run this again to "
                "continue waiting, with no new charge.",
                NOT_FINISHED,
            )
        time.sleep(POLL_EVERY)


def check(entry: Mapping[str, Any]) -> None:
    """Raise a Failure if the run has failed."""
    for kind, data in entry.get("status", {}).get("messages", []):
        if kind == "execution_error":
            node = f"node {data.get('node_id')} ({data.get('node_type')})"
            raise Failure(f"{node}: {str(data.get('exception_message')).strip()}")
        if kind == "execution_interrupted":
            raise Failure("The run was interrupted. Its tasks continue at the gateway: run again.")


def files(entry: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """The files that the nodes have saved in the output folder, each one once."""
    seen = []
    for output in entry.get("outputs", {}).values():
        for items in output.values():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and item.get("type") == "output" and item not in seen:
                    seen.append(item)
                    yield item


def download(server: Server, item: Mapping[str, str], folder: Path) -> Path:
    """Save a file below its own name, or a numbered one if that is taken. Raises Failure."""
    name = str(item.get("filename", ""))
    if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|\0'):
        raise Failure(f"ComfyUI names a file that cannot be saved: {name!r}")
    query = {key: str(item.get(key, "")) for key in ("filename", "subfolder", "type")}
    try:
        status, body = server.request(f"/view?{urllib.parse.urlencode(query)}")
    except Unreachable as error:
        raise Failure(f"{name} could not be downloaded: {error}") from error
    if status != http.client.OK:
        raise Failure(f"{name} could not be downloaded: HTTP {status}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _save(body, folder / name)
    except OSError as error:
        raise Failure(f"{name} could not be saved: {error}") from error


def _save(body: bytes, wanted: Path) -> Path:
    """Never overwrite a file. One with the same content is the file of an earlier call."""
    path, number = wanted, 0
    while path.exists():
        if path.read_bytes() == body:
            return path
        number += 1
        path = wanted.with_stem(f"{wanted.stem}_{number}")
    part = wanted.with_name(f"{wanted.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(body)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def run(arguments: argparse.Namespace) -> None:
    """Do everything. Raises Failure."""
    deadline = time.monotonic() + 60.0 * arguments.timeout_minutes
    graph = load(arguments.workflow)
    for assignment in arguments.set:
        change(graph, assignment)
    server = Server(arguments.server)
    prompt_id = submit(server, graph)
    print(f"Queued as prompt {prompt_id}", file=sys.stderr)
    entry = wait(server, prompt_id, deadline)
    check(entry)
    paths = [download(server, item, arguments.into) for item in files(entry)]
    if not paths:
        raise Failure("The run has ended without a file: no node saves one, or all were skipped.")
    print(*paths, sep="\n")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workflow", type=Path, metavar="WORKFLOW.json")
    parser.add_argument("--server", default="http://127.0.0.1:8188", metavar="URL")
    parser.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE")
    parser.add_argument("--into", type=Path, default=Path(), metavar="FOLDER")
    parser.add_argument("--timeout-minutes", type=float, default=30.0, metavar="NUMBER")
    arguments = parser.parse_args()
    if not arguments.server.startswith(("http://", "https://")):
        parser.error("--server: write the whole URL, as in http://127.0.0.1:8188")
    try:
        run(arguments)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return failure.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
