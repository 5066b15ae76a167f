"""Where the settings file and the journal are stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

#: Name of the pack's private folder in ComfyUI's user directory.
FOLDER: Final = "__pika"
#: The default journal's file name in the private folder.
JOURNAL_FILE: Final = "journal.sqlite3"


def find_home(environ: Mapping[str, str] = os.environ, pack: Path | None = None) -> Path:
    """The private folder for the command line.

    ``PIKA_HOME`` if it is set; else the folder in the ComfyUI that this pack is installed in; else
    ``~/.pika``.

    Args:
        pack: The folder of the pack; None for the one that contains this file.
    """
    if home := environ.get("PIKA_HOME", "").strip():
        return Path(home).expanduser()
    pack = pack or Path(__file__).parents[2]
    user = pack.parent.parent / "user"
    if pack.parent.name == "custom_nodes" and user.is_dir():
        return user / FOLDER
    return Path.home() / ".pika"


def sqlite_url(home: Path) -> URL:
    """The SQLAlchemy URL of the default journal, a SQLite file in the private folder.

    Not a text: versions of SQLAlchemy read a path with ``%`` or ``?`` in it differently.
    """
    # Imported at the first use: SQLAlchemy would slow down ComfyUI's start.
    from sqlalchemy import URL

    return URL.create("sqlite", database=(home / JOURNAL_FILE).as_posix())


def journal_url(home: Path, environ: Mapping[str, str] = os.environ) -> str | URL:
    """The URL of the journal: ``PIKA_JOURNAL_URL``, else the default journal's."""
    return environ.get("PIKA_JOURNAL_URL", "").strip() or sqlite_url(home)
