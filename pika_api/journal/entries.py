"""The values that the journal takes and returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from .states import State


@dataclass(frozen=True)
class Intent:
    """What is known of a request before it is sent."""

    fingerprint: str
    base_url: str
    key_id: str
    take: int
    prompt: str
    request: Mapping[str, Any]
    node_id: str = ""
    prompt_id: str = ""


@dataclass(frozen=True)
class Entry:
    """One row as it was read. Times are seconds since the epoch, None where not reached."""

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

    @classmethod
    def of(cls, row: sa.RowMapping) -> Entry:
        """The row of a query."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values |= {
            "state": State(row["state"]),
            "take": int(row["take"]),
            "request": json.loads(row["request"]),
        }
        return cls(**values)


@dataclass(frozen=True)
class Page:
    """A part of the list.

    Attributes:
        entries: The rows.
        cursor: What to ask `Entries.changed_since` with for what changes from now on.
        more: Whether there are further rows.
    """

    entries: Sequence[Entry]
    cursor: float
    more: bool
