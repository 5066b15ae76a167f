"""The table of faults × moments, with the journal in PostgreSQL."""

from __future__ import annotations

from money.test_money_table import *  # noqa: F403
