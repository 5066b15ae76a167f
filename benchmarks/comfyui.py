"""ComfyUI's side: the helpers of its nodes for remote services, and its start with the pack.

Both are imported from the ComfyUI at COMFYUI_PATH.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from benchmarks.measure import Effort, in_new_process, isolated, say
from benchmarks.table import Row, milliseconds

_ROOT: Final = Path(__file__).resolve().parent.parent
_STAND_INS: Final = _ROOT / "devtools" / "stand_ins" / "sitecustomize.py"
#: Their seconds between two status requests, if a version of ComfyUI has no value.
_POLL_INTERVAL: Final = 5.0
#: More pixels than any picture here has, so that nothing is scaled down.
_NO_LIMIT: Final = 1 << 30
#: Seconds that the pack may add to ComfyUI's start.
_MOST: Final = 0.060
#: Modules that ComfyUI has imported before it imports a pack.
_LOADED: Final = ("execution", "nodes", "comfy_api.latest", "av", "torch", "aiohttp.web")


@dataclass(frozen=True)
class Helper:
    """A module of ComfyUI with its conversions, and its poll interval in seconds."""

    module: Any
    poll_interval: float

    def image_body(self, image: Any, rest: Mapping[str, Any], *, lossless: bool) -> int:
        """Size of the request body in bytes. If not `lossless`, a large image is scaled down.

        Args:
            rest: The other fields of the body.
        """
        limit = {"total_pixels": _NO_LIMIT} if lossless else {}
        return _size({**rest, "image": self.module.tensor_to_base64_string(image, **limit)})

    def video_body(self, video: Any) -> int:
        """Size in bytes of a request body with a video."""
        return _size({"video": self.module.video_to_base64_string(video)})


def _size(body: Mapping[str, Any]) -> int:
    # As the `json` argument of aiohttp does it.
    return len(json.dumps(body).encode("utf-8"))


def folder() -> Path | None:
    """The ComfyUI of COMFYUI_PATH, or None."""
    configured = os.environ.get("COMFYUI_PATH", "")
    is_comfyui = configured and (Path(configured) / "main.py").is_file()
    return Path(configured) if is_comfyui else None


@functools.cache
def prepare() -> None:
    """Make ComfyUI's modules importable, with an empty base directory."""
    comfyui = folder()
    if comfyui is None:
        raise LookupError("COMFYUI_PATH names no ComfyUI")
    # Before the checkout, which also has a package `nodes`.
    sys.path.insert(0, str(comfyui))
    spec = importlib.util.spec_from_file_location("pika_stand_ins", _STAND_INS)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    base = tempfile.mkdtemp(prefix="pika-bench-comfy-")
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    sys.argv = [sys.argv[0], "--cpu", "--base-directory", base]
    with contextlib.redirect_stdout(sys.stderr):
        importlib.import_module("comfy.options").enable_args_parsing()
        # Another installed package may be called `utils`: ComfyUI's must be imported first.
        importlib.import_module("utils.install_util")


@functools.cache
def load() -> Helper:
    """The helpers of ComfyUI."""
    prepare()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            conversions = importlib.import_module("comfy_api_nodes.util.conversions")
            client = importlib.import_module("comfy_api_nodes.util.client")
            poll = inspect.signature(client.poll_op).parameters["poll_interval"].default
        except ImportError:  # before 0.3.68
            conversions = importlib.import_module("comfy_api_nodes.apinode_utils")
            client = importlib.import_module("comfy_api_nodes.apis.client")
            parameters = inspect.signature(client.PollingOperation.__init__).parameters
            poll = parameters["poll_interval"].default
    return Helper(conversions, float(poll) if poll else _POLL_INTERVAL)


def rows(effort: Effort) -> Iterator[Row]:
    """The pack's part of ComfyUI's start, each time in a new process."""
    say("start")
    if effort is not Effort.SMOKE:
        in_new_process(seconds_to_load)  # compiles the pack's bytecode if needed
    count = effort.choose(5, 1, 1)
    seconds = statistics.median(isolated(effort)(seconds_to_load) for _ in range(count))
    yield Row(
        "import of the pack at ComfyUI's start",
        milliseconds(seconds),
        target=f"< {milliseconds(_MOST)}",
        met=seconds < _MOST,
    )


def seconds_to_load() -> float:
    """Do what ComfyUI does with a pack: run its `__init__.py` and read the schemas of its nodes."""
    prepare()
    with contextlib.redirect_stdout(sys.stderr):
        server = importlib.import_module("server")
        for name in _LOADED:
            importlib.import_module(name)
        # The pack registers its routes there.
        server.PromptServer(asyncio.new_event_loop())
    name = str(_ROOT).replace(".", "_x_")
    started = time.perf_counter()
    spec = importlib.util.spec_from_file_location(name, _ROOT / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    sys.modules[name] = pack
    spec.loader.exec_module(pack)
    asyncio.run(_read_schemas(pack))
    return time.perf_counter() - started


async def _read_schemas(pack: ModuleType) -> None:
    extension = await pack.comfy_entrypoint()
    for node in await extension.get_node_list():
        node.GET_SCHEMA()


def has_helpers() -> bool:
    """Whether ComfyUI has `comfy_api_nodes.util`, since 0.3.68."""
    comfyui = folder()
    return comfyui is not None and (comfyui / "comfy_api_nodes" / "util" / "client.py").is_file()


async def run_tasks(url: str, body: Mapping[str, Any], count: int, target: Path) -> None:
    """Submit tasks at once, wait for them, and download their files, as ComfyUI's own nodes do.

    Args:
        url: The address of the gateway.
    """
    prepare()
    with contextlib.redirect_stdout(sys.stderr):
        server = importlib.import_module("server")
        util = importlib.import_module("comfy_api_nodes.util")
        io = importlib.import_module("comfy_api.latest").IO
        server.PromptServer.instance = server.PromptServer(asyncio.get_running_loop())

    async def one(number: int) -> None:
        node = type("Node", (), {"hidden": io.HiddenHolder.from_dict({"UNIQUE_ID": str(number)})})
        submit = util.ApiEndpoint(f"{url}/pika/generate", method="POST")
        task = await util.sync_op_raw(node, submit, data=dict(body))
        feed = await util.poll_op_raw(
            node,
            util.ApiEndpoint(f"{url}/pika/feed/{task['id']}"),
            status_extractor=lambda answer: answer["videos"][0]["status"],
            progress_extractor=lambda answer: answer["videos"][0].get("progress"),
            completed_statuses=["finished"],
            queued_statuses=["queued"],
        )
        link = feed["videos"][0]["resultUrl"]
        await util.download_url_to_bytesio(link, target / f"{number}.mp4")

    await asyncio.gather(*(one(number) for number in range(count)))
