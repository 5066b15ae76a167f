"""The record of every paid task, on disk. Nothing here sends a request."""

from .clocks import BootTime, Clocks, SystemClocks
from .entries import Claim, Entry, Intent, Page
from .leases import LeaseKeeper
from .limits import Limits
from .location import is_journal, misread_paths
from .schema import SCHEMA_VERSION
from .spool import Slot
from .states import ACTIVE, REUSABLE, SUBMITTING, State
from .store import LEASE, Journal

__all__ = [
    "ACTIVE",
    "LEASE",
    "REUSABLE",
    "SCHEMA_VERSION",
    "SUBMITTING",
    "BootTime",
    "Claim",
    "Clocks",
    "Entry",
    "Intent",
    "Journal",
    "LeaseKeeper",
    "Limits",
    "Page",
    "Slot",
    "State",
    "SystemClocks",
    "is_journal",
    "misread_paths",
]
