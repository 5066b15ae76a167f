"""The back-off of a key, for all processes on one journal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ..errors import JournalError
from ..gateway import SharedBackoff
from ..journal import Journal
from ..log import log

#: Seconds between two looks at what other processes have written.
_LOOK_EVERY: Final = 1.0
#: A back-off that another process has learned of already is not written again, unless it is longer
#: by more than this. Seconds.
_SAME: Final = 0.25


class KeyBackoff(SharedBackoff):
    """A 429 to one process slows down all that use the key and the journal.

    Args:
        journal: Where it is written down.
        key_id: The key, as `Settings.key_id`.
        clock: Monotonic time in seconds.
    """

    def __init__(self, journal: Journal, key_id: str, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._journal = journal
        self._key_id = key_id
        self._time = clock
        self._looking = threading.Lock()
        self._next_look = 0.0

    def slow_down(self, seconds: float) -> None:
        """Hold all requests for at least this long, also those of other processes. Blocks."""
        is_known = self.wait() + _SAME >= seconds
        super().slow_down(seconds)
        if is_known or seconds <= 0:
            return
        try:
            self._journal.pauses.begin(self._key_id, seconds)
        except JournalError as error:
            log.info("journal: a back-off was not written down: %s", error.what)

    def look(self) -> None:
        """Learn of the back-offs of other processes, at most once a second. Blocks."""
        if self._time() < self._next_look or not self._looking.acquire(blocking=False):
            return
        try:
            self._next_look = self._time() + _LOOK_EVERY
            super().slow_down(self._journal.pauses.remaining(self._key_id))
        except JournalError as error:
            log.info("journal: back-offs were not read: %s", error.what)
        finally:
            self._looking.release()
