"""One door to the workshop.

python dev.py demo                 an image becomes a video in a real ComfyUI, without any account
python dev.py editor [--live]      the graph editor with the pack in it, until Ctrl-C
python dev.py test [pytest args]   lint, types and all tests
python dev.py free [pytest args]   the tests that need no ComfyUI, on this Python
python dev.py bench [args]         the benchmarks
python dev.py pictures             new screenshots for README and the templates
python dev.py mutants [module…]    the mutation check: what no test would notice
python dev.py pack                 the archive for the Comfy registry, checked

The first run sets up ComfyUI and what it needs in a cache folder outside the checkout.

PIKA_DEV_CACHE   another cache folder
COMFYUI_PATH     a ComfyUI that is there already
COMFYUI_PYTHON   the interpreter to run that one with (otherwise its own, or the cached one)
CHROME_PATH      the browser for the tests (otherwise Chromium or Chrome, if there is one)
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - a clear word beats a traceback on an old Python
    sys.exit(f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}.")

from devtools.commands import COMMANDS, run


def main(arguments: list[str]) -> int:
    """Run one command. Returns its exit code: 2 when there is no such command."""
    if arguments and arguments[0] in {"-h", "--help", "help"}:
        print(__doc__)
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    return run(arguments[0], arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
