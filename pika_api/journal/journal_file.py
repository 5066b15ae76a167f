"""The file of a SQLite journal: created privately, and watched while it is open.

A program that has a file open keeps it after it was deleted or replaced, so SQLite would write paid
tasks into a file that nobody finds again. Therefore the file is compared with the one at its path
before and after it is written.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from .. import files
from ..errors import JournalError
from ..log import log
from ..message import Message
from ..settings import FOLDER
from .location import read_only

#: Size of the smallest SQLite database, in bytes.
_SMALLEST: Final = 512
#: The suffixes of SQLite's write-ahead log and of its index.
_LOG: Final = "-wal"
_INDEX: Final = "-shm"
_COMPANIONS: Final = (_LOG, _INDEX)
#: Seconds to wait for a file that another process has locked.
_TIMEOUT: Final = 30.0
#: Seconds that SQLite may take to move its log into the file, and between two looks meanwhile.
_CHECKPOINT: Final = 2.0
_LOOK_AGAIN: Final = 0.02


class FileId(NamedTuple):
    """What identifies a file on this computer, whatever its name.

    Attributes:
        generation: How many files were created at its path before. A new file may get the number of
            one that was deleted, once nobody has that open any more.
    """

    device: int
    inode: int
    generation: int = 0


class _Content(NamedTuple):
    """Changes whenever the file is written. SQLite writes it only at a checkpoint."""

    size: int
    modified: int


class JournalFile:
    """The file at one path. Safe in threads.

    Args:
        path: An absolute path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file: FileId | None = None
        self._generation = 0
        self._content = _Content(0, 0)
        self._opened_companions: Mapping[str, FileId] = {}
        self._damaged: FileId | None = None

    def prepare(self) -> FileId:
        """Make the file ready to be opened, and create it if it is missing. Return which it is.

        Raises:
            JournalError: It was truncated, or its write-ahead log belongs to another file.
            OSError: It cannot be created.
        """
        with self._lock:
            companions = self._companions()
            current = self._stat()
            if self._file is None or current is None:
                self._make_folder()
            if current is None:
                self._set_aside(companions)  # of a file that is gone
                self._generation += 1
                files.make_private_file(self.path)
                if self._file is not None:
                    log.warning("journal: %s was deleted; a new one is begun", self.path)
            elif self._file not in (None, current[0]):
                # Some network drives give the same file another number now and then.
                if current[1] != self._content:
                    self._set_aside(self._opened_companions)
                log.warning("journal: %s was replaced; the new file is used", self.path)
            file, content = self._stat() or _missing(self.path)
            if file != self._file:
                self._check_new(content)
                self._file, self._content, self._opened_companions = file, content, {}
            return file

    def is_current(self, file: FileId) -> bool:
        """Whether the file is still the one at its path."""
        current = self._stat()
        return current is not None and current[0] == file

    def check(self, file: FileId) -> bool:
        """As `is_current`, and look at the file if it has changed.

        Raises:
            JournalError: It was truncated or overwritten.
        """
        current = self._stat()
        if current is None or current[0] != file:
            return False
        with self._lock:
            if self._file == file and (self._content != current[1] or self._damaged == file):
                self._check_content(file, current[1])
            if self._file == file:
                self._opened_companions = self._companions()
        return True

    def _check_content(self, file: FileId, content: _Content) -> None:
        """Raise `JournalError` if the open file is no database any more."""
        before, problem = self._content, ""
        if self._damaged == file or (content.size < _SMALLEST <= before.size):
            problem = "it is empty"
        elif content.size >= _SMALLEST:
            problem = self._lasting_problem()
            if not problem and content.size < before.size:
                problem = self._problem("PRAGMA integrity_check(1)")
        if problem:
            if self._damaged != file:
                self._copy_log()
            # Until another file is there: its connections would mix the old and the new content.
            self._damaged = file
            raise JournalError(
                Message(
                    "The journal of tasks ({path}) was truncated or overwritten while it was "
                    "open: {problem}.",
                    path=self.path,
                    problem=problem,
                ),
                charge_note=Message(
                    "Nothing is sent without the journal. Paid tasks stay at the gateway."
                ),
                hint=Message(
                    "Stop ComfyUI. Restore a backup of the journal, or move the damaged file and "
                    "the files beside it whose names begin alike to another folder."
                ),
            )
        self._content = content

    def _check_new(self, content: _Content) -> None:
        """Check a file that is about to be opened, and its write-ahead log.

        SQLite would add any log to any file, and would then write it into the file.
        """
        if 0 < content.size < _SMALLEST:  # SQLite would overwrite it
            raise JournalError(
                Message(
                    "The journal of tasks ({path}) does not work: file is not a database.",
                    path=self.path,
                ),
                charge_note=Message("Nothing is sent without the journal."),
                hint=Message(
                    "Move the file to another folder, or restore a backup of the journal."
                ),
            )
        if not _size_of(self._beside(_LOG)):
            return
        if content.size == 0:
            problem = "the file is empty"  # and SQLite would delete the log
        else:
            problem = self._problem("PRAGMA integrity_check(1)")
        if problem:
            raise JournalError(
                Message(
                    "The journal of tasks ({path}) is damaged, or the file {name}-wal beside it "
                    "belongs to another one: {problem}.",
                    path=self.path,
                    name=self.path.name,
                    problem=problem,
                ),
                charge_note=Message(
                    "Nothing is sent without the journal. Paid tasks stay at the gateway."
                ),
                hint=Message(
                    "Stop ComfyUI. If you have restored a backup, move {name}-wal and {name}-shm "
                    "to another folder.",
                    name=self.path.name,
                ),
            )

    def _lasting_problem(self) -> str:
        """What is wrong with the file itself, without its log; empty if it begins as a database.

        While SQLite moves pages from the log into the file, the file is malformed for a moment: it
        is shorter than its first page says.
        """
        deadline = time.monotonic() + _CHECKPOINT
        while True:
            problem = self._problem("PRAGMA schema_version", "immutable=1")
            if "malformed" not in problem or time.monotonic() > deadline:
                return problem
            time.sleep(_LOOK_AGAIN)

    def _problem(self, query: str, option: str = "mode=ro") -> str:
        """What SQLite says against the file; empty if nothing.

        A connection that cannot write: another one would write the log into the file when it is
        closed.
        """
        try:
            with closing(
                sqlite3.connect(read_only(self.path, option), uri=True, timeout=_TIMEOUT)
            ) as database:
                (answer,) = database.execute(query).fetchone()
        except sqlite3.OperationalError:
            return ""  # it cannot be read now, which says nothing about its content
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if isinstance(answer, int) or answer == "ok" else str(answer)

    def _companions(self) -> Mapping[str, FileId]:
        """The write-ahead log and its index, by their suffixes."""
        files_beside = {suffix: _id_of(self._beside(suffix)) for suffix in _COMPANIONS}
        return {suffix: file for suffix, file in files_beside.items() if file is not None}

    def _set_aside(self, companions: Mapping[str, FileId]) -> None:
        """Rename the companions of an earlier file: SQLite would use them with any other.

        A log may contain the newest tasks, so it is kept.
        """
        for suffix, file in companions.items():
            path = self._beside(suffix)
            aside = _unused_name(path)
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
                if _id_of(aside) != file:  # of another process, which has just created it
                    aside.rename(path)
                elif suffix == _INDEX or not _size_of(aside):
                    aside.unlink()
                else:
                    log.warning("journal: %s belongs to an earlier file; it is now %s", path, aside)

    def _copy_log(self) -> None:
        """Keep the tasks in the write-ahead log: SQLite deletes it with its last connection."""
        write_log = self._beside(_LOG)
        with contextlib.suppress(OSError):
            if _size_of(write_log):
                aside = _unused_name(write_log)
                files.make_private_file(aside)
                shutil.copyfile(write_log, aside)

    def _beside(self, suffix: str) -> Path:
        real = self.path.resolve()  # SQLite follows symbolic links, too
        return real.with_name(real.name + suffix)

    def _make_folder(self) -> None:
        # Another folder than the pack's own keeps its rights; the journal is always private.
        folder = self.path.parent
        if not folder.is_dir() or folder.name == FOLDER:
            files.make_private_folder(folder)

    def _stat(self) -> tuple[FileId, _Content] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        content = _Content(status.st_size, status.st_mtime_ns)
        return FileId(status.st_dev, status.st_ino, self._generation), content


def _unused_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.old-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _id_of(path: Path) -> FileId | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return FileId(status.st_dev, status.st_ino)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _missing(path: Path) -> tuple[FileId, _Content]:
    raise FileNotFoundError(f"{path} was deleted while it was opened")
