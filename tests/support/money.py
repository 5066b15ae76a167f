"""What the tests about money share: the ledger's rule, processes to kill, and short leases."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pika_api import progress
from pika_api.errors import PikaError, SubmitUnknown, TaskError
from pika_api.journal import Entry, Journal, State
from pika_api.tasks import ServicePolicy
from simulator import Simulator
from support.api import ServiceHarness, ask, run
from support.waiting import until

#: What becomes of the same request, queued again.
SENDS, REUSES, UNKNOWN = "sends again", "reuses", "is refused as unknown"
TESTS = Path(__file__).parent.parent
#: Seconds a lease lasts in these tests, so that a dead process is noticed soon.
LEASE = 0.5
#: Rows that say: there may be a task at the gateway that has no id here.
MAY_BE_CHARGED = frozenset({State.SENT, State.UNKNOWN})


#: Looks at rows that other workers hold more often.
POLICY = ServicePolicy(row_check=0.02)


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Users are looked out for more often."""
    patch.setattr(progress, "CHECK_EVERY", 0.02)


def rows(kept: Journal) -> list[Entry]:
    """All of a journal, with what was forgotten."""
    return kept.entries(limit=1_000_000, forgotten=True)


def charges(gateway: Simulator, begin: str = "") -> dict[str, list[str]]:
    """The ids of the charged tasks by their prompt, of those that begin so."""
    found: dict[str, list[str]] = {}
    for task in gateway.tasks.values():
        prompt = task.body["promptText"]
        if prompt.startswith(begin):
            found.setdefault(prompt, []).append(task.id)
    return found


def assert_nothing_lost(gateway: Simulator, kept: Journal, begin: str = "") -> None:
    """Every charged task is in the journal by its id, or a row of its prompt says «maybe»."""
    charged = charges(gateway, begin)  # before the rows: a row is there before its charge
    entries = rows(kept)
    ids = {entry.task_id for entry in entries}
    for prompt, made in charged.items():
        nameless = [task_id for task_id in made if task_id not in ids]
        maybe = [e for e in entries if e.prompt == prompt and e.state in MAY_BE_CHARGED]
        assert len(nameless) <= len(maybe), f"{nameless} of «{prompt}» lost: {entries}"


def assert_nothing_paid_twice(gateway: Simulator, kept: Journal, begin: str = "") -> None:
    """No prompt has two charges to one account, unless the earlier task failed, or was forgotten
    on purpose.

    One prompt must be one request and one seed: the seed is not on the wire.
    """
    charged = charges(gateway, begin)
    entries = rows(kept)
    for prompt, made in charged.items():
        mine = [entry for entry in entries if entry.prompt == prompt]
        failed = [entry.task_id for entry in mine if entry.state is State.FAILED]
        assert all(gateway.tasks[task_id or ""].state == "error" for task_id in failed)
        ids = {entry.task_id for entry in mine}
        nameless = sum(task_id not in ids for task_id in made)
        forgotten = [entry for entry in mine if entry.forgotten_at is not None]
        nameless -= sum(entry.state in MAY_BE_CHARGED for entry in forgotten)
        over = {*failed, *(entry.task_id for entry in forgotten)}
        live = Counter(gateway.tasks[task_id].account for task_id in made if task_id in ids - over)
        most = max(live.values(), default=0)
        assert most + max(nameless, 0) <= 1, f"«{prompt}» was paid twice: {made}, {mine}"


def assert_key_not_kept(key: str, home: Path) -> None:
    """No file in the folder holds the key, the journal's write-ahead log included.

    Another process looks: were a file of SQLite's opened and closed here, the locks that SQLite
    holds in this process would be gone, and the next process could pull the file from under it.
    """
    look = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--no-messages", key]
    found = subprocess.run([*look, str(home)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


class Stopped(Exception):
    """What ComfyUI's interrupt raises."""


def assert_complete_error(error: PikaError, entry: Any) -> None:
    """The error says what it means for the money, how to go on, and which task it is about."""
    text = str(error)
    assert error.charge_note
    assert error.charge_note in text
    assert error.hint
    if entry.task_id is not None:
        assert entry.task_id in text
    if isinstance(error, TaskError):
        assert error.task_id == entry.task_id


def queue_again(harness: ServiceHarness, charged: list[str], then: str) -> None:
    """Queue the same request again, with no fault left."""
    harness.gateway.clear_faults()
    posts = harness.posts
    if then == UNKNOWN:
        with pytest.raises(SubmitUnknown, match="may have been accepted"):
            run(harness.service.submit(ask()))
        assert harness.posts == posts
        return
    found = run(harness.service.submit(ask()))
    assert found.reused == (then == REUSES)
    assert harness.posts == posts + (then == SENDS)
    assert (found.task_id in charged) == (then == REUSES)


def _hold(process: subprocess.Popen[str], *, still: bool) -> None:
    """Let a process stand still, or go on."""
    if sys.platform == "win32":
        import ctypes

        ntdll = ctypes.windll.ntdll
        act = ntdll.NtSuspendProcess if still else ntdll.NtResumeProcess
        act(ctypes.c_void_p(int(process._handle)))
    else:
        process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)


class Worker:
    """A process with a service of its own, started ahead of its use."""

    def __init__(self) -> None:
        paths = os.pathsep.join((str(TESTS), str(TESTS.parent)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.money_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))
        self._answers.put({"gone": True})

    def open(
        self, gateway: Simulator, home: Path, clock: float = 0.0, database: str = ""
    ) -> Worker:
        """Give it a gateway and a journal, or others than before; returns itself.

        Its wall clock is wrong by `clock` seconds. The journal is a file in `home`, or in the
        `database`.
        """
        values = {"key": gateway.key, "base_url": gateway.url, "home": str(home), "lease": LEASE}
        values["database"] = database
        self.tell("open", clock=clock, **values)
        assert self.answer() == {"open": True}
        return self

    def tell(self, do: str, **given: Any) -> None:
        """Send a command, and go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self._process.stdin.flush()

    def answer(self, timeout: float = 120.0) -> dict[str, Any]:
        """Its next answer; ``{"gone": True}`` if it has died."""
        return self._answers.get(timeout=timeout)

    def silent(self) -> bool:
        """Whether it has not answered yet."""
        return self._answers.empty()

    def stop(self) -> None:
        """Hold it where it stands."""
        _hold(self._process, still=True)

    def go_on(self) -> None:
        """Let it go on."""
        _hold(self._process, still=False)

    def kill(self) -> None:
        """SIGKILL: nothing of it is cleaned up."""
        self._process.kill()
        self._ended()

    def close(self) -> None:
        """End it in an orderly way."""
        assert self._process.stdin is not None
        self.go_on()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._ended()

    def _ended(self) -> None:
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()


def hold(worker: Worker, harness: ServiceHarness) -> None:
    """Stop a process while it writes nothing: the journal's file would be locked for all."""

    def held() -> bool:
        worker.stop()
        if harness.database:
            if _is_busy(harness.database):
                worker.go_on()
                return False
            return True
        with contextlib.closing(
            sqlite3.connect(harness.home / "journal.sqlite3", timeout=0.0)
        ) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.go_on()
                return False
        return True

    until(held, what="a moment without a write")


def _is_busy(database: str) -> bool:
    """Whether another connection to a PostgreSQL database is in a transaction."""
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND state <> 'idle'"""
        return bool(connection.exec_driver_sql(query).scalar())


@contextlib.contextmanager
def workers(count: int) -> Iterator[list[Worker]]:
    """Some processes, started side by side."""
    made = [Worker() for _ in range(count)]
    try:
        yield made
    finally:
        for worker in made:
            worker.close()
