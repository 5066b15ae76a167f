"""A real ComfyUI in its own process, with its own base directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from devtools import ROOT
from devtools.comfyui.events import Listener
from devtools.comfyui.runs import Graph, Rejected, Run
from devtools.setup.environment import cache_folder, host
from devtools.setup.processes import end, free_port, kill
from devtools.setup.steps import tail

PACK_FOLDER = "ComfyUI-Pika"
LOG_NAME = "comfyui.log"
#: On the Python path of ComfyUI's process.
STAND_INS = ROOT / "devtools" / "stand_ins"
#: Libraries that only models need. Their import takes a third of ComfyUI's start.
MODEL_LIBRARIES = ("kornia", "scipy", "transformers")
#: Left out where the pack is copied because links are not allowed.
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "devtools")
#: Without this the editor opens a dialog of templates for a new user.
SETTINGS: Mapping[str, Any] = {"Comfy.TutorialCompleted": True}
#: Seconds. They only end a hang: a busy machine is slow.
UP_WITHIN = 240.0
ANSWER_WITHIN = 120.0
OVER_WITHIN = 120.0
POLL_EVERY = 0.05


class ComfyDied(Exception):
    """ComfyUI's process ended or did not start. The message ends with the end of its log."""


@dataclass(frozen=True)
class Setup:
    """How a ComfyUI is started and restarted."""

    base_dir: Path
    port: int
    env: Mapping[str, str | None]
    extra_args: Sequence[str]
    up_within: float
    all_libraries: bool

    @property
    def log(self) -> Path:
        """Everything it printed, including before a restart."""
        return self.base_dir / LOG_NAME

    def command(self) -> list[str]:
        """The command line. The database is in the base directory: ComfyUI locks its default."""
        used = host()
        place = ["--listen", "127.0.0.1", "--port", str(self.port)]
        base = ["--base-directory", str(self.base_dir)]
        data = ["--database-url", f"sqlite:///{self.base_dir.as_posix()}/user/comfyui.db"]
        main = [str(used.python), str(used.comfyui / "main.py"), "--cpu"]
        if editor := os.environ.get("COMFYUI_FRONTEND"):
            base += ["--front-end-root", editor]
        return [*main, *place, *base, *data, "--disable-auto-launch", *self.extra_args]

    def environment(self) -> dict[str, str]:
        """The variables of this process without PIKA_…, changed by `env` (None removes one)."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PIKA_")}
        paths = [str(STAND_INS), *filter(None, [inherited.get("PYTHONPATH")])]
        inherited.update(PYTHONPATH=os.pathsep.join(paths), PYTHONUTF8="1")
        # The developer's own command line does not know this ComfyUI.
        inherited["XDG_CONFIG_HOME"] = str(self.base_dir / "config")
        # Only in the ComfyUI of our recipe: another version may do more than import them.
        if not self.all_libraries and cache_folder() in host().comfyui.parents:
            inherited["COMFYUI_STAND_INS"] = ",".join(MODEL_LIBRARIES)
        changed = {**inherited, **self.env}
        return {name: value for name, value in changed.items() if value is not None}


class Comfy:
    """One running ComfyUI, created with `start`. As a context manager it stops at the end."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.url = f"http://127.0.0.1:{setup.port}"
        self._http = requests.Session()
        self._http.trust_env = False  # both processes are on this machine: no proxy
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
        all_libraries: bool = False,
    ) -> Comfy:
        """Start ComfyUI and wait until it answers. Raises ComfyDied.

        Args:
            base_dir: Created if missing.
            env: Variables on top of those of this process; None removes one.
            port: 0 means any free port.
            pack: Linked into its custom nodes, or copied where links are not allowed.
            extra_args: Options for ComfyUI's command line.
            settings: Settings of the editor, on top of SETTINGS.
            up_within: Seconds.
            all_libraries: Import MODEL_LIBRARIES, for graphs that run a model.
        """
        base_dir = base_dir.resolve()
        lay_out(base_dir, pack, {**SETTINGS, **(settings or {})})
        port = port or free_port()
        return cls(Setup(base_dir, port, dict(env or {}), extra_args, up_within, all_libraries))

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
        """Whether the process is running."""
        return self.process.poll() is None

    def log_text(self) -> str:
        """Everything it printed, including before a restart."""
        return self.setup.log.read_text("utf-8", errors="replace")

    def object_info(self, node: str | None = None) -> dict[str, Any]:
        """The schema of all nodes, or of one node: {} if there is no such node."""
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
        """Wait until the prompt has ended, with or without success.

        Raises TimeoutError, or ComfyDied when ComfyUI ends before.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (run := self.result(prompt_id)) is not None:
                return run
            time.sleep(POLL_EVERY)
        raise TimeoutError(f"prompt {prompt_id} has not ended after {timeout:g} s\n{self._tail()}")

    def result(self, prompt_id: str) -> Run | None:
        """The prompt's result, or None until it has ended. Raises ComfyDied."""
        try:
            history = self.get(f"/history/{prompt_id}")
        except requests.ConnectionError as error:
            raise ComfyDied(f"ComfyUI has ended\n{self._tail()}") from error
        return Run.from_history(prompt_id, history[prompt_id]) if prompt_id in history else None

    def run(self, graph: Graph, timeout: float = OVER_WITHIN) -> Run:
        """Queue a graph and wait for its end. Raises as `queue` and `wait` do."""
        return self.wait(self.queue(graph), timeout)

    def listen(self, client_id: str) -> Listener:
        """Collect the events of a client id: `with comfy.listen("me") as events`."""
        return Listener(self.url, client_id)

    def interrupt(self) -> None:
        """Interrupt the running prompt, as the editor's Cancel button does."""
        self.request("POST", "/interrupt", json={}).raise_for_status()

    def upload_image(self, path: Path) -> str:
        """Upload an image into the input folder. Returns the name for LoadImage."""
        with path.open("rb") as file:
            files = {"image": (path.name, file)}
            answer = self.request("POST", "/upload/image", files=files, data={"overwrite": "true"})
        answer.raise_for_status()
        return str(answer.json()["name"])

    def file(self, entry: Mapping[str, str]) -> Path:
        """The file of an entry in a node's output: {"filename", "subfolder", "type"}."""
        return self.base_dir / entry["type"] / entry["subfolder"] / entry["filename"]

    def get(self, path: str) -> dict[str, Any]:
        """GET a JSON object. Raises requests' errors."""
        answer = self.request("GET", path)
        answer.raise_for_status()
        return dict(answer.json())

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request to this ComfyUI. Does not raise on an HTTP error status."""
        options.setdefault("timeout", ANSWER_WITHIN)
        return self._http.request(method, self.url + path, **options)

    def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL if it does not end in time."""
        end(self.process)
        self._http.close()

    def kill(self) -> None:
        """End it with SIGKILL, like a crash."""
        kill(self.process)

    def restart(self) -> None:
        """Start again with the same base directory and port. Stops it first if it still runs."""
        self.stop()
        self.process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        # The child has its own handle of the log.
        with self.setup.log.open("ab") as log:
            process = subprocess.Popen(
                self.setup.command(),
                cwd=self.base_dir,
                env=self.setup.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only this process, which ends ComfyUI
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
        raise ComfyDied(f"ComfyUI does not answer after {self.setup.up_within:g} s\n{self._tail()}")

    def _answers(self) -> bool:
        """Whether this ComfyUI answers, and not another server on the same port."""
        try:
            stats = self.get("/system_stats")
        except requests.RequestException:
            return False
        return str(self.base_dir) in stats.get("system", {}).get("argv", [])

    def _tail(self) -> str:
        return f"{tail(self.setup.log)}\n(whole log: {self.setup.log})"


def lay_out(base_dir: Path, pack: Path | None, settings: Mapping[str, Any]) -> None:
    """Create a base directory with the pack in it. An existing settings file is not changed."""
    for name in ("custom_nodes", "input", "output", "temp", "user/default"):
        (base_dir / name).mkdir(parents=True, exist_ok=True)
    stored = base_dir / "user" / "default" / "comfy.settings.json"
    if not stored.exists():
        stored.write_text(json.dumps(settings), encoding="utf-8")
    if pack is not None:
        install_pack(pack, base_dir / "custom_nodes" / PACK_FOLDER)


def install_pack(pack: Path, place: Path) -> None:
    """Link the pack to `place`, or copy it where links are not allowed."""
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
