"""Many requests from a table: one row is one task. Started again, it goes on where it stopped."""

from .runner import DEFAULT_WINDOW, Batch, BatchProgress, BatchStopped, Summary
from .tables import FORMATS, read_rows, write_rows

__all__ = [
    "DEFAULT_WINDOW",
    "FORMATS",
    "Batch",
    "BatchProgress",
    "BatchStopped",
    "Summary",
    "read_rows",
    "write_rows",
]
