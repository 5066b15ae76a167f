"""Many requests from a table: one row is one task. Started again, it goes on where it stopped."""

from .ray_workers import ClipStage, Job, RayWorkers
from .runner import DEFAULT_WINDOW, Batch, BatchProgress, BatchStopped, Summary
from .storage import OUTGOING, Storage, is_address
from .tables import FORMATS, read_rows, write_rows
from .workers import Outcome, RowWorker, ServiceWorker

__all__ = [
    "DEFAULT_WINDOW",
    "FORMATS",
    "OUTGOING",
    "Batch",
    "BatchProgress",
    "BatchStopped",
    "ClipStage",
    "Job",
    "Outcome",
    "RayWorkers",
    "RowWorker",
    "ServiceWorker",
    "Storage",
    "Summary",
    "is_address",
    "read_rows",
    "write_rows",
]
