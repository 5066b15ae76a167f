"""What requests cost: which rows of the journal count, and sums of them in SQL.

Prices of different gateways have different units, so each sum is about one gateway. A journal has
few addresses of gateways: the rows are grouped by them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from ..settings import gateway_of
from .entries import Intent
from .prices import Kind, known_price
from .schema import TASKS
from .states import State
from .transitions import IS_LEASED

#: Requests in these states were not charged.
NOT_CHARGED: Final = (State.INTENDED.value, State.REFUSED.value)
#: Requests of this journal that were charged, or may have been. Tasks that were created elsewhere
#: and used by their id have no fingerprint.
PAID: Final = sa.and_(TASKS.c.fingerprint.is_not(None), TASKS.c.state.not_in(NOT_CHARGED))
#: As `PAID`, and those that are about to be sent. Parameters: those of `lease_parameters`.
COUNTED: Final = sa.and_(
    TASKS.c.fingerprint.is_not(None),
    sa.or_(
        TASKS.c.state.not_in(NOT_CHARGED),
        sa.and_(TASKS.c.state == State.INTENDED.value, IS_LEASED),
    ),
)
#: What a task has cost, as the gateway counted it, else what it was expected to cost; NULL if
#: neither is known.
COST: Final = sa.func.coalesce(TASKS.c.price, TASKS.c.estimate)


def expected_cost(connection: sa.Connection, intent: Intent) -> float | None:
    """What a request will cost, in the unit of its gateway; None if that is not known."""
    if intent.price is not None:
        return intent.price
    return known_price(connection, Kind.of(intent.gateway, intent.request))


@dataclass(frozen=True)
class Spent:
    """A sum of tasks at one gateway.

    Attributes:
        count: How many tasks there are.
        amount: What those with a known price have cost, or are expected to, in the unit of the
            gateway.
        unpriced: How many of them have no known price.
    """

    count: int = 0
    amount: float = 0.0
    unpriced: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.count + other.count,
            self.amount + other.amount,
            self.unpriced + other.unpriced,
        )


@dataclass(frozen=True)
class Sum:
    """A sum of rows.

    Args:
        condition: Which rows are summed up.
    """

    condition: sa.ColumnElement[bool]

    def by_gateway(
        self, connection: sa.Connection, values: Mapping[str, object]
    ) -> Mapping[str, Spent]:
        """The sum of each gateway, by its identity.

        Args:
            values: The parameters of the condition.
        """
        totals = sa.select(
            TASKS.c.base_url,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(COST), 0.0),
            sa.func.count() - sa.func.count(COST),
        )
        query = totals.where(self.condition).group_by(TASKS.c.base_url)
        sums: dict[str, Spent] = {}
        for base_url, count, amount, unpriced in connection.execute(query, values):
            gateway = gateway_of(base_url)
            spent = Spent(int(count), float(amount), int(unpriced))
            sums[gateway] = sums.get(gateway, Spent()) + spent
        return sums

    def with_current_prices(
        self, connection: sa.Connection, values: Mapping[str, object], intent: Intent
    ) -> Spent:
        """The sum at a request's gateway, with today's prices for tasks that were entered before
        their price was known.
        """
        gateway = intent.gateway
        spent = self.by_gateway(connection, values).get(gateway, Spent())
        if not spent.unpriced:
            return spent
        if intent.price is not None:
            return Spent(spent.count, spent.amount + spent.unpriced * intent.price)
        rows = sa.select(TASKS.c.base_url, TASKS.c.request).where(COST.is_(None), self.condition)
        kinds = Counter(
            Kind.of(gateway, json.loads(request))
            for base_url, request in connection.execute(rows, values)
            if gateway_of(base_url) == gateway
        )
        amount, unpriced = spent.amount, 0
        for kind, count in kinds.items():
            price = known_price(connection, kind)
            if price is None:
                unpriced += count
            else:
                amount += count * price
        return Spent(spent.count, amount, unpriced)
