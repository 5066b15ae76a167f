"""Renews the leases of running work. A process that was killed stops renewing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import JournalError
from ..log import log
from .store import Journal


class LeaseKeeper:
    """Renews the leases of its owners from one thread, which runs only while there are owners.

    Args:
        journal: Its leases are renewed four times per `Journal.lease`.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
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
            thread = self._thread
        if thread is not None:
            thread.join()

    @contextmanager
    def keeping(self, owner: str) -> Iterator[None]:
        """Renew this owner's leases until the block ends."""
        with self._changed:
            self._owners[owner] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pika-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._owners[owner] -= 1
                self._owners += Counter()  # drops those at zero
                if not self._owners:
                    self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or not self._owners, timeout=self._interval
                )
                owners = list(self._owners)
                if self._closed or not owners:
                    self._thread = None
                    return
            try:
                self._journal.renew_leases(owners)
            except JournalError as error:
                # If the lease lapses, another process records "unknown", which sends nothing.
                log.warning("journal: a lease could not be renewed: %s", error.what)
