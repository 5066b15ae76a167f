"""A simulated gateway for development and tests: strict, scriptable, with real MP4 files.

It imports nothing from the rest of the project. A mistake in shared code would pass every test.
"""

from .fault import Fault
from .log import Request
from .server import Simulator
from .settings import Settings
from .tasks import Task

__all__ = ["Fault", "Request", "Settings", "Simulator", "Task"]
