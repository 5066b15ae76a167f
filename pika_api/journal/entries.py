"""The values that the journal takes and returns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from ..settings import gateway_of
from .schema import TASKS
from .states import State

#: A surrogate, which no database takes.
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
#: Computes the fingerprints that a request had in version 0.1.0, from address and `key_id`.
EarlierFingerprints = Callable[[str, str], Sequence[str]]


def _no_earlier(_base_url: str, _key_id: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Intent:
    """A request before it is sent.

    Attributes:
        fingerprint: The identity of the request, as `request_fingerprint` computes it.
        base_url: The address of the gateway, as it is called.
        key_id: The key that it is sent with; see `Settings.key_id`.
        take: Which take of the same request it is, 0 to 2**64 - 1.
        request: The body, with media described instead of contained.
        node_id, prompt_id: ComfyUI's, where it comes from a workflow.
        price: What the user says that a task costs; None to use the price that was learned.
        earlier: The fingerprints that the same request had in version 0.1.0.
        passed: Entries of the request whose tasks the gateway does not know with this key.
    """

    fingerprint: str
    base_url: str
    key_id: str
    take: int
    prompt: str
    request: Mapping[str, Any]
    node_id: str = ""
    prompt_id: str = ""
    earlier: EarlierFingerprints = _no_earlier
    price: float | None = None
    passed: frozenset[int] = frozenset()

    @property
    def gateway(self) -> str:
        """The identity of the gateway."""
        return gateway_of(self.base_url)


@dataclass(frozen=True)
class Entry:
    """One row of the journal at the time it was read. Times are seconds since the epoch, None for
    what has not happened.

    Attributes:
        price: What this very task has cost, as the gateway's usage counter showed it; None if that
            is not known.
        estimate: What it was expected to cost when its request was entered; None if no price was
            known then.
        host: The machine that has saved its file, as `JournalQueries.host`; empty if there is only
            one.
    """

    id: int
    state: State
    fingerprint: str | None
    owner: str | None
    lease_until: float
    task_id: str | None
    base_url: str
    key_id: str
    take: int
    prompt: str
    request: Mapping[str, Any]
    node_id: str
    prompt_id: str
    created_at: float
    sent_at: float | None
    submitted_at: float | None
    finished_at: float | None
    saved_at: float | None
    forgotten_at: float | None
    progress: int
    result_url: str
    file_path: str
    last_error: str
    changed_at: float
    revision: int
    answer: str = ""
    lease_boot: str | None = None
    lease_boot_until: float | None = None
    sha256: str = ""
    price: float | None = None
    estimate: float | None = None
    host: str = ""

    @property
    def gateway(self) -> str:
        """The identity of the gateway that the task belongs to."""
        return gateway_of(self.base_url)

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Entry:
        """The entry of a row of `schema.TASKS`. Parses JSON, so call it outside of transactions.

        Columns that are newer than the row may be missing.
        """
        values = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        values |= {
            "state": State(row["state"]),
            "take": int(row["take"]),
            "request": json.loads(row["request"]),
        }
        return cls(**values)

    def as_row(self) -> dict[str, Any]:
        """The columns of the row, as JSON values: the inverse of `of`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {
            "state": self.state.value,
            "take": str(self.take),
            "request": json.dumps(self.request),
        }


def is_row(value: object) -> bool:
    """Whether a value from a file is a row of an entry, as `Entry.as_row` returns it.

    A row with other values would be an error of the database, or a wrong task.
    """
    if not isinstance(value, dict):
        return False
    columns = (TASKS.c[name] for name in value if name in TASKS.c)
    if not all(_fits(column, value[column.name]) for column in columns):
        return False
    try:
        Entry.of(value)
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


def _fits(column: sa.Column[Any], value: object) -> bool:
    if value is None:
        return bool(column.nullable)
    if column.type.python_type is str:
        return isinstance(value, str) and not _HALF_CHARACTER.search(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if column.type.python_type is int:
        return isinstance(value, int) and abs(value) < 2**63
    return math.isfinite(value)


@dataclass(frozen=True)
class Reading:
    """What the feed says of a task.

    Attributes:
        state: `State.RUNNING`, `State.FINISHED` or `State.FAILED`.
        progress: Per cent, while it is running.
        result_url: The link, once it is finished.
        error: Why it has failed.
    """

    state: State
    progress: int = 0
    result_url: str = ""
    error: str = ""


@dataclass(frozen=True)
class Claim:
    """The answer to a claim on a fingerprint.

    Attributes:
        entry: The entry that holds the fingerprint.
        acquired: Whether the caller owns it now and may send the request.
    """

    entry: Entry
    acquired: bool


@dataclass(frozen=True)
class Page:
    """A part of the list of entries.

    Attributes:
        entries: The entries.
        cursor: A revision; `JournalQueries.changed_since` continues from here.
        more: Whether there are, or may be, further entries.
        before: Where the next page of `JournalQueries.page` begins; None if there is none.
    """

    entries: Sequence[Entry]
    cursor: int
    more: bool
    before: int | None = None
