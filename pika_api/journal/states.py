"""The states of a journal entry."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(str, Enum):
    """The state of a journal entry. `transitions.TRANSITIONS` says how it changes."""

    INTENDED = "intended"
    SENT = "sent"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    SAVED = "saved"


#: The entry has a task that an identical request reuses.
REUSABLE: Final = frozenset({State.SUBMITTED, State.RUNNING, State.FINISHED, State.SAVED})
#: The gateway is working on the task, as far as the journal knows.
ACTIVE: Final = frozenset({State.SUBMITTED, State.RUNNING})
#: The entry is between its claim and the gateway's answer.
SUBMITTING: Final = frozenset({State.INTENDED, State.SENT})
