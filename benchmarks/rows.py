"""A journal of a million rows, and what an operation on it takes."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import ours
from benchmarks.measure import Effort, say, timed
from benchmarks.table import milliseconds

if TYPE_CHECKING:
    from pika_api.journal import Journal

#: Of a hundred rows, how many have ended in which state.
_STATES: Final = (("saved", 92), ("failed", 4), ("refused", 2), ("finished", 1), ("unknown", 1))
_REQUEST: Final = (
    '{"promptText": "a lighthouse in a storm", "model": "1.5", "options": {"aspectRatio": 1.77, '
    '"frameRate": 24, "camera": {}, "parameters": {"guidanceScale": 12, "motion": 1, '
    '"negativePrompt": ""}, "extend": false}}'
)
#: Seconds since the epoch of the first row, and between two rows.
_START: Final = 1_700_000_000
_STEP: Final = 60


def table(count: int, effort: Effort) -> str:
    """A Markdown table: milliseconds for each operation on a journal with so many rows."""
    with tempfile.TemporaryDirectory(prefix="pika-bench-rows-") as folder:
        say(f"journal of {count:,} rows")
        with closing(ours.journal(Path(folder))) as journal:
            fill(journal, count)
            lines = ["| operation | ms |", "| --- | ---: |"]
            for name, call in _operations(journal, count):
                call()
                seconds = statistics.median(timed(call) for _ in range(effort.choose(9, 5, 1)))
                lines.append(f"| {name} | {milliseconds(seconds)} |")
    return "\n".join(lines)


def fill(journal: Journal, count: int) -> None:
    """Insert rows into an empty SQLite journal, as if they had been written one after another."""
    journal.entries(limit=1)  # creates the tables
    _kind, file = journal.location
    assert file is not None
    states = [state for state, share in _STATES for _ in range(share)]
    cases = " ".join(f"WHEN {number} THEN '{state}'" for number, state in enumerate(states))
    with closing(sqlite3.connect(file)) as database:
        triggers = database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
        definitions = [sql for (sql,) in triggers]
        database.execute("DROP TRIGGER pika_tasks_inserted")
        database.execute("DROP TRIGGER pika_tasks_changed")
        database.execute(
            f"""
            WITH RECURSIVE numbers(n) AS
                (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count),
            rows AS (SELECT n, CASE n * 37 % 100 {cases} END AS state FROM numbers)
            INSERT INTO pika_tasks (id, state, fingerprint, claim, task_id, base_url, key_id, take,
                prompt, request, node_id, prompt_id, created_at, sent_at, submitted_at, finished_at,
                saved_at, lease_until, progress, result_url, file_path, last_error, changed_at,
                revision)
            SELECT n, state, printf('%064d', n),
                CASE WHEN state IN ('failed', 'refused') THEN NULL ELSE printf('%064d', n) END,
                CASE WHEN state IN ('refused', 'unknown') THEN NULL ELSE printf('%036d', n) END,
                'https://api.gpt.ge', '0123456789abcdef', CAST(n % 10 AS TEXT),
                'a lighthouse in a storm, number ' || (n / 10), :request, '12',
                printf('%036d', n / 50),
                :start + n * :step, :start + n * :step, :start + n * :step,
                :start + n * :step + 50,
                :start + n * :step + 55, :start + n * :step + 60, 100,
                'https://cdn.example/' || n || '.mp4', '/output/pika/' || n || '.mp4',
                CASE WHEN state = 'failed' THEN 'moderation' ELSE '' END,
                :start + n * :step + 55, n
            FROM rows
            """,
            {"count": count, "request": _REQUEST, "start": _START, "step": _STEP},
        )
        database.execute("UPDATE pika_revision SET value = ?", (count,))
        for definition in definitions:
            database.execute(definition)
        database.commit()


def _operations(journal: Journal, count: int) -> list[tuple[str, Callable[[], Any]]]:
    """Names and calls. What a run waits for comes first."""
    numbers = iter(range(10**9))

    def claimed() -> int:
        return ours.claim(journal, f"new-{next(numbers)}")

    def submit() -> None:
        ours.submit(journal, claimed(), f"task-{next(numbers)}")

    states = {name: ours.selection(states=(name,)) for name in ("saved", "running", "failed")}
    late = ours.selection(since=_START + count // 2 * _STEP)
    early = ours.selection(until=_START + 100 * _STEP)
    return [
        ("claim a new request", claimed),
        ("claim and record a task", submit),
        ("renew leases", lambda: journal.renew_leases([ours.OWNER])),
        ("find a task by its id", lambda: journal.find_by_task_id(f"{count // 2:036}")),
        ("released requests of a prompt", lambda: journal.count_released("a lighthouse, no such")),
        ("released requests", lambda: journal.count_released(None)),
        ("newest task in a state, nothing found", lambda: ours.newest(journal, "running")),
        ("newest task in a state", lambda: ours.newest(journal, "saved")),
        ("300 saved tasks", lambda: ours.newest(journal, "saved", 300)),
        ("first page of the list", lambda: journal.page(limit=500)),
        ("changes, nothing new", lambda: journal.changed_since(count, limit=500)),
        ("page of a state", lambda: journal.page(limit=100, selection=states["failed"])),
        ("page of a state, none", lambda: journal.page(limit=100, selection=states["running"])),
        ("count of a state", lambda: journal.count(states["saved"])),
        ("page of the oldest 100", lambda: journal.page(limit=100, selection=early)),
        ("count of the oldest 100", lambda: journal.count(early)),
        ("page of the last half", lambda: journal.page(limit=100, selection=late)),
        ("count of the last half", lambda: journal.count(late)),
        ("search, many", lambda: ours.search(journal, "lighthouse")),
        ("search, nothing found", lambda: ours.search(journal, "no such prompt")),
        ("newest errors", lambda: journal.recent_errors(limit=20)),
        ("counts by state", journal.count_by_state),
        ("mark for the price", lambda: ours.price_mark(journal)),
    ]
