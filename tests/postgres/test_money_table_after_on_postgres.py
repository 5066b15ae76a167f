"""The faults after the charge, with the journal in PostgreSQL."""

from __future__ import annotations

from money.test_money_table_after import *  # noqa: F403
