"""The limits of money and the ledger, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from journal.test_ledger import (  # noqa: F401
    paid,
    test_ledger_has_what_was_or_may_have_been_paid,
    test_page_has_the_same_selection_without_forgotten_ones,
    test_sums_count_all_and_price_what_is_known,
    test_times_bound_the_ledger,
)
from simulator import Simulator
from support.api import ServiceHarness
from tasks.test_limits import (  # noqa: F401
    test_balance_is_kept_by_parallel_requests,
    test_learned_prices_count_for_tasks_from_before,
    test_money_of_another_gateway_does_not_count,
    test_money_per_day_holds_for_parallel_requests,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def account(tmp_path: Path, emptied: str) -> Iterator[ServiceHarness]:
    """Services at a gateway with a counter: a task costs 0.25, and 20 are left."""
    with Simulator(account="v1", height=64, clip_seconds=0.5) as gateway:
        harness = ServiceHarness(gateway, tmp_path, database=emptied)
        yield harness
        harness.close()
