"""ComfyUI's own helpers, as its nodes for remote services use them. Imported from the host."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.ours import REQUEST

ROOT: Final = Path(__file__).resolve().parent.parent
_STAND_INS: Final = ROOT / "devtools" / "stand_ins" / "sitecustomize.py"
#: Their seconds between two looks at a task, where a ComfyUI does not say.
_POLL_INTERVAL: Final = 5.0
#: More pixels than any picture here has: nothing is made smaller.
_NO_LIMIT: Final = 1 << 30


@dataclass(frozen=True)
class Helper:
    """What is compared with: a module of ComfyUI with its conversions, and its poll interval."""

    module: Any
    poll_interval: float

    def to_body(self, image: Any, *, lossless: bool) -> int:
        """The request body's size. By default a large picture is made smaller first."""
        limit = {"total_pixels": _NO_LIMIT} if lossless else {}
        return _sent("image", self.module.tensor_to_base64_string(image, **limit))

    def video_to_body(self, video: Any) -> int:
        """The request body's size with a video in it."""
        return _sent("video", self.module.video_to_base64_string(video))


def _sent(name: str, text: str) -> int:
    # As aiohttp's `json=` does it.
    return len(json.dumps({**REQUEST.body(), name: text}).encode("utf-8"))


def folder() -> Path | None:
    """The ComfyUI of COMFYUI_PATH; None where there is none."""
    given = os.environ.get("COMFYUI_PATH", "")
    return Path(given) if given and (Path(given) / "main.py").is_file() else None


@functools.cache
def prepare() -> None:
    """Make ComfyUI's modules importable, with an empty base folder of their own."""
    comfyui = folder()
    if comfyui is None:
        raise LookupError("COMFYUI_PATH names no ComfyUI")
    # Before the checkout, which has a package called nodes too.
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
        # Another package of this name may stand on the path: ComfyUI's must come first.
        importlib.import_module("utils.install_util")


@functools.cache
def load() -> Helper:
    """The helpers of the ComfyUI that is there."""
    prepare()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            conversions = importlib.import_module("comfy_api_nodes.util.conversions")
            client = importlib.import_module("comfy_api_nodes.util.client")
            poll = inspect.signature(client.poll_op).parameters["poll_interval"].default
        except ImportError:  # before 0.3.68
            conversions = importlib.import_module("comfy_api_nodes.apinode_utils")
            client = importlib.import_module("comfy_api_nodes.apis.client")
            asked = inspect.signature(client.PollingOperation.__init__).parameters
            poll = asked["poll_interval"].default
    return Helper(conversions, float(poll) if poll else _POLL_INTERVAL)
