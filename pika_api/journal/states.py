"""Where a row of the journal stands."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(str, Enum):
    """Where a row stands."""

    INTENDED = "intended"
    SENT = "sent"
    SUBMITTED = "submitted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    SAVED = "saved"


#: A task stands behind these, so an identical request takes it up.
REUSABLE: Final = frozenset({State.SUBMITTED, State.RUNNING, State.FINISHED, State.SAVED})
#: In these the gateway is still at work, or may be.
ACTIVE: Final = frozenset({State.SUBMITTED, State.RUNNING})
#: Somebody is between the claim and the answer.
SUBMITTING: Final = frozenset({State.INTENDED, State.SENT})
