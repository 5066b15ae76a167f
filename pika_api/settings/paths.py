"""Where settings and journal are, for the command line: the pack's own private folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: The folder's name in ComfyUI's user directory.
FOLDER: Final = "__pika"


def find_home(environ: Mapping[str, str] = os.environ, pack: Path | None = None) -> Path:
    """The private folder: ``PIKA_HOME``; else that of the ComfyUI this pack is installed in; else
    ``~/.pika``.

    Args:
        pack: The pack's own folder; found from this file where left out.
    """
    if chosen := environ.get("PIKA_HOME", "").strip():
        return Path(chosen).expanduser()
    pack = pack or Path(__file__).parents[2]
    user = pack.parent.parent / "user"
    if pack.parent.name == "custom_nodes" and user.is_dir():
        return user / FOLDER
    return Path.home() / ".pika"


def journal_url(home: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The journal's address: ``PIKA_JOURNAL_URL``, else a SQLite file in the private folder."""
    from .paths import sqlite_url

    return environ.get("PIKA_JOURNAL_URL", "").strip() or sqlite_url(home)


JOURNAL_FILE: Final = "journal.sqlite3"


def sqlite_url(home: Path) -> str:
    """The default journal's address, in the pack's private folder."""
    return f"sqlite:///{(home / JOURNAL_FILE).as_posix()}"
