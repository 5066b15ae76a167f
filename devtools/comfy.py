"""A real ComfyUI in a process of its own, with a base directory of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from devtools.endings import end, kill
from devtools.environment import host
from devtools.events import Listener
from devtools.recipe import ROOT
from devtools.runs import Graph, Rejected, Run
from devtools.steps import tail

PACK_FOLDER = "ComfyUI-Pika"
LOG_NAME = "comfyui.log"
STAND_INS = ROOT / "devtools" / "stand_ins"
# A copy of the pack, where links are not allowed, needs neither history nor tests.
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "devtools")
# Without this the editor greets every new user with a dialog of templates.
SETTINGS: Mapping[str, Any] = {"Comfy.TutorialCompleted": True}
# Limits for hangs only: a busy machine is slow.
UP_WITHIN = 240.0
ANSWER_WITHIN = 120.0
OVER_WITHIN = 120.0
POLL_EVERY = 0.05
# Below what Linux (32768), macOS and Windows (49152) give out by themselves.
PORTS = (20000, 32000)


class ComfyDied(Exception):
    """ComfyUI's process ended, or never came up. The message ends with the tail of its log."""


@dataclass(frozen=True)
class Setup:
    """How a ComfyUI is started, and started again."""

    base_dir: Path
    port: int
    env: Mapping[str, str | None]
    extra_args: Sequence[str]
    up_within: float

    @property
    def log(self) -> Path:
        """Everything it printed, over all its restarts."""
        return self.base_dir / LOG_NAME

    def command(self) -> list[str]:
        """The command line. The database is the base directory's own: ComfyUI locks the usual."""
        used = host()
        place = ["--listen", "127.0.0.1", "--port", str(self.port)]
        base = ["--base-directory", str(self.base_dir)]
        data = ["--database-url", f"sqlite:///{self.base_dir.as_posix()}/user/comfyui.db"]
        main = [str(used.python), str(used.comfyui / "main.py"), "--cpu"]
        return [*main, *place, *base, *data, "--disable-auto-launch", *self.extra_args]

    def environment(self) -> dict[str, str]:
        """This process's, without Pika's variables, with `env` laid over (None takes one out)."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith("PIKA_")}
        paths = [str(STAND_INS), *filter(None, [mine.get("PYTHONPATH")])]
        mine.update(PYTHONPATH=os.pathsep.join(paths), PYTHONUTF8="1")
        laid = {**mine, **self.env}
        return {name: value for name, value in laid.items() if value is not None}


class Comfy:
    """One ComfyUI. Make it with `start`; it is a context manager that stops it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.url = f"http://127.0.0.1:{setup.port}"
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy between two processes of this machine
        self.process = self._launch()

    @classmethod
    def start(
        cls,
        base_dir: Path,
        *,
        env: Mapping[str, str | None] | None = None,
        port: int = 0,
        pack: Path | None = None,
        extra_args: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        up_within: float = UP_WITHIN,
    ) -> Comfy:
        """Start one and wait until it answers.

        `pack` is linked (or, where that is not allowed, copied) into its custom nodes; `settings`
        are the editor's, over SETTINGS. Port 0 takes a free one. Raises ComfyDied.
        """
        base_dir = base_dir.resolve()
        lay_out(base_dir, pack, {**SETTINGS, **(settings or {})})
        setup = Setup(base_dir, port or free_port(), dict(env or {}), extra_args, up_within)
        return cls(setup)

    def __enter__(self) -> Comfy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_dir(self) -> Path:
        """The folder with its custom_nodes, input, output, temp and user."""
        return self.setup.base_dir

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def log_text(self) -> str:
        """All that it printed, over all its restarts."""
        return self.setup.log.read_text("utf-8", errors="replace")

    def object_info(self, node: str | None = None) -> dict[str, Any]:
        """The schema of all nodes, or of one: {} when there is no such node."""
        if node is None:
            return self.get("/object_info")
        return dict(self.get(f"/object_info/{node}").get(node, {}))

    def queue(
        self,
        graph: Graph,
        client_id: str | None = None,
        extra_data: Mapping[str, Any] | None = None,
    ) -> str:
        """Queue a graph in API format. Returns the prompt's id; raises Rejected."""
        body: dict[str, Any] = {"prompt": graph, "client_id": client_id or uuid.uuid4().hex}
        if extra_data:
            body["extra_data"] = dict(extra_data)
        answer = self.request("POST", "/prompt", json=body)
        if answer.status_code == requests.codes.bad_request:
            raise Rejected.from_answer(answer.json())
        answer.raise_for_status()
        return str(answer.json()["prompt_id"])

    def wait(self, prompt_id: str, timeout: float = OVER_WITHIN) -> Run:
        """The prompt's result once it is over, however it ended.

        Raises TimeoutError, or ComfyDied when ComfyUI goes away meanwhile.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (run := self.result(prompt_id)) is not None:
                return run
            time.sleep(POLL_EVERY)
        raise TimeoutError(f"prompt {prompt_id} is not over after {timeout:g} s\n{self._tail()}")

    def result(self, prompt_id: str) -> Run | None:
        """The prompt's result, or None while it is not over. Raises ComfyDied."""
        try:
            history = self.get(f"/history/{prompt_id}")
        except requests.ConnectionError as error:
            raise ComfyDied(f"ComfyUI went away\n{self._tail()}") from error
        return Run.from_history(prompt_id, history[prompt_id]) if prompt_id in history else None

    def run(self, graph: Graph, timeout: float = OVER_WITHIN) -> Run:
        """Queue a graph and wait for its end. Raises as `queue` and `wait` do."""
        return self.wait(self.queue(graph), timeout)

    def listen(self, client_id: str) -> Listener:
        """Collect the events of a client id: `with comfy.listen("me") as events`."""
        return Listener(self.url, client_id)

    def interrupt(self) -> None:
        """What the editor's Cancel button does."""
        self.request("POST", "/interrupt", json={}).raise_for_status()

    def upload_image(self, path: Path) -> str:
        """Put a picture into its input folder. Returns the name for LoadImage."""
        with path.open("rb") as file:
            sent = {"image": (path.name, file)}
            answer = self.request("POST", "/upload/image", files=sent, data={"overwrite": "true"})
        answer.raise_for_status()
        return str(answer.json()["name"])

    def file(self, shown: Mapping[str, str]) -> Path:
        """The file that an entry of a node's output names: {"filename", "subfolder", "type"}."""
        return self.base_dir / shown["type"] / shown["subfolder"] / shown["filename"]

    def get(self, path: str) -> dict[str, Any]:
        """GET a JSON object. Raises requests' errors."""
        answer = self.request("GET", path)
        answer.raise_for_status()
        return dict(answer.json())

    def request(self, method: str, path: str, **given: Any) -> requests.Response:
        """Any request to this ComfyUI, whatever its status."""
        given.setdefault("timeout", ANSWER_WITHIN)
        return self._http.request(method, self.url + path, **given)

    def stop(self) -> None:
        """End it, patiently first."""
        end(self.process)
        self._http.close()

    def kill(self) -> None:
        """SIGKILL: what a crash or a power cut looks like to the pack."""
        kill(self.process)

    def restart(self) -> None:
        """Start again on the same base directory and port, ended first where it still runs."""
        self.stop()
        self.process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        # The child keeps its own handle of the log.
        with self.setup.log.open("ab") as log:
            process = subprocess.Popen(
                self.setup.command(),
                cwd=self.base_dir,
                env=self.setup.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is for us: we end it, in order
            )
        try:
            self._await_answer(process)
        except BaseException:
            kill(process)
            raise
        return process

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.setup.up_within
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ComfyDied(f"ComfyUI ended with code {process.returncode}\n{self._tail()}")
            if self._answers():
                return
            time.sleep(POLL_EVERY)
        raise ComfyDied(f"ComfyUI is not up after {self.setup.up_within:g} s\n{self._tail()}")

    def _answers(self) -> bool:
        """Whether this very ComfyUI is up, and not some other server that took the port."""
        try:
            stats = self.get("/system_stats")
        except requests.RequestException:
            return False
        return str(self.base_dir) in stats.get("system", {}).get("argv", [])

    def _tail(self) -> str:
        return f"{tail(self.setup.log)}\n(whole log: {self.setup.log})"


def lay_out(base_dir: Path, pack: Path | None, settings: Mapping[str, Any]) -> None:
    """Make a base directory, with the pack in it; settings that are there already stay."""
    for name in ("custom_nodes", "input", "output", "temp", "user/default"):
        (base_dir / name).mkdir(parents=True, exist_ok=True)
    stored = base_dir / "user" / "default" / "comfy.settings.json"
    if not stored.exists():
        stored.write_text(json.dumps(settings), encoding="utf-8")
    if pack is not None:
        install_pack(pack, base_dir / "custom_nodes" / PACK_FOLDER)


def install_pack(pack: Path, place: Path) -> None:
    """Link the pack to where ComfyUI looks for it, or copy it where links are not allowed."""
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    try:
        place.symlink_to(pack.resolve(), target_is_directory=True)
    except OSError:
        if os.name == "posix":
            raise
        shutil.copytree(pack, place, ignore=NOT_COPIED)


def free_port() -> int:
    """A port of this machine that nobody listens on.

    ComfyUI takes it seconds later, so it is none of those that the system itself gives to whoever
    asks for any port, as simulators and clients do all the time.
    """
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
