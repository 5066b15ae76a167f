"""A second place on disk for the ids of paid tasks, for the moment when the journal fails.

A record is one small file. It is created before the request is sent, and filled with blanks, so
that the id can be written into it even if the disk has become full meanwhile. The journal takes the
records over when it works again, and deletes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import files
from ..log import log
from ..text import is_task_id
from .entries import is_row

#: Size of an empty record, in bytes. A record without the values that may be long always fits.
_RESERVED: Final = 8192
#: More bytes of a record are not read.
_MAX_SIZE: Final = 64 * 1024 * 1024
_SUFFIX: Final = ".json"
#: Seconds after which an empty record of a process that has ended is deleted.
_MAX_AGE: Final = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Record:
    """A paid task that is not in the journal yet.

    Attributes:
        path: Its file; None if it is in memory only.
        task_id: The gateway's id.
        entry: The columns of the entry of its request; `prompt` and `request` may be empty.
    """

    path: Path | None
    task_id: str
    entry: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The address of the gateway, and the id."""
        return str(self.entry["base_url"]), self.task_id


class Slot:
    """An empty record, for one request that is being sent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self._path

    def write(self, task_id: str, entry: Mapping[str, Any], details: Mapping[str, Any]) -> None:
        """Write the record; it is on the disk when this returns.

        Args:
            entry: What fits into an empty record.
            details: What is written too, if there is room.

        Raises:
            OSError: Not even the first part could be written.
        """
        files.make_private_file(self._path)
        with self._path.open("r+b") as file:
            _write_line(file.fileno(), {"task_id": task_id, "entry": entry})
            with contextlib.suppress(OSError):  # the id is safe
                _write_line(file.fileno(), {"task_id": task_id, "entry": {**entry, **details}})


class Spool:
    """The folder of records. Safe in threads and processes.

    Args:
        folder: Created with the first record, for this user only. None keeps the records in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._free: list[Slot] = []
        self._in_memory: dict[tuple[str, str], Record] = {}

    def close(self) -> None:
        """Delete the empty records of this process."""
        with self._lock:
            free, self._free = self._free, []
        for slot in free:
            with contextlib.suppress(OSError):
                slot.path.unlink()

    @contextlib.contextmanager
    def reserve(self) -> Iterator[Slot | None]:
        """An empty record until the block ends; None without a folder.

        Raises:
            OSError: There is no room for one.
        """
        slot = self._take()
        try:
            yield slot
        finally:
            if slot is not None and _is_empty(slot.path):
                with self._lock:
                    self._free.append(slot)

    def _take(self) -> Slot | None:
        with self._lock:
            while self._free:
                slot = self._free.pop()
                with contextlib.suppress(OSError):
                    os.utime(slot.path)  # so that no other process deletes it as an old one
                    return slot
        if self.folder is None:
            return None
        files.make_private_folder(self.folder)
        path = self.folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        files.make_private_file(path)
        with path.open("r+b") as file:
            _write_all(file.fileno(), b" " * _RESERVED)
            os.fsync(file.fileno())
        files.sync_folder(self.folder)
        return Slot(path)

    def add(
        self, slot: Slot | None, task_id: str, entry: Mapping[str, Any], details: Mapping[str, Any]
    ) -> Path | None:
        """Keep the id of a task, on disk if possible, in any case until this process ends.

        Args:
            entry: The columns of its request's entry, with short values only.
            details: The columns that may be long.

        Returns:
            The record's file; None if it is only in memory.
        """
        path = None
        if slot is not None:
            try:
                slot.write(task_id, entry, details)
            except OSError as error:
                log.error("task %s: paid, and neither recorded nor spooled: %s", task_id, error)
            else:
                path = slot.path
        with self._lock:
            record = Record(path, task_id, {**entry, **details})
            self._in_memory[record.key] = record
        return path

    def records(self, *, all_files: bool) -> list[Record]:
        """The records of this process; with `all_files`, those of every process."""
        with self._lock:
            records = dict(self._in_memory)
        if all_files and self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob(f"*{_SUFFIX}"):
                record = _read(path)
                if record is not None:
                    records.setdefault(record.key, record)
        return list(records.values())

    @property
    def has_own(self) -> bool:
        """Whether this process has records."""
        return bool(self._in_memory)

    def remove(self, record: Record) -> None:
        """Delete a record that the journal has now."""
        with self._lock:
            self._in_memory.pop(record.key, None)
        if record.path is not None:
            try:
                record.path.unlink(missing_ok=True)
            except OSError as error:  # it is recorded once more at the next start: no harm
                log.warning("journal: %s cannot be deleted: %s", record.path, error)


def _write_line(descriptor: int, value: Mapping[str, Any]) -> None:
    _write_all(descriptor, json.dumps(value).encode() + b"\n")
    os.fsync(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _is_empty(path: Path) -> bool:
    """Whether a record is there and has no task; False if it cannot be read."""
    try:
        return not path.read_bytes().strip()
    except OSError:
        return False


def _read(path: Path) -> Record | None:
    """The record in a file; None if it is empty, damaged, or deleted by another process meanwhile.

    The first line is complete in any case; the second one only if there was room.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            text = file.read(_MAX_SIZE)
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        log.debug("journal: %s cannot be read: %s", path, error)
        return None
    if not text.strip():
        if age > _MAX_AGE:
            with contextlib.suppress(OSError):
                path.unlink()
        return None
    record = None
    for line in text.split(b"\n"):
        record = _parse(path, line) or record
    if record is None:  # such a file must not keep the journal from working
        log.warning("journal: %s should contain the id of a paid task, but is damaged", path)
    return record


def _parse(path: Path, line: bytes) -> Record | None:
    """The record in a line; None if it has none that the journal can take."""
    try:
        value = json.loads(line)
        task_id, entry = value["task_id"], value["entry"]
        if isinstance(task_id, str) and is_task_id(task_id) and is_row(entry):
            return Record(path, task_id, entry)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
