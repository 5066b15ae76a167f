"""A strict, scriptable gateway for the desk and for tests; it renders real MP4s.

It imports nothing of the rest of the project: a shared mistake would pass every test.
"""

from .fault import Fault
from .log import Request
from .server import Simulator
from .settings import Settings
from .tasks import Task

__all__ = ["Fault", "Request", "Settings", "Simulator", "Task"]
