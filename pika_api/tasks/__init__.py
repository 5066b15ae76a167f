"""Submit, wait for and collect tasks. The public API of the client is `Service`."""

from .account import Account, AccountState
from .collect import Collected
from .current import CurrentService
from .policy import ServicePolicy
from .service import Service
from .submit import Submitted

__all__ = [
    "Account",
    "AccountState",
    "Collected",
    "CurrentService",
    "Service",
    "ServicePolicy",
    "Submitted",
]
