"""The servers of demo, editor and pictures: a simulated gateway and a real ComfyUI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools import ROOT
from devtools.comfyui.server import Comfy
from devtools.setup.processes import end
from devtools.setup.steps import StepError, tail, timed

KEY = "demo-key"
#: Seconds.
GATEWAY_WITHIN = 60.0
#: Seconds. The first start compiles ComfyUI's modules, perhaps on a slow disk.
COMFYUI_WITHIN = 300.0


@dataclass(frozen=True)
class Account:
    """Which gateway ComfyUI talks to, and with which key."""

    environment: Mapping[str, str | None]

    @classmethod
    def own(cls) -> Account:
        """The user's: PIKA_API_KEY and PIKA_BASE_URL if set, else the pack's settings file."""
        names = ("PIKA_API_KEY", "PIKA_BASE_URL")
        return cls({name: os.environ[name] for name in names if name in os.environ})

    @classmethod
    def simulated(cls, url: str) -> Account:
        """The simulator's, without a proxy: the gateway is on this machine."""
        proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
        return cls({**dict.fromkeys(proxies), "PIKA_API_KEY": KEY, "PIKA_BASE_URL": url})


@contextmanager
def simulator(log: Path, *options: str) -> Iterator[Account]:
    """A simulated gateway in its own process. Raises StepError when it does not start."""
    place = ["--host", "127.0.0.1", "--port", "0", "--key", KEY]
    with timed("Starting the simulated gateway"), log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *place, *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which ends the gateway
        )
    try:
        yield Account.simulated(_address(process, log))
    finally:
        end(process)


@contextmanager
def comfyui(
    base_dir: Path, account: Account, *, port: int = 0, all_libraries: bool = False
) -> Iterator[Comfy]:
    """A real ComfyUI with this checkout as its only pack.

    Args:
        port: 0 means any free port.
        all_libraries: Import what models need too, for graphs of the user.
    """
    with timed("Starting ComfyUI"):
        running = Comfy.start(
            base_dir,
            env=account.environment,
            port=port,
            pack=ROOT,
            up_within=COMFYUI_WITHIN,
            all_libraries=all_libraries,
        )
    try:
        yield running
    finally:
        running.stop()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the simulator prints at its start."""
    deadline = time.monotonic() + GATEWAY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if match := re.search(r"PIKA_BASE_URL=(\S+)\s", log.read_text("utf-8", errors="replace")):
            return match[1]
        time.sleep(0.05)
    raise StepError(f"{tail(log)}\n\nThe simulated gateway did not start. Whole output: {log}")
