"""The service for the current settings."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..settings import Settings
from .service import Service


class CurrentService:
    """Creates a service at its first use, and a new one when the settings have changed.

    A replaced service is closed when its last user has ended, in a thread of its own: closing
    waits for the calls in progress.

    Args:
        create: Creates a service for settings.
    """

    def __init__(self, create: Callable[[Settings], Service]) -> None:
        self._create = create
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._users: Counter[Service] = Counter()

    @contextmanager
    def use(self, settings: Settings) -> Iterator[Service]:
        """The service for these settings; it stays open until the block ends."""
        with self._lock:
            service = self._service
            if service is None or service.settings != settings:
                replaced, service = service, self._create(settings)
                self._service = service
                if replaced is not None and replaced not in self._users:
                    _close_in_background(replaced)
            self._users[service] += 1
        try:
            yield service
        finally:
            with self._lock:
                self._users[service] -= 1
                if not self._users[service]:
                    del self._users[service]
                    if service is not self._service:
                        _close_in_background(service)


def _close_in_background(service: Service) -> None:
    threading.Thread(target=service.close, name="pika-close", daemon=True).start()
