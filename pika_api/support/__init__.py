"""Diagnostics for the user and for bug reports."""

from .diagnostics import run_diagnostics
from .homes import HomeChoice, choose_home

__all__ = ["HomeChoice", "choose_home", "run_diagnostics"]
