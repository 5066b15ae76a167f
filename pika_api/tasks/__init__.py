"""Submit, wait for and collect tasks: gateway and journal together."""

from .collect import Collected
from .service import Service
from .submit import Submitted

__all__ = ["Collected", "Service", "Submitted"]
