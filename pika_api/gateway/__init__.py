"""HTTP calls to the gateway and the media host. This package does not know the journal."""

from .client import Client
from .exchange import cancellable
from .feed import Status, Task
from .health import HEALTH_TIMEOUTS, HealthCheck, HealthResult, Verdict
from .limits import SizeLimits, Timeouts
from .partial import discard_part, part_info_path
from .retry import RetryPolicy, SharedBackoff, poll_delay, resend_delay
from .sessions import root_cause

__all__ = [
    "HEALTH_TIMEOUTS",
    "Client",
    "HealthCheck",
    "HealthResult",
    "RetryPolicy",
    "SharedBackoff",
    "SizeLimits",
    "Status",
    "Task",
    "Timeouts",
    "Verdict",
    "cancellable",
    "discard_part",
    "part_info_path",
    "poll_delay",
    "resend_delay",
    "root_cause",
]
