"""``python -m pika_api``: the command line of the Pika API client."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started by its path. ComfyUI's portable Python for Windows needs that: it does not look for
    # modules in the working directory.
    sys.path[0] = str(Path(__file__).parent.parent)
    from pika_api.__main__ import main as run_in_package

    sys.exit(run_in_package())


def _missing_package_message(error: ModuleNotFoundError) -> str:
    """The hint for a Python that is not ComfyUI's, which has all packages."""
    package = {"PIL": "Pillow", "sqlalchemy": "SQLAlchemy"}.get(error.name or "", error.name)
    return (
        f"error: {package} is not installed in this Python ({sys.executable}).\n"
        f"Use the Python that runs ComfyUI, or install it: python -m pip install {package}"
    )


def main() -> int:
    """Run the command line; returns the exit code. 1 where a package is missing."""
    try:
        from .cli import main as run

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "pika_api":
            raise  # an incomplete installation, not a missing package
        print(_missing_package_message(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
