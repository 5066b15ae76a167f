"""The service for the current settings: created once, replaced, and closed when it is unused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from pika_api.settings import Settings
from pika_api.tasks import CurrentService, Service
from pika_api.threads import StartThread, start_thread
from support.waiting import until


class FakeService:
    """Records that it was closed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def current(
    start: StartThread = start_thread, kind: type[FakeService] = FakeService
) -> tuple[CurrentService, list[FakeService]]:
    """A `CurrentService`, and the services that it has created."""
    created: list[FakeService] = []

    def create(settings: Settings) -> Service:
        created.append(kind(settings))
        return cast("Service", created[-1])

    return CurrentService(create, start), created


def use(services: CurrentService, **values: Any) -> Any:
    """Use the service for these settings."""
    return services.use(Settings(**values))


def is_closed(service: FakeService) -> Callable[[], bool]:
    return service.closed.is_set


def test_equal_settings_share_one_service() -> None:
    """Settings that are read again and have not changed keep the service."""
    services, created = current()
    with use(services, max_requests=2) as first, use(services, max_requests=2) as second:
        assert first is second
    with use(services, max_requests=2) as third:
        assert third is first
    assert len(created) == 1
    assert not created[0].closed.is_set()


def test_an_unused_service_is_closed_when_it_is_replaced() -> None:
    """Changed settings create another service; nobody can reach the earlier one any more."""
    services, created = current()
    with use(services, max_requests=2):
        pass
    with use(services, max_requests=3):
        assert len(created) == 2
        assert until(is_closed(created[0]))
    assert not created[1].closed.is_set()


def test_a_replaced_service_stays_open_for_its_users() -> None:
    """It is closed when the last of them ends, and not before."""
    services, created = current()
    first, second = use(services, max_requests=2), use(services, max_requests=2)
    first.__enter__()
    second.__enter__()
    with use(services, max_requests=3):
        first.__exit__(None, None, None)
        assert not created[0].closed.is_set()
        second.__exit__(None, None, None)
        assert until(is_closed(created[0]))


def test_service_whose_thread_cannot_be_started_is_closed_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the next use. The use that failed to start it works all the same."""
    attempts = []

    def start(run: Callable[[], None], name: str) -> threading.Thread:
        attempts.append(name)
        if len(attempts) <= 2:
            raise RuntimeError("can't start new thread")
        return start_thread(run, name)

    services, created = current(start)
    with use(services, max_requests=2):
        pass
    with use(services, max_requests=3):
        assert not created[0].closed.is_set()
    assert "can't start new thread" in caplog.text
    with use(services, max_requests=3):
        pass
    until(is_closed(created[0]), what="the first service's end")
    assert not created[1].closed.is_set()


@pytest.mark.parametrize("error", [ValueError("why"), SystemExit(1)])
def test_service_that_cannot_be_closed_is_logged(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The next ones are closed."""

    class Failing(FakeService):
        def close(self) -> None:
            super().close()
            raise error

    services, created = current(kind=Failing)
    for number in range(2, 5):
        with use(services, max_requests=number):
            pass
    for service in created[:2]:
        until(is_closed(service), what="the end")
    until(lambda: caplog.text.count("not closed completely") == 2, what="the log")
