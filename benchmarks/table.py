"""The table that the benchmarks print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

_HEAD: Final = (
    "what",
    "ours",
    "theirs",
    "theirs ÷ ours",
    "our bytes",
    "their bytes",
    "ours ÷ theirs",
    "target",
    "",
)
_LEFT: Final = frozenset({"what", "target", ""})


@dataclass(frozen=True)
class Row:
    """One measurement, as texts.

    Attributes:
        ratio: Theirs / ours: higher is better for us.
        size_ratio: Our bytes / their bytes: lower is better for us.
        met: Whether the target is met; None without a target.
    """

    what: str
    ours: str = ""
    theirs: str = ""
    ratio: str = ""
    our_size: str = ""
    their_size: str = ""
    size_ratio: str = ""
    target: str = ""
    met: bool | None = None


def in_markdown(rows: Sequence[Row]) -> str:
    """The rows as a GitHub-flavoured Markdown table."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    rule = [
        "-" * width if name in _LEFT else "-" * (width - 1) + ":"
        for name, width in zip(_HEAD, widths, strict=True)
    ]
    return "\n".join(_line(cells, widths) for cells in (_HEAD, rule, *lines[1:]))


def _cells(row: Row) -> tuple[str, ...]:
    *texts, met = astuple(row)
    return (*texts, "" if met is None else "ok" if met else "missed")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for name, cell, width in zip(_HEAD, cells, widths, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def milliseconds(seconds: float) -> str:
    """Such as ``71 ms``."""
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"


def megabytes(size: float) -> str:
    """Such as ``12.3 MB``: millions of bytes."""
    return f"{size / 1e6:,.2f} MB" if size < 10e6 else f"{size / 1e6:,.1f} MB"


def times(ratio: float) -> str:
    """Such as ``5.2×``."""
    return f"{ratio:.1f}×" if ratio < 100 else f"{ratio:.0f}×"
