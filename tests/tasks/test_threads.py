"""The pool of daemon threads, and what of it lives on when the process exits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import pytest

from devtools import ROOT
from pika_api.tasks.threads import DaemonPool
from support.waiting import until


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
