"""Renews the leases of running work. A process that was killed stops renewing."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import JournalError
from ..log import log
from ..threads import StartThread, start_thread
from .store import Journal


class LeaseKeeper:
    """Renews the leases of its owners from one thread, which runs only while there are owners.

    A thread that ends before its time is replaced. If no thread can be started, that is tried
    again with the next owner. A lease that lapses meanwhile costs nothing: another process records
    "unknown", which sends nothing, and the owner's answer is recorded all the same.

    Args:
        journal: Its leases are renewed four times per `Journal.lease`.
        start: Starts a thread.
    """

    def __init__(self, journal: Journal, start: StartThread = start_thread) -> None:
        self._journal = journal
        self._start = start
        self._interval = journal.lease / 4
        self._owners: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """End the thread, so that the journal can be closed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        while (thread := self._thread) is not None and thread.is_alive():
            thread.join()

    @contextmanager
    def keeping(self, owner: str) -> Iterator[None]:
        """Renew this owner's leases until the block ends."""
        with self._changed:
            self._owners[owner] += 1
            self._ensure_thread()
        try:
            yield
        finally:
            with self._changed:
                self._owners[owner] -= 1
                self._owners += Counter()  # drops those at zero
                if not self._owners:
                    self._changed.notify()

    def _ensure_thread(self) -> None:
        """Start the thread, unless it is running or not needed."""
        if self._closed or not self._owners:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            self._thread = self._start(self._run, "pika-leases")
        except (RuntimeError, MemoryError, OSError) as error:
            self._thread = None
            log.warning("journal: leases cannot be renewed, no thread could be started: %s", error)

    def _run(self) -> None:
        """Renew until there is no owner. Whatever ends it, another thread goes on."""
        try:
            self._renew()
        except BaseException as error:  # noqa: BLE001 - the leases must be renewed, whatever it is
            with contextlib.suppress(BaseException):  # such as no memory
                log.error("journal: the thread that renews leases is replaced: %r", error)
        finally:
            with self._changed:
                self._thread = None
                self._ensure_thread()

    def _renew(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or not self._owners, timeout=self._interval
                )
                owners = list(self._owners)
                if self._closed or not owners:
                    return
            try:
                self._journal.renew_leases(owners)
            except JournalError as error:
                # If the lease lapses, another process records "unknown", which sends nothing.
                log.warning("journal: a lease could not be renewed: %s", error.what)
