"""Diagnostics for the user and for bug reports."""

from .diagnostics import run_diagnostics

__all__ = ["run_diagnostics"]
