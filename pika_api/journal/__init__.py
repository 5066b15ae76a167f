"""The record of every paid task, on disk. Nothing here sends a request."""

from .clocks import BootTime, Clocks, SystemClocks
from .entries import Claim, Entry, Intent, Page, Reading
from .leases import LeaseKeeper
from .ledger import Ledger, Selection
from .limits import BalanceNeeded, BalanceReading, Limits, start_of_day, start_of_month
from .location import count_tasks, is_journal, misread_paths
from .prices import Kind, Prices, SubmitMark
from .schema import SCHEMA_VERSION
from .spending import Spent
from .spool import Slot
from .states import ACTIVE, REUSABLE, SUBMITTING, State
from .store import LEASE, Journal

__all__ = [
    "ACTIVE",
    "LEASE",
    "REUSABLE",
    "SCHEMA_VERSION",
    "SUBMITTING",
    "BalanceNeeded",
    "BalanceReading",
    "BootTime",
    "Claim",
    "Clocks",
    "Entry",
    "Intent",
    "Journal",
    "Kind",
    "LeaseKeeper",
    "Ledger",
    "Limits",
    "Page",
    "Prices",
    "Reading",
    "Selection",
    "Slot",
    "Spent",
    "State",
    "SubmitMark",
    "SystemClocks",
    "count_tasks",
    "is_journal",
    "misread_paths",
    "start_of_day",
    "start_of_month",
]
