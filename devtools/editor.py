"""The graph editor with the pack in it, until Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.comfy import LOG_NAME, Comfy, ComfyDied
from devtools.demo import PICTURE
from devtools.endings import unwind_on_termination
from devtools.environment import cache_folder
from devtools.locks import InUseError, lock
from devtools.servers import Account, comfyui, simulator
from devtools.steps import StepError, say

LOOK_EVERY = 1.0


@contextmanager
def gateway(folder: Path, live: bool) -> Iterator[Account]:
    """The user's own account, or a simulated one."""
    if live:
        yield Account.own()
        return
    with simulator(folder / "simulator.log") as account:
        yield account


def stay(comfy: Comfy) -> None:
    """Until Ctrl-C. Raises ComfyDied when ComfyUI ends by itself."""
    print(f"The editor is at {comfy.url} (Ctrl-C ends it)", flush=True)
    while comfy.alive:
        time.sleep(LOOK_EVERY)
    raise ComfyDied("ComfyUI ended by itself.")


def main(arguments: list[str]) -> int:
    """Exit code 0 after Ctrl-C, 1 where a server does not start or does not stay."""
    parser = argparse.ArgumentParser(prog="python dev.py editor", description=__doc__)
    own = "your own PIKA_API_KEY and PIKA_BASE_URL instead of the simulator; this costs credits"
    parser.add_argument("--live", action="store_true", help=own)
    live = parser.parse_args(arguments).live
    unwind_on_termination()
    # Apart from each other, and never emptied: the live one's journal knows what was paid for.
    folder = cache_folder() / ("editor-live" if live else "editor")
    inputs = folder / "comfyui" / "input"
    try:
        with lock(folder / "lock"), gateway(folder, live) as account:
            inputs.mkdir(parents=True, exist_ok=True)
            shutil.copy(PICTURE, inputs)
            with comfyui(folder / "comfyui", account) as comfy:
                stay(comfy)
    except InUseError:
        say("This editor is open already.")
    except (StepError, ComfyDied) as error:
        say(f"\n{error}\n\nComfyUI's log: {folder / 'comfyui' / LOG_NAME}")
    except KeyboardInterrupt:
        say("\nStopped.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
