"""Where the journal is: the database that an address means, in every version of SQLAlchemy."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from ..errors import JournalError
from ..log import log
from ..message import Message
from .schema import TASKS
from .states import State

#: The path in the URL of a SQLite database. SQLAlchemy 2.1 decodes it, and 2.0 does not.
_RAW_PATH: Final = re.compile(r"sqlite(?:\+\w+)?://[^/?]*/([^?]*)")
_IN_MEMORY: Final = ":memory:"
_SQLITE: Final = "sqlite"
_OPEN_STATES: Final = (State.SENT.value, State.UNKNOWN.value)
#: As SQL, since the file is opened without SQLAlchemy.
_COUNT_TASKS: Final = str(
    sa.select(sa.func.count())
    .select_from(TASKS)
    .where(sa.or_(TASKS.c.task_id.is_not(None), TASKS.c.state.in_(_OPEN_STATES)))
    .compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
)


def locate(address: str | sa.URL) -> sa.URL:
    """The URL of the database that an address means.

    The path of a SQLite file is percent-decoded, as in every URL. If only a file with the path as
    it is written exists, that is the journal: SQLAlchemy 2.0 has created it.

    Raises:
        JournalError: A SQLite journal without an absolute path, or without a file.
    """
    url = sa.make_url(address)
    if url.get_backend_name() != _SQLITE:
        return url
    if isinstance(address, sa.URL):
        return url.set(database=str(_existing(Path(str(url.database)).absolute())))
    match = _RAW_PATH.match(address)
    raw = match[1] if match else ""
    if raw.startswith("file:") and "uri" in url.query:
        return _checked_uri(url.set(database=raw))
    if raw in ("", _IN_MEMORY):
        raise _in_memory()
    path, literal = Path(unquote(raw)), Path(raw)
    if not path.is_absolute():
        raise _relative(url, path.absolute())
    if literal != path and literal.is_file() and not path.exists():
        path = literal
    return url.set(database=str(path))


def file_of(url: sa.URL) -> Path | None:
    """The file of a SQLite journal; None for another database."""
    if url.get_backend_name() != _SQLITE:
        return None
    name = str(url.database)
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def misread_paths(path: Path) -> Iterator[Path]:
    """The paths that earlier versions of the pack opened instead of this one.

    They wrote the path into a URL as it was: a question mark began the query, and SQLAlchemy 2.1
    decoded the percent signs.
    """
    before_query = path.as_posix().partition("?")[0]
    for text in dict.fromkeys((before_query, unquote(before_query))):
        if text and Path(text) != path:
            yield Path(text)


def is_journal(path: Path) -> bool:
    """Whether a file is a SQLite database with the journal's tables."""
    # Not opened by other means: closing the file would end the locks that SQLite holds on it.
    if not path.is_file():
        return False
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    try:
        with closing(sqlite3.connect(read_only(path), uri=True, timeout=5.0)) as database:
            return database.execute(query, (TASKS.name,)).fetchone() is not None
    except sqlite3.Error:
        return False


def count_tasks(path: Path) -> int | None:
    """How many tasks a SQLite journal has, also those whose outcome is unknown.

    Returns:
        0 if there is no file, None if there is one that cannot be read.
    """
    try:
        if not path.exists():
            return 0
        # Without a log nobody has it open. SQLite would create one, and leave it there.
        has_log = path.with_name(f"{path.name}-wal").exists()
        uri = read_only(path) if has_log else read_only(path, "immutable=1")
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as database:
            return int(database.execute(_COUNT_TASKS).fetchone()[0])
    except (OSError, sqlite3.Error):
        return None


def read_only(path: Path, option: str = "mode=ro") -> str:
    """SQLite's URI for a file that is only read, and never created."""
    return f"{path.absolute().as_uri()}?{option}"


def _existing(path: Path) -> Path:
    """The file of the default journal: at its path, or where an earlier version has put it."""
    if path.exists():
        return path
    for other in misread_paths(path):
        if is_journal(other):
            log.warning(
                "journal: an earlier version has created it as %s, and it is used there. To move "
                "it, stop ComfyUI and move it to %s, with the files whose names begin alike.",
                other,
                path,
            )
            return other
    return path


def _checked_uri(url: sa.URL) -> sa.URL:
    """The URL of a ``file:`` URI of SQLite, if that names a file."""
    name = str(url.database)
    if url.query.get("mode") == "memory" or _IN_MEMORY in name:
        raise _in_memory()
    path = Path(unquote(urlsplit(name).path))
    if not path.is_absolute():
        raise _relative(url, path.absolute())
    return url


def _relative(url: sa.URL, path: Path) -> JournalError:
    # Written by hand: SQLAlchemy 2.0 does not encode a path.
    encoded = re.sub(r"[%?#]", lambda match: f"%{ord(match[0]):02X}", path.as_posix())
    there = " (there is a journal)" if is_journal(path) else ""
    return JournalError(
        Message(
            "PIKA_JOURNAL_URL has a relative path ({url}), which means another journal in each "
            "working directory.",
            url=file_of(url),
        ),
        charge_note=Message("Nothing was sent."),
        hint=Message(
            "Write the whole path. From the current directory, that is sqlite:///{encoded}{there}.",
            encoded=encoded,
            there=there,
        ),
    )


def _in_memory() -> JournalError:
    return JournalError(
        Message("PIKA_JOURNAL_URL names a SQLite database in memory, which ends with ComfyUI."),
        charge_note=Message("Nothing was sent: paid tasks would be lost."),
        hint=Message("Leave it out for a file in ComfyUI's user folder."),
    )
