"""What the pack adds to ComfyUI's start."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Final

from benchmarks import theirs
from benchmarks.alone import alone
from benchmarks.measure import Effort, say
from benchmarks.table import Row, milliseconds

_MOST: Final = 0.060
#: What ComfyUI has loaded when it comes to the packs.
_LOADED: Final = ("server", "execution", "nodes", "comfy_api.latest", "av", "torch", "aiohttp.web")


def rows(effort: Effort) -> Iterator[Row]:
    """Each time in a fresh process."""
    say("start")
    if not effort.quick:
        alone("start")  # compiles to byte code where nobody has before
    seconds = statistics.median(alone("start") for _ in range(effort.times(5, 1)))
    yield Row(
        "import of the pack at ComfyUI's start",
        milliseconds(seconds),
        target=f"< {milliseconds(_MOST)}",
        met=seconds < _MOST,
    )


def load_pack() -> float:
    """Seconds for what ComfyUI does with a pack: run its __init__.py, and ask for its nodes."""
    theirs.prepare()
    with contextlib.redirect_stdout(sys.stderr):
        loaded = [importlib.import_module(name) for name in _LOADED]
    from aiohttp import web

    loaded[0].PromptServer.instance = SimpleNamespace(routes=web.RouteTableDef())
    name = str(theirs.ROOT).replace(".", "_x_")
    started = time.perf_counter()
    spec = importlib.util.spec_from_file_location(name, theirs.ROOT / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    sys.modules[name] = pack
    spec.loader.exec_module(pack)
    asyncio.run(_ask(pack))
    return time.perf_counter() - started


async def _ask(pack: object) -> None:
    extension = await pack.comfy_entrypoint()  # type: ignore[attr-defined]
    for node in await extension.get_node_list():
        node.GET_SCHEMA()
