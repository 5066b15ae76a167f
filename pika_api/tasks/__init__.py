"""Submit, wait for and collect tasks. The public API of the client is `Service`."""

from .account import Account, AccountState
from .collect import Collected
from .current import CurrentService
from .delivery import PLAIN, Delivery
from .places import Place, check_prefix, expand_words
from .policy import ServicePolicy
from .service import Service
from .submit import Submitted

__all__ = [
    "PLAIN",
    "Account",
    "AccountState",
    "Collected",
    "CurrentService",
    "Delivery",
    "Place",
    "Service",
    "ServicePolicy",
    "Submitted",
    "check_prefix",
    "expand_words",
]
