"""The ledger as CSV that is safe to open in a spreadsheet.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and prompts
come from anywhere. Such a cell gets an apostrophe in front, which makes it a text. See OWASP, "CSV
Injection" (read November 2026).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from ..journal import Entry
from ..text import sanitize

COLUMNS: Final = (
    "number",
    "created",
    "sent",
    "submitted",
    "finished",
    "saved",
    "gateway",
    "model",
    "effect",
    "take",
    "prompt",
    "state",
    "task_id",
    "price",
    "price_source",
    "file",
)
#: Excel reads a file as UTF-8 only if it begins with a byte order mark.
BOM: Final = "\N{BYTE ORDER MARK}"
#: Excel puts the rest of a longer cell into other cells. Characters.
_MAX_CELL: Final = 32_000
#: Rows that are written at once.
_ROWS: Final = 200
#: Blanks, quotation marks, invisible characters and semicolons, then a sign that begins a formula.
#: The wide forms of the signs count too. Tried only where such a run begins, so the time is linear.
_SKIPPED: Final = r"\s\"';\u200b-\u200d\u2060\ufeff\u00ad"
_FORMULA: Final = re.compile(rf"(?<![{_SKIPPED}])[{_SKIPPED}]*(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
#: After one of these, some program may begin another cell. The semicolon is the separator of Excel
#: in many countries.
_DELIMITERS: Final = '\r\n\t;"'
_LEADING_BREAK: Final = re.compile(r"^[\t\r\n]")
#: A text that a spreadsheet would change into another number: an id of many digits, for example.
_CHANGED_NUMBER: Final = re.compile(r"\d{16,}|0\d+|\d+(\.\d+)?[eE]\d+")


def csv_chunks(
    entries: Iterable[Entry], file_name: Callable[[str], str] = lambda path: path
) -> Iterator[str]:
    """The CSV text of a ledger in parts, with the byte order mark and the names of the columns.

    Reads the entries one after another, so that the ledger may have any length.

    Args:
        file_name: How the path of a saved file is written.
    """
    yield BOM + _lines([COLUMNS])
    entries = iter(entries)
    while rows := [_cells(entry, file_name) for entry in islice(entries, _ROWS)]:
        yield _lines(rows)


def safe_cell(text: str) -> str:
    """A text from outside as the content of a cell."""
    text = sanitize(text)
    if len(text) > _MAX_CELL:
        text = text[: _MAX_CELL - 1] + "…"
    if _LEADING_BREAK.match(text) or _CHANGED_NUMBER.fullmatch(text):
        text = f"'{text}"
    return _FORMULA.sub(_escape, text)


def _escape(run: re.Match[str]) -> str:
    """The characters before a sign, with an apostrophe where a cell may begin."""
    skipped = run[0]
    position = 1 + max(map(skipped.rfind, _DELIMITERS))
    if not position and run.start():
        return skipped  # within a text: "a well-lit room - at night"
    return f"{skipped[:position]}'{skipped[position:]}"


def iso_time(seconds: float | None) -> str:
    """A time in the computer's time zone, with its offset; empty if there is none."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return str(seconds)  # a clock that was wrong by centuries


def price_of(entry: Entry) -> tuple[float | None, str]:
    """The price of a task, and where it is from: ``counted`` by the gateway, ``expected``, or
    nowhere.
    """
    if entry.price is not None:
        return entry.price, "counted"
    if entry.estimate is not None:
        return entry.estimate, "expected"
    return None, ""


def name_in_request(entry: Entry, field: str) -> str:
    """The model or the effect of a request; empty if it has none."""
    value = entry.request.get(field)
    return "" if value is None else str(value)


def _cells(entry: Entry, file_name: Callable[[str], str]) -> list[str]:
    price, source = price_of(entry)
    times = (
        entry.created_at,
        entry.sent_at,
        entry.submitted_at,
        entry.finished_at,
        entry.saved_at,
    )
    texts = (
        entry.gateway,
        name_in_request(entry, "model"),
        name_in_request(entry, "pikaffect"),
        str(entry.take),
        entry.prompt,
        entry.state.value,
        entry.task_id or "",
    )
    return [
        str(entry.id),
        *map(iso_time, times),
        *map(safe_cell, texts),
        "" if price is None else f"{price:.6f}".rstrip("0").rstrip("."),
        source,
        safe_cell(file_name(entry.file_path) if entry.file_path else ""),
    ]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    # Every cell in quotation marks: a separator within one never begins another one.
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()
