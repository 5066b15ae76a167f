"""Commands for the development of this pack.

python dev.py demo                 create a video from an image, without an account
python dev.py editor [--live]      open the graph editor with the pack in the browser, until Ctrl-C
python dev.py test [pytest args]   run lint, type checks and all tests
python dev.py free [pytest args]   run the tests that need no ComfyUI, on this Python
python dev.py bench [args]         run the benchmarks
python dev.py pictures [args]      take the screenshots for README and the templates
python dev.py mutants [name …]     check which small changes to the code no test notices
python dev.py pack                 create and check the archive for the Comfy registry

The first run installs ComfyUI and its requirements in a cache folder outside the checkout.
`bench`, `pictures`, `mutants` and `editor` have their own --help.

Environment variables:
PIKA_DEV_CACHE    another cache folder
COMFYUI_PATH      use this ComfyUI instead of the cached one
COMFYUI_PYTHON    the interpreter for COMFYUI_PATH (default: its own, or the cached one)
COMFYUI_FRONTEND  use the editor in this folder (its files "static") instead of ComfyUI's own
CHROME_PATH       the browser for the tests (default: Chromium or Chrome if installed)
PIKA_TEST_LONG    1 runs the long forms of the tests, as the nightly run does
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - a clear message instead of a traceback
    sys.exit(f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}.")

from devtools.commands import COMMANDS, run


def main(arguments: list[str]) -> int:
    """Run one command. Returns its exit code, or 2 if there is no such command."""
    if arguments and arguments[0] in {"-h", "--help", "help"}:
        print(__doc__)
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    return run(arguments[0], arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
