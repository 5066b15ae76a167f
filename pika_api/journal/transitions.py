"""The table of transitions: which event changes a journal entry in which states, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import sqlalchemy as sa

from .clocks import Clocks
from .schema import TASKS
from .states import ACTIVE, REUSABLE, SUBMITTING, State

#: The least difference between two values of `changed_at`, in seconds: a float of this size holds
#: differences of a quarter of a microsecond.
_CHANGED_AT_STEP: Final = 1e-5


class Event(Enum):
    """What can happen to a journal entry."""

    SENT = auto()
    UNSENT = auto()
    REJECTED = auto()
    WITHDRAWN = auto()
    UNKNOWN = auto()
    SUBMITTED = auto()
    RUNNING = auto()
    FINISHED = auto()
    RELINKED = auto()
    RECEIVED = auto()
    FAILED = auto()
    SAVED = auto()
    ERROR = auto()
    TAKEN_OVER = auto()
    ABANDONED = auto()
    DROPPED = auto()
    FORGOTTEN = auto()
    RELEASED = auto()
    RECLAIMED = auto()
    KEY_CHANGED = auto()
    PRICED = auto()


@dataclass(frozen=True)
class Transition:
    """What an event does to a row.

    Attributes:
        sources: The states in which the event applies. In any other state it changes nothing.
        target: The state afterwards; None leaves the state as it is.
        sets: The columns whose new values come with the event.
        constants: The columns with fixed new values.
        clears: The columns that become NULL.
        time: The column for the time of the event; None if there is none.
        owned: Whether the event applies only to a row of the event's owner.
        claimed: Whether the event applies only while the row holds its fingerprint. A row that was
            forgotten has released it, and the same request may have been sent again.
        lapsed: Whether the event applies only once the lease has lapsed.
        leased: Whether a new lease begins.
    """

    sources: frozenset[State]
    target: State | None
    sets: tuple[str, ...] = ()
    constants: Mapping[str, object] = field(default_factory=dict)
    clears: tuple[str, ...] = ()
    time: str | None = None
    owned: bool = False
    claimed: bool = False
    lapsed: bool = False
    leased: bool = False


_INTENDED: Final = frozenset({State.INTENDED})
_SENT: Final = frozenset({State.SENT})
#: Another process may have recorded "unknown" while the owner was waiting for the response.
_AWAITED: Final = frozenset({State.SENT, State.UNKNOWN})
_ALL: Final = frozenset(State)

TRANSITIONS: Final[Mapping[Event, Transition]] = {
    Event.SENT: Transition(
        _INTENDED, State.SENT, time="sent_at", owned=True, claimed=True, leased=True
    ),
    Event.UNSENT: Transition(
        _AWAITED, State.INTENDED, sets=("last_error",), owned=True, leased=True
    ),
    Event.REJECTED: Transition(
        _INTENDED | _AWAITED,
        State.REFUSED,
        sets=("last_error",),
        clears=("claim", "owner"),
        owned=True,
    ),
    Event.WITHDRAWN: Transition(
        _INTENDED, State.REFUSED, sets=("last_error",), clears=("claim", "owner"), owned=True
    ),
    # Keeps the claim: a request that may have been accepted is not sent again.
    Event.UNKNOWN: Transition(
        _SENT | {State.UNKNOWN},
        State.UNKNOWN,
        sets=("last_error", "answer"),
        clears=("owner",),
        owned=True,
    ),
    # Anyone may record a task id, also one that settles an unknown. Without an owner, the lease
    # only says when that was, by the clock that nobody sets; see `Journal.age`.
    # Also of a row that was not sent yet: it comes from a backup of that moment.
    Event.SUBMITTED: Transition(
        _INTENDED | _SENT | {State.UNKNOWN},
        State.SUBMITTED,
        sets=("task_id",),
        constants={"last_error": ""},
        clears=("owner",),
        time="submitted_at",
        leased=True,
    ),
    Event.RUNNING: Transition(ACTIVE, State.RUNNING, sets=("progress",)),
    # Also after a failure, which the gateway may take back. The fingerprint stays released until
    # the request is queued again.
    Event.FINISHED: Transition(
        ACTIVE | {State.FINISHED, State.FAILED},
        State.FINISHED,
        sets=("result_url",),
        constants={"progress": 100},
        time="finished_at",
    ),
    Event.RELINKED: Transition(frozenset({State.SAVED}), State.SAVED, sets=("result_url",)),
    # The file is complete. It may be somewhere else, and have other bytes, when it is saved.
    Event.RECEIVED: Transition(ACTIVE | {State.FINISHED, State.SAVED}, None, sets=("sha256",)),
    Event.FAILED: Transition(
        ACTIVE, State.FAILED, sets=("last_error",), clears=("claim",), time="finished_at"
    ),
    Event.SAVED: Transition(
        ACTIVE | {State.FINISHED, State.SAVED},
        State.SAVED,
        sets=("file_path", "host"),
        constants={"last_error": ""},
        time="saved_at",
    ),
    Event.ERROR: Transition(_ALL, None, sets=("last_error",)),
    # Its owner is gone. What was never sent may be sent; what was sent may have been accepted.
    # From now on it is a request of this run and this day: spending limits count by them.
    Event.TAKEN_OVER: Transition(
        _INTENDED,
        None,
        sets=("owner", "base_url", "key_id", "node_id", "prompt_id", "estimate"),
        time="created_at",
        lapsed=True,
        leased=True,
    ),
    # The row keeps its owner: if that was only suspended, its proof of a refusal still counts.
    Event.ABANDONED: Transition(_SENT, State.UNKNOWN, sets=("last_error",), lapsed=True),
    # Without an owner, a suspended process that continues cannot send it any more.
    Event.DROPPED: Transition(
        _INTENDED,
        State.REFUSED,
        sets=("last_error",),
        clears=("claim", "owner"),
        lapsed=True,
    ),
    # Not while the request is being sent: its answer needs the row.
    Event.FORGOTTEN: Transition(_ALL - SUBMITTING, None, clears=("claim",), time="forgotten_at"),
    # The gateway does not know the task with the current key. It stays a task of its own key.
    Event.RELEASED: Transition(REUSABLE, None, sets=("last_error",), clears=("claim",)),
    Event.RECLAIMED: Transition(REUSABLE, None, sets=("claim",), constants={"last_error": ""}),
    # The gateway knows the task with this key, too.
    Event.KEY_CHANGED: Transition(REUSABLE, None, sets=("key_id",)),
    # Its price was read from the gateway's usage counter.
    Event.PRICED: Transition(_ALL - SUBMITTING, None, sets=("price",)),
}


def _time(name: str) -> sa.BindParameter[Any]:
    """A parameter that is a time. PostgreSQL cannot guess its type, where it may be NULL."""
    return sa.bindparam(name, type_=sa.Float(53))


_earlier: Final = TASKS.alias("earlier")
_next_changed_at: Final = sa.select(
    sa.func.max(_earlier.c.changed_at) + _CHANGED_AT_STEP
).scalar_subquery()
_now: Final = _time("now")
#: The time of a change: the clock's, or later where the newest change requires it.
CHANGED_AT: Final = sa.case((_next_changed_at > _now, _next_changed_at), else_=_now)

_boot: Final = sa.bindparam("boot_id", type_=sa.String(64))
_boot_now: Final = _time("boot_now")


def _runs(
    until: sa.ColumnElement[Any], now: sa.ColumnElement[Any], credible: str
) -> sa.ColumnElement[bool]:
    return sa.and_(until > now, until <= _time(credible))


#: Whether a row's lease is running. A lease that ends further ahead than a new one could is not
#: believed: the clock was set back since, or the machine was started again. Parameters: those of
#: `lease_parameters`.
IS_LEASED: Final = sa.case(
    (
        sa.and_(TASKS.c.lease_boot == _boot, TASKS.c.lease_owner == TASKS.c.owner),
        _runs(TASKS.c.lease_boot_until, _boot_now, "boot_credible"),
    ),
    else_=_runs(TASKS.c.lease_until, _now, "credible"),
)


def new_lease(owner: sa.ColumnElement[Any]) -> dict[str, sa.ColumnElement[Any]]:
    """The values of the columns of a lease that begins now."""
    return {
        "lease_until": _time("lease_end"),
        "lease_owner": owner,
        "lease_boot": _boot,
        "lease_boot_until": _time("boot_end"),
    }


def lease_parameters(clocks: Clocks, lease: float) -> dict[str, object]:
    """The current times, for `IS_LEASED` and `new_lease`.

    Args:
        lease: Length of a lease in seconds.
    """
    now, boot = clocks.wall(), clocks.boot()
    start = None if boot is None else boot.seconds
    return {
        "now": now,
        "lease_end": now + lease,
        # The clock of another machine may be ahead of this one's.
        "credible": now + 2 * lease,
        "boot_id": None if boot is None else boot.boot,
        "boot_now": start,
        "boot_end": None if start is None else start + lease,
        "boot_credible": None if start is None else start + 2 * lease,
    }


def _is_in(states: frozenset[State]) -> sa.ColumnElement[bool]:
    # As literals, not as parameters: SQLAlchemy would build the list anew for each execution.
    return TASKS.c.state.in_(
        [sa.literal_column(f"'{state.value}'") for state in State if state in states]
    )


def _statement(transition: Transition) -> sa.Update:
    """The UPDATE of a transition. Parameters: ``entry_id``, ``now``, ``new_…`` for each column in
    `sets`, ``expected_owner`` where needed, and those of `lease_parameters`.
    """
    update = sa.update(TASKS).where(
        TASKS.c.id == sa.bindparam("entry_id"),
        _is_in(transition.sources),
    )
    if transition.owned:
        update = update.where(TASKS.c.owner == sa.bindparam("expected_owner"))
    if transition.claimed:
        update = update.where(TASKS.c.claim.is_not(None))
    if transition.lapsed:
        update = update.where(sa.not_(IS_LEASED))
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in transition.sets}
    values |= transition.constants
    values |= dict.fromkeys(transition.clears)
    values["changed_at"] = CHANGED_AT
    if transition.target is not None:
        values["state"] = transition.target.value
    if transition.time is not None:
        values[transition.time] = _now
    if transition.leased:
        values |= new_lease(values.get("owner", TASKS.c.owner))
    return update.values(values)


STATEMENTS: Final[Mapping[Event, sa.Update]] = {
    event: _statement(transition) for event, transition in TRANSITIONS.items()
}
