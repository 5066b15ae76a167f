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
    """A request before it is sent.

    Attributes:
        fingerprint: The identity of the request, as `request_fingerprint` computes it.
        take: Which take of the same request it is, 0 to 2**64 - 1.
        request: The body, with media described instead of contained.
        node_id, prompt_id: ComfyUI's, where it comes from a workflow.
    """

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
    """One row of the journal at the time it was read. Times are seconds since the epoch, None for
    what has not happened.
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
    lease_boot: str | None = None
    lease_boot_until: float | None = None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Entry:
        """The entry of a row of `schema.TASKS`. Parses JSON, so call it outside of transactions."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values |= {
            "state": State(row["state"]),
            "take": int(row["take"]),
            "request": json.loads(row["request"]),
        }
        return cls(**values)


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
        more: Whether there are further entries.
    """

    entries: Sequence[Entry]
    cursor: int
    more: bool
