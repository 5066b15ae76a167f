"""The service for the current settings."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..log import log
from ..settings import Settings
from ..threads import StartThread, start_thread
from .service import Service


class CurrentService:
    """Creates a service at its first use, and a new one when the settings have changed.

    A replaced service is closed when its last user has ended, in a thread of its own: closing
    waits for the calls in progress.

    Args:
        create: Creates a service for settings.
        start: Starts a thread.
    """

    def __init__(
        self, create: Callable[[Settings], Service], start: StartThread = start_thread
    ) -> None:
        self._create = create
        self._start = start
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._users: Counter[Service] = Counter()
        self._unclosed: list[Service] = []

    @contextmanager
    def use(self, settings: Settings) -> Iterator[Service]:
        """The service for these settings; it stays open until the block ends."""
        with self._lock:
            service = self._service
            if service is None or service.settings != settings:
                replaced, service = service, self._create(settings)
                self._service = service
                if replaced is not None and replaced not in self._users:
                    self._unclosed.append(replaced)
            self._close_in_background()
            self._users[service] += 1
        try:
            yield service
        finally:
            with self._lock:
                self._users[service] -= 1
                if not self._users[service]:
                    del self._users[service]
                    if service is not self._service:
                        self._unclosed.append(service)
                self._close_in_background()

    def _close_in_background(self) -> None:
        """Close the services that are not used any more, each in a thread of its own.

        One whose thread cannot be started waits for the next call.
        """
        while self._unclosed:
            service = self._unclosed[-1]
            try:
                self._start(functools.partial(_close, service), "pika-close")
            except (RuntimeError, MemoryError, OSError) as error:
                log.warning("service: one of earlier settings cannot be closed yet: %s", error)
                return
            self._unclosed.pop()


def _close(service: Service) -> None:
    try:
        service.close()
    except BaseException as error:  # noqa: BLE001 - there is no caller
        with contextlib.suppress(BaseException):
            log.error("service: one of earlier settings was not closed completely: %r", error)
