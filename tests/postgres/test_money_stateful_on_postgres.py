"""Random stories of money, with the journal in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings

from money.test_money_stateful import BUDGET, Money, machine, run_machine  # noqa: F401
from support.postgres import create_database
from support.sizes import sized


@pytest.mark.slow
def test_nothing_is_lost_or_paid_twice_in_any_story(
    machine: type[Money],  # noqa: F811
    postgres_server: str,
) -> None:
    """As with a file. Each story has a new database."""
    new_database: Callable[[], str] = lambda: create_database(postgres_server)  # noqa: E731
    machine.new_database = staticmethod(new_database)
    run_machine(machine, settings(BUDGET, max_examples=sized(3, 40)))
