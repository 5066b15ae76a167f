"""A pool of threads that never keeps the process alive."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

_T = TypeVar("_T")
_Job = tuple["Future[Any]", Callable[[], Any]]


class DaemonPool(Executor):
    """Runs calls in daemon threads, the first submitted first.

    Python waits at exit for the threads of a `ThreadPoolExecutor`, however long a call takes.
    ComfyUI must exit promptly, also while a gateway is silent.

    Args:
        threads: Maximum number of threads; they are started when they are needed.
        name: Prefix of their names.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._maximum = threads
        self._name = name
        self._numbers = itertools.count()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._unfinished = 0  # calls that are queued or running
        self._closed = False

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Queue a call. Raises `RuntimeError` after `shutdown`."""
        future: Future[_T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("The service is closed.")
            self._jobs.put((future, lambda: fn(*args, **kwargs)))
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self._maximum):
                self._start_thread()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls.

        Args:
            wait: Return after the last call has ended.
            cancel_futures: Cancel the calls that have not begun.
        """
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            if cancel_futures:
                self._cancel_queued()
            for _ in threads:
                self._jobs.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _cancel_queued(self) -> None:
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                job[0].cancel()

    def _start_thread(self) -> None:
        name = f"{self._name}_{next(self._numbers)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            _run_job(*job)
            del job  # a waiting thread must not keep the last call's arguments
            with self._lock:
                self._unfinished -= 1


def _run_job(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it belongs to the caller, whatever it is
        future.set_exception(error)
    else:
        future.set_result(result)
