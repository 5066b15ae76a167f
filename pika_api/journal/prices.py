"""What a task costs, learned from the gateway's usage counter.

An observation is the difference of the counter before and after one request. Another program with
the same key can make a single one wrong, so a price is used only if two observations agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa

from .clocks import Clocks
from .database import Database
from .schema import PRICES, TASKS
from .states import ACTIVE, SUBMITTING, State
from .transitions import IS_LEASED, STATEMENTS, Event, lease_parameters

#: How many observations of a kind are kept.
_KEPT: Final = 6
#: Maximum length of a model or an effect that has a price. Characters.
_MAX_NAME: Final = 64
#: Two observations agree if they differ by no more than this: relative, and absolute for counters
#: that are rounded to six decimals.
_RELATIVE, _ABSOLUTE = 1e-4, 2e-6

_kind: Final = sa.and_(
    PRICES.c.gateway == sa.bindparam("kind_gateway"),
    PRICES.c.model == sa.bindparam("kind_model"),
    PRICES.c.effect == sa.bindparam("kind_effect"),
)
_OBSERVED: Final = sa.select(PRICES).where(_kind).order_by(PRICES.c.id.desc())
_IS_OBSERVED: Final = sa.select(PRICES.c.id).where(PRICES.c.entry_id == sa.bindparam("entry_id"))
_REMOVE: Final = sa.delete(PRICES).where(PRICES.c.id.in_(sa.bindparam("ids", expanding=True)))

_possibly_charged: Final = sa.and_(
    TASKS.c.sent_at.is_not(None),
    TASKS.c.state.not_in([State.INTENDED.value, State.REFUSED.value]),
)
_in_flight: Final = sa.and_(TASKS.c.state == State.SENT.value, IS_LEASED)


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


_MARK: Final = sa.select(
    _count(_possibly_charged),
    sa.func.coalesce(sa.func.sum(sa.case((_possibly_charged, TASKS.c.id), else_=0)), 0),
    _count(_in_flight),
    _count(TASKS.c.state == State.FAILED.value),
).where(TASKS.c.id > sa.bindparam("start"))
#: Entries that were entered a moment ago may be sent without having been seen here.
_LATE: Final = 1000
_MARK_START: Final = sa.select(
    sa.select(sa.func.max(TASKS.c.id)).scalar_subquery(),
    sa.select(sa.func.min(TASKS.c.id))
    .where(
        TASKS.c.forgotten_at.is_(None),
        TASKS.c.state.in_([state.value for state in ACTIVE | SUBMITTING]),
    )
    .scalar_subquery(),
)


@dataclass(frozen=True)
class Kind:
    """What the price of a task depends on.

    Attributes:
        gateway: The identity of the gateway; see `Settings.gateway`.
        model: The model; empty if the request has none.
        effect: The Pikaffect; empty if the request has none.
    """

    gateway: str
    model: str
    effect: str

    @classmethod
    def of(cls, gateway: str, request: Mapping[str, Any]) -> Kind | None:
        """The kind of a request; None if its model or effect is not a short text.

        Args:
            request: The body, or its description in the journal.
        """
        names = [request.get(name) or "" for name in ("model", "pikaffect")]
        if not all(isinstance(name, str) and len(name) <= _MAX_NAME for name in names):
            return None
        return cls(gateway, *names)


@dataclass(frozen=True)
class SubmitMark:
    """Which requests of a journal may have been charged, in a form that can be compared.

    Attributes:
        count: How many there are.
        id_sum: The sum of their numbers.
        in_flight: How many requests are being sent.
        failed: How many tasks have failed: the gateway may have given back their price.
    """

    count: int
    id_sum: int
    in_flight: int
    failed: int

    def only_request_since(self, earlier: SubmitMark) -> int | None:
        """The number of the one request that was charged since; None if that is not certain."""
        is_quiet = not self.in_flight and not earlier.in_flight and self.failed == earlier.failed
        alone = is_quiet and self.count == earlier.count + 1
        return self.id_sum - earlier.id_sum if alone else None


class Prices:
    """The prices in a journal. Every method raises `JournalError` if the database does not answer.

    Args:
        database: The journal's.
        clocks: The clocks that leases are taken from.
        lease: Seconds a lease lasts.
    """

    def __init__(self, database: Database, clocks: Clocks, lease: float) -> None:
        self._database = database
        self._clocks = clocks
        self._lease = lease

    def known(self, kind: Kind) -> float | None:
        """The price of this kind of task, in the unit of the gateway; None if it is not known."""
        with self._database.read() as connection:
            return known_price(connection, kind)

    def mark_start(self) -> int:
        """The number from which on entries may still change what `submit_mark` counts."""
        with self._database.read() as connection:
            last, active = connection.execute(_MARK_START).one()
        start = max((last or 0) - _LATE, 0)
        return start if active is None else min(start, active - 1)

    def submit_mark(self, start: int = 0) -> SubmitMark:
        """Which requests may have been charged until now.

        Args:
            start: Only entries with a larger number; see `mark_start`. Marks of different starts
                cannot be compared.
        """
        values = {"start": start, **lease_parameters(self._clocks, self._lease)}
        with self._database.read() as connection:
            row = connection.execute(_MARK, values).one()
        return SubmitMark(*(int(value) for value in row))

    def observe(self, entry_id: int, kind: Kind, unit: str, price: float) -> bool:
        """Record what a task has cost. Where two observations agree, their entries get the price.

        Args:
            entry_id: The entry of the task.
            unit: Names the counter: prices of different counters are not compared.

        Returns:
            Whether the price of this kind is known now. False if the task was observed already.
        """
        with self._database.write() as connection:
            if connection.execute(_IS_OBSERVED, {"entry_id": entry_id}).first() is not None:
                return False
            values = asdict(kind) | {"unit": unit, "entry_id": entry_id, "price": price}
            connection.execute(sa.insert(PRICES), values)
            observations = _observations(connection, kind)
            known = _agreed(observations)
            for row in observations if known is not None else ():
                if row.unit == unit and _agree(row.price, known):
                    self._set_price(connection, row.entry_id, row.price)
            if excess := [row.id for row in observations[_KEPT:]]:
                connection.execute(_REMOVE, {"ids": excess})
            return known is not None

    def _set_price(self, connection: sa.Connection, entry_id: int, price: float) -> None:
        """Enter the price of a task, once."""
        query = sa.select(TASKS.c.price).where(TASKS.c.id == entry_id)
        row = connection.execute(query).first()
        if row is not None and row.price is None:
            values: dict[str, object] = {"entry_id": entry_id, "expected_owner": None}
            values |= {"new_price": price}
            values |= lease_parameters(self._clocks, self._lease)
            connection.execute(STATEMENTS[Event.PRICED], values)


def known_price(connection: sa.Connection, kind: Kind | None) -> float | None:
    """The price of a kind of task, in a transaction; None if it is not known."""
    return None if kind is None else _agreed(_observations(connection, kind))


def _observations(connection: sa.Connection, kind: Kind) -> Sequence[sa.Row[Any]]:
    """The observations of a kind, the newest first."""
    values = {"kind_gateway": kind.gateway, "kind_model": kind.model, "kind_effect": kind.effect}
    return connection.execute(_OBSERVED, values).all()


def _agreed(observations: Sequence[sa.Row[Any]]) -> float | None:
    """The newest price on which two observations of the newest unit agree; None if there is none.

    A single other one in between changes nothing: it may be the price of two tasks, one of them of
    another program.
    """
    prices = [row.price for row in observations if row.unit == observations[0].unit]
    for index, price in enumerate(prices):
        if any(_agree(price, other) for other in prices[index + 1 :]):
            return float(price)
    return None


def _agree(price: float, other: float | None) -> bool:
    return other is not None and math.isclose(price, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
