"""The graph editor with the pack in it, until Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.comfyui import LOG_NAME, Comfy, ComfyDied
from devtools.comfyui.services import Account, comfyui, simulator
from devtools.demo import PICTURE
from devtools.setup.environment import cache_folder
from devtools.setup.processes import InUseError, lock, unwind_on_termination
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


def stay(comfy: Comfy) -> None:
    """Wait until Ctrl-C. Raises ComfyDied when ComfyUI ends before."""
    print(f"The editor is at {comfy.url} (Ctrl-C ends it)", flush=True)
    while comfy.alive:
        time.sleep(CHECK_EVERY)
    raise ComfyDied("ComfyUI has ended.")


def main(arguments: list[str]) -> int:
    """Exit code 0 after Ctrl-C, 1 when a server does not start or ends before."""
    parser = argparse.ArgumentParser(prog="python dev.py editor", description=__doc__)
    own = "use PIKA_API_KEY and PIKA_BASE_URL instead of the simulator; this costs credits"
    parser.add_argument("--live", action="store_true", help=own)
    live = parser.parse_args(arguments).live
    unwind_on_termination()
    # Two folders, never emptied: the journal of the live one lists tasks that were paid for.
    folder = cache_folder() / ("editor-live" if live else "editor")
    inputs = folder / "comfyui" / "input"
    try:
        with lock(folder / "lock"), gateway(folder, live) as account:
            inputs.mkdir(parents=True, exist_ok=True)
            shutil.copy(PICTURE, inputs)
            with comfyui(folder / "comfyui", account, all_libraries=True) as comfy:
                stay(comfy)
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
