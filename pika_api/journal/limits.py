"""The user's spending limits, checked in the transaction that claims a request.

So parallel nodes and processes on one journal cannot exceed them together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from ..errors import LimitReached
from ..message import Message
from .schema import TASKS
from .states import State

#: Requests in these states were not charged.
_NOT_CHARGED: Final = frozenset({State.INTENDED, State.REFUSED})
#: A number for the lock of PostgreSQL that limits are checked under; any constant will do.
_LOCK: Final = 0x70696B61

_now: Final = sa.bindparam("now", type_=sa.Float(53))
#: Requests of this journal that were charged, may have been, or are about to be sent.
_counted: Final = sa.and_(
    TASKS.c.id != sa.bindparam("entry_id"),
    TASKS.c.fingerprint.is_not(None),
    sa.or_(
        TASKS.c.state.not_in([state.value for state in _NOT_CHARGED]),
        sa.and_(TASKS.c.state == State.INTENDED.value, TASKS.c.lease_until > _now),
    ),
)
_used: Final = sa.select(sa.func.count()).select_from(TASKS).where(_counted)
#: Rows from before a clock was set back are of today, too.
_USED_TODAY: Final = _used.where(TASKS.c.created_at >= sa.bindparam("day_start"))
_USED_IN_RUN: Final = _used.where(
    TASKS.c.created_at >= sa.bindparam("run_start"),
    TASKS.c.prompt_id == sa.bindparam("prompt_id"),
)
#: A run of ComfyUI is not older than this, in seconds. It bounds the rows that are counted.
_LONGEST_RUN: Final = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Limits:
    """Spending limits; 0 is no limit.

    Attributes:
        daily_tasks: Charged tasks per calendar day, in the computer's time zone.
        run_tasks: Charged tasks per run: one prompt in ComfyUI's queue.
    """

    daily_tasks: int = 0
    run_tasks: int = 0

    def lock(self, connection: sa.Connection) -> None:
        """Keep other transactions that check limits waiting until this one has ended.

        On SQLite, a transaction that writes is alone anyway.
        """
        if self != NO_LIMITS and connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def check(self, connection: sa.Connection, entry_id: int, prompt_id: str, now: float) -> None:
        """Check the limits for one more charge.

        Args:
            entry_id: The request that is about to be sent. It does not count itself.
            prompt_id: ComfyUI's id of the run; empty outside of ComfyUI.
            now: Seconds since the epoch.

        Raises:
            LimitReached: The request would exceed a limit. The transaction must be rolled back.
        """
        if self.daily_tasks:
            today = {"now": now, "entry_id": entry_id, "day_start": start_of_day(now)}
            used = connection.execute(_USED_TODAY, today).scalar_one()
            if used >= self.daily_tasks:
                raise _reached("daily_limit", self.daily_tasks, used, Message("today"))
        if self.run_tasks and prompt_id:
            run = {"now": now, "entry_id": entry_id, "run_start": now - _LONGEST_RUN}
            values = run | {"prompt_id": prompt_id}
            used = connection.execute(_USED_IN_RUN, values).scalar_one()
            if used >= self.run_tasks:
                raise _reached("run_limit", self.run_tasks, used, Message("in this run"))


NO_LIMITS: Final = Limits()


def start_of_day(now: float) -> float:
    """The midnight before a time, in the computer's time zone. Seconds since the epoch."""
    local = time.localtime(now)
    return time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1))


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
        hint=Message(
            "Tasks that exist already are still reused. To send it, raise the limit in Settings "
            "→ Pika ({variable}).",
            variable=f"PIKA_{name.upper()}",
        ),
    )
