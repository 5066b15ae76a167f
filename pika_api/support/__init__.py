"""Diagnostics for the user and for bug reports, and the ledger as a file."""

from .diagnostics import run_diagnostics
from .homes import HomeChoice, choose_home
from .ledger_csv import csv_chunks, name_in_request

__all__ = ["HomeChoice", "choose_home", "csv_chunks", "name_in_request", "run_diagnostics"]
