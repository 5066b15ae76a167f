"""HTTP calls to the gateway and the media host. This package does not know the journal."""

from .account import AccountReader, Balance
from .client import Client
from .exchange import cancellable
from .feed import Status, Task
from .health import HEALTH_TIMEOUTS, HealthCheck, HealthResult, Verdict
from .limits import SizeLimits, Timeouts
from .partial import discard_part, part_info_path
from .retry import RetryPolicy, SharedBackoff, poll_delay, resend_delay
from .route import odd_no_proxy_entries, route_problem
from .sessions import root_cause

__all__ = [
    "HEALTH_TIMEOUTS",
    "AccountReader",
    "Balance",
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
    "odd_no_proxy_entries",
    "part_info_path",
    "poll_delay",
    "resend_delay",
    "root_cause",
    "route_problem",
]
