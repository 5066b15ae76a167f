"""The graph editor with the pack in it, in your browser, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devtools.comfyui import LOG_NAME, Comfy, ComfyDied
from devtools.comfyui.services import Account, comfyui, simulator
from devtools.demo import PICTURE
from devtools.setup.environment import cache_folder
from devtools.setup.processes import (
    InUseError,
    free_port,
    is_free,
    lock,
    unwind_on_termination,
)
from devtools.setup.steps import StepError, say

#: Seconds between two checks that ComfyUI is running.
CHECK_EVERY = 1.0


@contextmanager
def gateway(folder: Path, live: bool) -> Iterator[Account]:
    """The user's account, or a simulated one."""
    if live:
        yield Account.own()
        return
    with simulator(folder / "simulator.log") as account:
        yield account


def own_port(folder: Path) -> int:
    """The port of the last time, since the browser keeps open workflows by address; else a new one.

    If another program has it now, another port is used, but only this time.
    """
    file = folder / "port"
    try:
        port = int(file.read_text("utf-8"))
    except (OSError, ValueError):
        port = free_port()
        file.write_text(str(port), encoding="utf-8")
    return port if is_free(port) else free_port()


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether a browser with windows can be opened, and not one in this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(environment.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def show(url: str) -> None:
    """Open the address in the user's browser. Some browsers return only when they are closed."""

    def run() -> None:
        if not webbrowser.open(url):
            say("No browser could be opened. Open the address above in yours.")

    threading.Thread(target=run, daemon=True).start()


def stay(comfy: Comfy, browser: bool) -> None:
    """Wait until Ctrl-C. Raises ComfyDied when ComfyUI ends before."""
    print(f"The editor is at {comfy.url} (Ctrl-C ends it)", flush=True)
    if browser and has_browser(os.environ):
        show(comfy.url)
    while comfy.alive:
        time.sleep(CHECK_EVERY)
    raise ComfyDied("ComfyUI has ended.")


def main(arguments: list[str]) -> int:
    """Exit code 0 after Ctrl-C, 1 when a server does not start or ends before."""
    parser = argparse.ArgumentParser(prog="python dev.py editor", description=__doc__)
    own = "use PIKA_API_KEY and PIKA_BASE_URL instead of the simulator; this costs credits"
    parser.add_argument("--live", action="store_true", help=own)
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    live = options.live
    unwind_on_termination()
    # Two folders, never emptied: the journal of the live one lists tasks that were paid for.
    folder = cache_folder() / ("editor-live" if live else "editor")
    inputs = folder / "comfyui" / "input"
    try:
        with lock(folder / "lock"), gateway(folder, live) as account:
            inputs.mkdir(parents=True, exist_ok=True)
            shutil.copy(PICTURE, inputs)
            port = own_port(folder)
            with comfyui(folder / "comfyui", account, port=port, all_libraries=True) as comfy:
                stay(comfy, not options.no_browser)
    except InUseError:
        say("This editor is already running.")
    except (StepError, ComfyDied) as error:
        say(f"\n{error}\n\nComfyUI's log: {folder / 'comfyui' / LOG_NAME}")
    except KeyboardInterrupt:
        say("\nStopped.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
