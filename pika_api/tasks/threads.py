"""A pool of threads that never keeps the process alive."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from ..log import log
from ..threads import StartThread, start_thread

_T = TypeVar("_T")
_Job = tuple["Future[Any]", Callable[[], Any]]


class DaemonPool(Executor):
    """Runs calls in daemon threads, the first submitted first.

    Python waits at exit for the threads of a `ThreadPoolExecutor`, however long a call takes.
    ComfyUI must exit promptly, also while a gateway is silent.

    A thread that ends before its time is replaced. A call whose thread cannot be started fails, so
    that nobody waits for it in vain.

    Args:
        threads: Maximum number of threads; they are started when they are needed.
        name: Prefix of their names.
        start: Starts a thread.

    Attributes:
        first, last: Run calls in the same threads, before or after those of the pool itself that
            are queued.
    """

    def __init__(self, threads: int, name: str, start: StartThread = start_thread) -> None:
        self._first_jobs: deque[_Job] = deque()
        self._jobs: deque[_Job] = deque()
        self._last_jobs: deque[_Job] = deque()
        self.first: Executor = _Rank(self, self._first_jobs)
        self.last: Executor = _Rank(self, self._last_jobs)
        self._maximum = threads
        self._name = name
        self._start = start
        self._numbers = itertools.count()
        #: Threads in `_run`, which leave `_threads` by themselves when they end.
        self._in_run = 0
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._running = 0
        self._closed = False

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Queue a call.

        Raises:
            RuntimeError: After `shutdown`, or if no thread can be started: it will not run.
        """
        return self.queue(self._jobs, fn, *args, **kwargs)

    def queue(
        self, jobs: deque[_Job], fn: Callable[..., _T], /, *args: Any, **kwargs: Any
    ) -> Future[_T]:
        """As `submit`, with one of the pool's queues."""
        future: Future[_T] = Future()
        job: _Job = (future, lambda: fn(*args, **kwargs))
        with self._changed:
            if self._closed:
                raise RuntimeError("The service is closed.")
            jobs.append(job)
            try:
                self._add_threads()
            except BaseException:
                if job in jobs:
                    jobs.remove(job)
                raise
            self._changed.notify()
        return future

    def _next(self) -> _Job | None:
        """The next call; None if none is queued."""
        jobs = self._first_jobs or self._jobs or self._last_jobs
        return jobs.popleft() if jobs else None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls.

        Args:
            wait: Return after the last call has ended.
            cancel_futures: Cancel the calls that have not begun.
        """
        with self._changed:
            self._closed = True
            if cancel_futures:
                while job := self._next():
                    job[0].cancel()
            self._changed.notify_all()
        while wait:
            with self._changed:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()
            with self._changed:
                self._threads.discard(thread)

    def _add_threads(self) -> None:
        """Start the threads that the calls need. Raises if not one is running."""
        queued = len(self._first_jobs) + len(self._jobs) + len(self._last_jobs)
        needed = min(queued + self._running, self._maximum)
        if len(self._threads) >= needed and len(self._threads) == self._in_run:
            return
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        while len(self._threads) < needed:
            name = f"{self._name}_{next(self._numbers)}"
            try:
                thread = self._start(self._run, name)
            except (RuntimeError, MemoryError, OSError) as error:
                if not self._threads:
                    raise
                log.warning("service: thread %s cannot be started, others go on: %s", name, error)
                return
            self._threads.add(thread)

    def _run(self) -> None:
        """Run calls until the pool is closed. Whatever ends it, the calls are not left alone."""
        with self._changed:  # `_add_threads` has noted the thread
            thread = threading.current_thread()
            self._in_run += 1
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the pool goes on, whatever it is
            with contextlib.suppress(BaseException):  # such as no memory
                log.error("service: thread %s ended and is replaced: %r", thread.name, error)
        finally:
            with self._changed:
                self._in_run -= 1
                self._threads.discard(thread)
                self._replace_threads()

    def _replace_threads(self) -> None:
        """Start threads for the calls that are left; fail these calls if that is not possible."""
        try:
            self._add_threads()
        except BaseException as error:  # noqa: BLE001 - nobody else would hear of it
            while job := self._next():
                _finish(job[0], RuntimeError(f"No thread could be started for this call: {error}"))

    def _work(self) -> None:
        while True:
            with self._changed:
                while (job := self._next()) is None:
                    if self._closed:
                        return
                    self._changed.wait()
                self._running += 1
            try:
                _run_job(*job)
            finally:
                del job  # a waiting thread must not keep the last call's arguments
                with self._changed:
                    self._running -= 1


class _Rank(Executor):
    """One queue of a pool; see `DaemonPool.first`."""

    def __init__(self, pool: DaemonPool, jobs: deque[_Job]) -> None:
        self._pool = weakref.ref(pool)
        self._jobs = jobs

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """As `DaemonPool.submit`."""
        pool = self._pool()
        if pool is None:
            raise RuntimeError("The service is closed.")
        return pool.queue(self._jobs, fn, *args, **kwargs)


def _run_job(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        if not future.set_running_or_notify_cancel():
            return
        result = call()
        future.set_result(result)
    except BaseException as error:
        if future.done():  # a callback of the future has failed: the caller has its result
            raise
        _finish(future, error)


def _finish(future: Future[Any], error: BaseException) -> None:
    """End a future with an error; try again if that fails, for example without memory."""
    for _ in range(3):
        with contextlib.suppress(BaseException):
            if future.cancelled() or future.done():
                return
            if not future.running():
                future.set_running_or_notify_cancel()
            future.set_exception(error)
