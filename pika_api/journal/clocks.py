"""The clocks of leases: the wall clock, and the time since this machine was started.

The wall clock can be set forward and back. The time since the start cannot, and all processes of a
machine read the same one. It says nothing on another machine, nor after a restart, so it is used
together with an identification of the start.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE: Final = Path("/proc/self/ns/time")


class BootTime(NamedTuple):
    """A time since the start of a machine.

    Attributes:
        boot: Identifies the start: two processes with the same value read the same clock. Up to
            64 characters.
        seconds: Since the start, without the time in which the machine was suspended where the
            system counts it so.
    """

    boot: str
    seconds: float


class Clocks(Protocol):
    """The clocks of a journal."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def boot(self) -> BootTime | None:
        """The time since the start of this machine; None if it cannot be had."""


class SystemClocks:
    """The clocks of this machine."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def boot(self) -> BootTime | None:
        """The time since the start of this machine; None if the start cannot be identified."""
        boot = _boot_id()
        return BootTime(boot, time.monotonic()) if boot else None


class ServerClocks:
    """The wall clock of a database server: machines that share a journal must agree on when a lease
    ends. Between two readings of it, this machine's clock goes on.

    Attributes:
        machine: The clocks of this machine.
    """

    def __init__(self) -> None:
        self.machine: Clocks = SystemClocks()
        self._ahead = 0.0

    def set_to(self, now: float) -> None:
        """The server's clock says `now`, in seconds since the epoch."""
        self._ahead = now - self.machine.wall()

    def wall(self) -> float:
        """Seconds since the epoch, by the server's clock."""
        return self.machine.wall() + self._ahead

    def boot(self) -> BootTime | None:
        """The time since the start of this machine."""
        return self.machine.boot()


@functools.cache
def _boot_id() -> str:
    """Identifies the start of this machine; empty if that cannot be had."""
    boot = ""
    # A system without it, or one that hides it, such as a sandbox.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        boot = _read_boot_id()
    return boot[:64]


if sys.platform == "win32":

    def _read_boot_id() -> str:
        import winreg

        # It grows with each start.
        boot = _registry(
            winreg,
            r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"
            r"\PrefetchParameters",
            "BootId",
        )
        machine = _registry(winreg, r"SOFTWARE\Microsoft\Cryptography", "MachineGuid")
        # Python 3.13 reads another clock than earlier versions.
        clock = time.get_clock_info("monotonic").implementation[:8]
        return f"{machine}/{boot}/{clock}"

    def _registry(winreg: Any, path: str, name: str) -> str:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return str(winreg.QueryValueEx(key, name)[0])

elif sys.platform == "linux":

    def _read_boot_id() -> str:
        boot = str(uuid.UUID(_BOOT_ID.read_text("ascii").strip()))
        with contextlib.suppress(OSError):
            # Each time namespace of Linux has a clock of its own.
            boot += f"/{_TIME_NAMESPACE.stat().st_ino}"
        return boot

else:

    def _read_boot_id() -> str:
        return ""  # the standard library has none
