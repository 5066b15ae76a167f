"""The pool of daemon threads, and what of it lives on when the process exits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

import pytest

from devtools import ROOT
from pika_api.tasks.threads import DaemonPool
from pika_api.threads import start_thread
from support.waiting import until


class Stop(BaseException):
    """Nothing that is caught as an `Exception`."""


def test_calls_return_their_result_or_error() -> None:
    """As with any executor."""
    pool = DaemonPool(2, "test")
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(10)
    pool.shutdown()


def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    """Three calls meet at a barrier, again and again; a fourth one waits for a free thread."""
    pool = DaemonPool(3, "test")
    for _ in range(50):
        barrier = threading.Barrier(3)
        for future in [pool.submit(barrier.wait, 60) for _ in range(3)]:
            future.result(60)
    names = {pool.submit(threading.current_thread).result(10).name for _ in range(20)}
    assert names <= {"test_0", "test_1", "test_2"}
    pool.shutdown()


def test_shutdown_waits_for_running_calls_and_cancels_queued_ones() -> None:
    """Nothing runs after it, and nothing is accepted."""
    pool = DaemonPool(1, "test")
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(60)
        ended.set()

    pool.submit(work)
    queued = pool.submit(ended.clear)
    threading.Timer(0.1, release.set).start()
    pool.shutdown(cancel_futures=True)
    assert ended.is_set()
    with pytest.raises(CancelledError):
        queued.result(10)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(work)


def test_submits_come_first_and_media_last() -> None:
    """Of the calls that wait for a thread; each kind in its own order."""
    pool, release, order = DaemonPool(1, "test"), threading.Event(), list[str]()
    pool.submit(release.wait, 60)
    futures = []
    for number in range(2):
        futures.append(pool.last.submit(order.append, f"media {number}"))
        futures.append(pool.submit(order.append, f"feed {number}"))
        futures.append(pool.first.submit(order.append, f"submit {number}"))
    release.set()
    for future in futures:
        future.result(10)
    assert order == [
        f"{kind} {number}" for kind in ("submit", "feed", "media") for number in (0, 1)
    ]
    pool.shutdown()
    with pytest.raises(RuntimeError, match="closed"):
        pool.first.submit(order.append, "")


def test_running_call_does_not_keep_the_process_alive() -> None:
    """A `ThreadPoolExecutor` would be waited for."""
    script = (
        "import threading; from pika_api.tasks.threads import DaemonPool\n"
        "pool, started = DaemonPool(1, 'test'), threading.Event()\n"
        "pool.submit(lambda: (started.set(), threading.Event().wait()))\n"
        "started.wait(); print('end', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "end\n"


def test_threads_keep_no_arguments() -> None:
    """The arguments of a call that has ended can be collected."""
    import weakref

    class Argument:
        pass

    pool = DaemonPool(1, "test")
    argument = Argument()
    reference = weakref.ref(argument)
    pool.submit(lambda value: time.sleep(0), argument).result(10)
    del argument
    assert until(lambda: reference() is None)
    pool.shutdown()


# Threads that cannot be started, or end before their time.


class Threads:
    """Starts threads, except for the attempts with these numbers."""

    def __init__(self, *refused: int, error: BaseException | None = None) -> None:
        self.refused = refused
        self.error = error or RuntimeError("can't start new thread")
        self.attempts = 0
        self.started: list[threading.Thread] = []

    def __call__(self, run: Callable[[], None], name: str) -> threading.Thread:
        self.attempts += 1
        if self.attempts in self.refused:
            raise self.error
        self.started.append(start_thread(run, name))
        return self.started[-1]


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), MemoryError(), OSError()]
)
def test_call_whose_thread_cannot_be_started_fails_and_does_not_run_later(
    error: BaseException,
) -> None:
    """The caller hears it at once. The pool works again when the system has threads again."""
    pool, ran = DaemonPool(2, "test", Threads(1, error=error)), []
    with pytest.raises(type(error)):
        pool.submit(ran.append, 1)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    pool.shutdown()
    assert ran == []


def test_call_waits_for_another_thread_if_none_can_be_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As long as there is one. The log says so."""
    pool = DaemonPool(2, "test", Threads(2, 3, 4))
    release = threading.Event()
    first, second = pool.submit(release.wait, 60), pool.submit(divmod, 7, 2)
    assert not second.done()
    release.set()
    assert first.result(10)
    assert second.result(10) == (3, 1)
    assert "cannot be started" in caplog.text
    pool.shutdown()


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError(), Stop()])
def test_thread_that_ends_is_replaced(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """A callback of a future ends each thread in turn. Every call gets its result, as many run at
    once as before, and the log names the threads."""
    threads = Threads()
    pool = DaemonPool(2, "test", threads)

    def end(_: object) -> None:
        raise error

    for number in range(10):
        future: Future[int] = pool.submit(lambda number=number: (time.sleep(0.01), number)[1])
        future.add_done_callback(end)
        assert future.result(10) == number
    barrier = threading.Barrier(2)
    for future in [pool.submit(barrier.wait, 10) for _ in range(2)]:
        future.result(10)
    if not isinstance(error, Exception):  # the future itself logs those
        assert "ended and is replaced" in caplog.text
    pool.shutdown()
    assert not any(thread.is_alive() for thread in threads.started)


def test_queued_calls_fail_if_the_last_thread_ends_and_none_can_be_started() -> None:
    """Nobody waits for them in vain."""
    pool = DaemonPool(1, "test", Threads(2))
    release = threading.Event()
    first = pool.submit(release.wait, 60)

    def end(_: object) -> None:
        raise SystemExit

    first.add_done_callback(end)
    queued = [pool.submit(divmod, 7, 2) for _ in range(3)]
    release.set()
    for future in queued:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            future.result(10)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    pool.shutdown()


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), MemoryError(), Stop()])
def test_error_of_a_call_is_its_callers(error: BaseException) -> None:
    """Whatever it is; the thread goes on."""
    threads = Threads()
    pool = DaemonPool(1, "test", threads)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        pool.submit(fail).result(10)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    assert len(threads.started) == 1
    pool.shutdown()


def test_thread_that_ended_unnoticed_is_replaced() -> None:
    """It never came to its own code."""

    def start(run: Callable[[], None], name: str) -> threading.Thread:
        thread = start_thread(run if started else time.time, name)  # the first one does nothing
        started.append(thread)
        thread.join(0.1)
        return thread

    started: list[threading.Thread] = []
    pool = DaemonPool(1, "test", start)
    first, second = pool.submit(divmod, 7, 2), pool.submit(divmod, 9, 2)
    assert (first.result(10), second.result(10)) == ((3, 1), (4, 1))
    pool.shutdown()
