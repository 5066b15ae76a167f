"""The user's spending limits, checked in the transaction that claims a request.

So parallel nodes and processes on one journal cannot exceed them together. A limit that cannot be
checked, because a price or the balance is not known, refuses the request and says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from ..errors import LimitReached
from ..message import Message
from ..text import format_amount
from .entries import Intent
from .schema import TASKS
from .spending import COUNTED, NOT_CHARGED, Spent, Sum
from .states import SUBMITTING
from .transitions import IS_LEASED

#: A number for the lock of PostgreSQL that limits are checked under; any constant will do.
_LOCK: Final = 0x70696B61
#: Decimals of amounts that are compared: 0.1 + 0.2 is not above 0.3.
_DECIMALS: Final = 6
#: A run of ComfyUI is not older than this, in seconds. It bounds the rows that are counted.
_LONGEST_RUN: Final = 30 * 24 * 3600.0
#: A request is not sent for longer than this, in seconds. It bounds the rows that are looked at.
_LONGEST_SUBMIT: Final = 2 * 24 * 3600.0

_other: Final = sa.and_(COUNTED, TASKS.c.id != sa.bindparam("entry_id"))
#: Rows from before a clock was set back are of today, too.
_today: Final = sa.and_(_other, TASKS.c.created_at >= sa.bindparam("day_start"))
_used: Final = sa.select(sa.func.count()).select_from(TASKS)
_USED_TODAY: Final = _used.where(_today)
_USED_IN_RUN: Final = _used.where(
    _other,
    TASKS.c.created_at >= sa.bindparam("run_start"),
    TASKS.c.prompt_id == sa.bindparam("prompt_id"),
)
_COST_TODAY: Final = Sum(_today)
#: Tasks whose charge may be missing in a reading of the balance: those being sent, and those sent
#: since a moment before it.
_RESERVED: Final = Sum(
    sa.and_(
        _other,
        TASKS.c.changed_at >= sa.bindparam("changed_since"),
        sa.or_(
            sa.and_(TASKS.c.state.in_([state.value for state in SUBMITTING]), IS_LEASED),
            sa.and_(
                TASKS.c.state.not_in(NOT_CHARGED),
                sa.func.coalesce(TASKS.c.submitted_at, TASKS.c.sent_at, TASKS.c.created_at)
                >= sa.bindparam("complete_until"),
            ),
        ),
    )
)


class BalanceNeeded(Exception):
    """The balance must be read before the claim: `Limits.balance` is missing."""


@dataclass(frozen=True)
class BalanceReading:
    """The balance as the gateway reported it.

    Attributes:
        left: What is left; None if the key has no limit.
        complete_until: The charges of requests that were answered before this time are in it, in
            seconds since the epoch.
    """

    left: float | None
    complete_until: float


@dataclass(frozen=True)
class Charge:
    """A request that is about to be sent.

    Attributes:
        entry_id: Its entry, which does not count itself.
        cost: What it will cost; None if that is not known.
    """

    entry_id: int
    intent: Intent
    cost: float | None


@dataclass(frozen=True)
class Limits:
    """Spending limits; 0 is no limit.

    Attributes:
        daily_tasks: Charged tasks per calendar day, in the computer's time zone.
        run_tasks: Charged tasks per run: one prompt in ComfyUI's queue.
        daily_cost: What the tasks of a calendar day may cost at one gateway, in its unit.
        min_balance: What must be left of the balance after a task.
        balance: The balance, for `min_balance`; None if it was not read.
        currency: What the user calls the unit; may be empty.
    """

    daily_tasks: int = 0
    run_tasks: int = 0
    daily_cost: float = 0.0
    min_balance: float = 0.0
    balance: BalanceReading | None = None
    currency: str = ""

    def lock(self, connection: sa.Connection) -> None:
        """Keep other transactions that check limits waiting until this one has ended.

        On SQLite, a transaction that writes is alone anyway.
        """
        is_any_set = self.daily_tasks or self.run_tasks or self.daily_cost or self.min_balance
        if is_any_set and connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def check(self, connection: sa.Connection, charge: Charge, leases: Mapping[str, Any]) -> None:
        """Check the limits for one more charge.

        Args:
            leases: The current times, as `lease_parameters` returns them.

        Raises:
            LimitReached: The request would exceed a limit, or a limit cannot be checked.
            BalanceNeeded: The balance must be read first.

            In both cases the transaction must be rolled back.
        """
        now = leases["now"]
        values = {**leases, "entry_id": charge.entry_id, "day_start": start_of_day(now)}
        if self.daily_tasks:
            used = connection.execute(_USED_TODAY, values).scalar_one()
            if used >= self.daily_tasks:
                raise _reached("daily_limit", self.daily_tasks, used, Message("today"))
        prompt_id = charge.intent.prompt_id
        if self.run_tasks and prompt_id:
            run = {"run_start": now - _LONGEST_RUN, "prompt_id": prompt_id}
            used = connection.execute(_USED_IN_RUN, values | run).scalar_one()
            if used >= self.run_tasks:
                raise _reached("run_limit", self.run_tasks, used, Message("in this run"))
        if self.daily_cost:
            self._check_daily_cost(connection, charge, values)
        if self.min_balance:
            self._check_balance(connection, charge, values)

    def _check_daily_cost(
        self, connection: sa.Connection, charge: Charge, values: Mapping[str, Any]
    ) -> None:
        name, limit = "daily_cost_limit", self._amount(self.daily_cost)
        subject = Message("Your limit of {limit} per day", limit=limit)
        spent = _COST_TODAY.with_current_prices(connection, values, charge.intent)
        cost = _known_cost(name, subject, charge, spent)
        if _exceeds(spent.amount + cost, self.daily_cost):
            what = Message(
                "Your limit of {limit} per day would be exceeded: {used} so far today, and this "
                "task costs about {cost}. This request is not sent.",
                limit=limit,
                used=self._amount(spent.amount),
                cost=self._amount(cost),
            )
            raise LimitReached(name, what, hint=_raise_hint(name))

    def _check_balance(
        self, connection: sa.Connection, charge: Charge, values: Mapping[str, Any]
    ) -> None:
        if self.balance is None:
            raise BalanceNeeded
        left = self.balance.left
        if left is None:
            return
        name, limit = "min_balance", self._amount(self.min_balance)
        since = self.balance.complete_until
        times = {"complete_until": since, "changed_since": since - _LONGEST_SUBMIT}
        subject = Message("Your minimum balance of {limit}", limit=limit)
        reserved = _RESERVED.with_current_prices(connection, {**values, **times}, charge.intent)
        cost = _known_cost(name, subject, charge, reserved)
        if _exceeds(self.min_balance, left - reserved.amount - cost):
            what = Message(
                "The balance would fall below your minimum of {limit}: {left} left, about "
                "{reserved} for tasks of the last moments, and this task costs about {cost}. This "
                "request is not sent.",
                limit=limit,
                left=self._amount(left),
                reserved=self._amount(reserved.amount),
                cost=self._amount(cost),
            )
            raise LimitReached(name, what, hint=_raise_hint(name))

    def unread(self, problem: str) -> LimitReached:
        """The error if the balance cannot be read.

        Args:
            problem: Why.
        """
        what = Message(
            "Your minimum balance of {limit} cannot be checked. {problem} This request is not "
            "sent.",
            limit=self._amount(self.min_balance),
            problem=problem,
        )
        hint = Message(
            "Queue again later. If this gateway never reports a balance, set the limit to 0 in "
            "Settings → Pika ({variable}).",
            variable="PIKA_MIN_BALANCE",
        )
        return LimitReached("min_balance", what, hint=hint)

    def _amount(self, amount: float) -> str:
        return format_amount(amount, self.currency)


NO_LIMITS: Final = Limits()


def start_of_day(now: float) -> float:
    """The midnight before a time, in the computer's time zone. Seconds since the epoch."""
    local = time.localtime(now)
    return _midnight(local.tm_year, local.tm_mon, local.tm_mday)


def start_of_month(now: float) -> float:
    """The first midnight of the month of a time. As `start_of_day`."""
    local = time.localtime(now)
    return _midnight(local.tm_year, local.tm_mon, 1)


def _midnight(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))


def _exceeds(amount: float, limit: float) -> bool:
    return round(amount, _DECIMALS) > round(limit, _DECIMALS)


def _known_cost(name: str, subject: Message, charge: Charge, spent: Spent) -> float:
    """The cost of a request.

    Raises:
        LimitReached: It is not known, or that of another task that counts is not.
    """
    if charge.cost is not None and not spent.unpriced:
        return charge.cost
    what = Message(
        "{subject} cannot be checked: the price of this task is not known. This request is not "
        "sent.",
        subject=subject,
    )
    if charge.cost is not None:
        what = Message(
            "{subject} cannot be checked: the price of {count} of your latest tasks is not known. "
            "This request is not sent.",
            subject=subject,
            count=spent.unpriced,
        )
    hint = Message(
        "Enter what a task costs in Settings → Pika (PIKA_PRICE). Or set this limit ({variable}) "
        "to 0: if the gateway reports its usage, the price is learned from two single tasks of the "
        "same model and effect.",
        variable=f"PIKA_{name.upper()}",
    )
    raise LimitReached(name, what, hint=hint)


def _raise_hint(name: str) -> Message:
    variable = f"PIKA_{name.upper()}"
    if name == "min_balance":
        return Message(
            "Tasks that exist already are still reused. To send it, top up your balance, or lower "
            "the limit in Settings → Pika ({variable}).",
            variable=variable,
        )
    return Message(
        "Tasks that exist already are still reused. To send it, raise the limit in Settings "
        "→ Pika ({variable}).",
        variable=variable,
    )


def _reached(name: str, limit: int, used: int, when: str) -> LimitReached:
    tasks = Message("{limit} paid tasks", limit=limit)
    if limit == 1:
        tasks = Message("1 paid task")
    return LimitReached(
        name,
        Message(
            "Your limit of {tasks} {when} is reached: {used} so far. This request is not sent.",
            tasks=tasks,
            when=when,
            used=used,
        ),
        hint=_raise_hint(name),
    )
