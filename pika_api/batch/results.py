"""What has become of each row. It is on disk after each row, so a stopped batch can go on."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from ..errors import InvalidInput
from ..message import Message

SAVED: Final = "saved"
FAILED: Final = "failed"
UNKNOWN: Final = "unknown"
#: Not charged: the request was refused, or is not valid.
REFUSED: Final = "refused"
#: Charged and not finished: waiting for it costs nothing.
RUNNING: Final = "running"
#: The columns of a result, as in `Result`.
RESULT_COLUMNS: Final = ("id", "state", "file", "error", "price")


@dataclass(frozen=True)
class Result:
    """What has become of one row.

    Attributes:
        state: One of the states of this module.
        id: The gateway's id of the task; empty if there is none.
        file: The path or address of the finished file; empty if there is none.
        error: The reason if there is no file; empty otherwise.
        price: What the task has cost, in the gateway's unit; None if that is not known.
    """

    state: str
    id: str = ""
    file: str = ""
    error: str = ""
    price: float | None = None


def result_names(columns: Container[str]) -> dict[str, str]:
    """The names of `RESULT_COLUMNS` beside other columns. One that is taken begins with pika_."""
    return {name: f"pika_{name}" if name in columns else name for name in RESULT_COLUMNS}


def digest(row: Mapping[str, Any]) -> str:
    """Identifies the content of a row."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class ResultLog:
    """The results of a batch, in a file that grows by one line for each row. Safe in threads.

    Args:
        path: The file. A last line that is incomplete, after a crash, is ignored.

    Raises:
        InvalidInput: The file is not such a log.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[int, tuple[str, Result]] = {}
        self._file: IO[str] | None = None
        self._lock = threading.Lock()
        if path.exists():
            self._read()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def get(self, number: int, row: Mapping[str, Any]) -> Result | None:
        """The last result of a row, unless the row has changed since.

        Args:
            number: Of the row in its table, from 0.
        """
        found = self._results.get(number)
        return found[1] if found is not None and found[0] == digest(row) else None

    def add(self, number: int, row: Mapping[str, Any], result: Result) -> None:
        """Add the result of a row. It is on the disk when this returns."""
        line = {"row": number, "digest": digest(row), **asdict(result)}
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8")
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._results[number] = line["digest"], result

    def _read(self) -> None:
        lines = self.path.read_text("utf-8").splitlines(keepends=True)
        for line in lines:
            try:
                value = json.loads(line)
                number, key = int(value.pop("row")), str(value.pop("digest"))
                self._results[number] = key, Result(**value)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if line is lines[-1]:
                    self._cut(len(line.encode()))
                    return
                raise InvalidInput(
                    self.path.name,
                    Message("it is not the log of a batch."),
                    Message("Move it elsewhere, or choose another name for the result."),
                ) from error

    def _cut(self, size: int) -> None:
        """Remove an incomplete last line, so that the next one begins at its place."""
        os.truncate(self.path, self.path.stat().st_size - size)
