"""HTTP with the gateway and the media host. Nothing here knows the journal."""

from .client import Client
from .feed import Status, Task
from .health import Finding
from .retry import SharedBackoff, poll_delay, resend_delay
from .sessions import root_cause

__all__ = [
    "Client",
    "Finding",
    "SharedBackoff",
    "Status",
    "Task",
    "poll_delay",
    "resend_delay",
    "root_cause",
]
