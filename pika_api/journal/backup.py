"""A consistent copy of a SQLite journal, while it is in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

from .. import files
from ..errors import InvalidInput, JournalError
from .location import read_only

#: Seconds to wait for a file that another process has locked.
_TIMEOUT: Final = 30.0


def copy_journal(source: Path, target: Path) -> int:
    """Copy a journal into a new file that only this user may read.

    The copy is one file, complete and checked. It appears under its name when it is on the disk.

    Returns:
        How many requests it contains.

    Raises:
        InvalidInput: There is such a file already, or no such folder.
        JournalError: It cannot be copied.
    """
    if target.exists() or target.is_symlink():
        raise _exists(target)
    if not target.parent.is_dir():
        raise InvalidInput("file", f"{target.parent} is not a folder.", "Create it first.")
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        files.make_private_file(part)
        count = _copy(source, part)
        _publish(part, target)
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"The journal of tasks ({source}) cannot be copied to {target}: {error}.",
            hint="Make room there, or name a file in another folder.",
        ) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                part.with_name(part.name + suffix).unlink(missing_ok=True)
    return count


def _copy(source: Path, part: Path) -> int:
    with (
        closing(sqlite3.connect(read_only(source), uri=True, timeout=_TIMEOUT)) as journal,
        closing(sqlite3.connect(part)) as copy,
    ):
        journal.backup(copy)  # one read transaction: writers are not blocked
        copy.execute("PRAGMA journal_mode=DELETE")  # no files beside it
        (answer,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)
        (count,) = copy.execute("SELECT count(*) FROM pika_tasks").fetchone()
    return int(count)


def _publish(part: Path, target: Path) -> None:
    """Give a complete file its name, unless there is a file of that name."""
    descriptor = os.open(part, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(part, target)  # unlike a rename, it never replaces a file
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without links
        if target.exists():
            raise _exists(target) from None
        part.rename(target)
    files.sync_folder(target.parent)


def _exists(target: Path) -> InvalidInput:
    return InvalidInput("file", f"{target} exists already.", "Name a new file.")
