"""The journal's file is lost, damaged or cannot grow, at each step of a submit.

A request is sent only while its entry is in the file at the journal's path, and the id of a task
that was charged is in the journal or in the error.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from devtools import ROOT
from pika_api.errors import JournalError, PikaError
from pika_api.journal import Claim, Entry, Intent, Journal, Limits
from pika_api.journal.limits import NO_LIMITS
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.api import KEY, ServiceHarness, ask, run
from support.money import MAY_BE_CHARGED, POLICY, TESTS, rows
from support.sizes import sized
from support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there"),
]

Damage = Callable[[Path], None]


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file():
            file.unlink()


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


def restore(path: Path) -> None:
    """A backup from before the request."""
    shutil.copyfile(path.parent.with_name("backup"), path.with_name("restored"))
    path.with_name("restored").replace(path)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    script = f"open({str(path)!r}, 'wb').write(b'garbage' * 9999)"
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


#: The file at the path is another one afterwards, or none.
REPLACED: list[Damage] = [delete, delete_all, delete_folder, move_away, restore]
#: It is the same file, which is no journal any more.
DAMAGED: list[Damage] = [truncate, overwrite]
BEFORE_SENDING = ["before the claim", "after the claim", "before it is sent"]
AFTER_SENDING = ["once it is sent", "during the POST"]


class Damaging(Journal):
    """Something happens to its file at one step of a submit."""

    def __init__(self, url: Any, moment: str, damage: Callable[[], None]) -> None:
        super().__init__(url, lease=0.5)
        self.moment = moment
        self.damage = damage
        self.is_struck = threading.Event()
        if moment != "during the POST":
            self.is_struck.set()

    def at(self, moment: str) -> None:
        if moment == self.moment:
            self.moment = ""
            self.damage()
            self.is_struck.set()

    def record_task(self, entry: Entry, task_id: str) -> Entry:
        assert self.is_struck.wait(30)  # on a busy machine, the answer comes first
        return super().record_task(entry, task_id)

    def claim(self, intent: Intent, owner: str, limits: Limits = NO_LIMITS) -> Claim:
        self.at("before the claim")
        claim = super().claim(intent, owner, limits)
        self.at("after the claim")
        return claim

    def mark_sent(self, entry_id: int, owner: str) -> bool:
        self.at("before it is sent")
        sent = super().mark_sent(entry_id, owner)
        self.at("once it is sent")
        return sent


@pytest.fixture
def case(quick: Simulator, tmp_path: Path) -> Iterator[ServiceHarness]:
    """Services on a journal with an earlier task, of which there is a backup."""
    policy = replace(POLICY, record_retries=(0.05,))
    harness = ServiceHarness(quick, tmp_path / "home", policy, lease=0.5)
    with closing(harness.another().journal) as journal:
        journal.adopt("earlier", quick.url, "k")
    with (
        closing(sqlite3.connect(harness.home / "journal.sqlite3")) as source,
        closing(sqlite3.connect(tmp_path / "backup")) as target,
    ):
        source.backup(target)
    yield harness
    harness.close()


def submit(case: ServiceHarness, moment: str, damage: Damage) -> str | PikaError:
    """Submit a request, with the damage at that moment: its task id, or its error."""
    path = case.home / "journal.sqlite3"
    journal = Damaging(sqlite_url(case.home), moment, lambda: damage(path))
    journal.entries()  # it is open
    service = case.another(journal=journal)
    if moment == "during the POST":
        case.gateway.fault("submit", delay=0.5)

        def strike() -> None:
            until(lambda: case.posts, what="the POST")
            journal.at(moment)

        threading.Thread(target=strike).start()
    try:
        return run(service.submit(ask())).task_id
    except PikaError as error:
        return error


def in_journal(case: ServiceHarness) -> list[str | None]:
    """The task ids in the file at the journal's path, as a new process reads it."""
    with closing(Journal(sqlite_url(case.home))) as journal:
        return [entry.task_id for entry in rows(journal)]


@pytest.mark.parametrize("moment", BEFORE_SENDING)
@pytest.mark.parametrize("damage", REPLACED)
def test_request_is_entered_in_the_new_file_before_it_is_sent(
    case: ServiceHarness, moment: str, damage: Damage
) -> None:
    """It becomes one task, which is in the file at the path, and the next submit reuses it."""
    task_id = submit(case, moment, damage)
    assert case.gateway.charged == [task_id]
    assert case.posts == 1
    assert task_id in in_journal(case)
    assert run(case.another().submit(ask())).task_id == task_id
    assert case.posts == 1


@pytest.mark.parametrize("moment", AFTER_SENDING)
@pytest.mark.parametrize("damage", REPLACED)
def test_task_is_in_the_new_file_if_that_replaced_the_old_one_during_the_post(
    case: ServiceHarness, moment: str, damage: Damage
) -> None:
    """With its request: one charge, and the next submit reuses it."""
    task_id = submit(case, moment, damage)
    assert case.gateway.charged == [task_id]
    assert task_id in in_journal(case)
    assert run(case.another().submit(ask())).task_id == task_id
    assert case.gateway.charged == [task_id]


@pytest.mark.parametrize("queued", ["once", "again meanwhile"])
def test_backup_of_the_moment_before_sending_is_not_sent_again(
    case: ServiceHarness, tmp_path: Path, queued: str
) -> None:
    """A backup says that the request waits to be sent. It is restored while the answer to the
    request is awaited: the task belongs to that entry, or to the one that another process has
    entered meanwhile."""
    backup = tmp_path / "waiting"
    path = case.home / "journal.sqlite3"

    class BackedUp(Journal):
        def mark_sent(self, entry_id: int, owner: str) -> bool:
            if queued == "once":
                self.backup(backup)
            return super().mark_sent(entry_id, owner)

    def restore_it() -> None:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if queued == "once":
            backup.replace(path)
        else:
            path.unlink()
            with closing(Journal(sqlite_url(case.home), lease=0.5)) as journal:
                (intent,) = intents
                journal.adopt("in the way", case.gateway.url, "k")
                journal.claim(intent, "another process")

    intents: list[Intent] = []

    class Noted(BackedUp):
        def claim(self, intent: Intent, owner: str, limits: Limits = NO_LIMITS) -> Claim:
            intents.append(intent)
            return super().claim(intent, owner, limits)

    case.gateway.fault("submit", delay=1.5)
    journal = Noted(sqlite_url(case.home), lease=0.5)
    service = case.another(journal=journal)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: run(service.submit(ask())))
        until(lambda: case.posts == 1, what="the POST")
        restore_it()
        task_id = waiting.result(60).task_id
    time.sleep(0.6)  # any lease has lapsed
    found = run(case.another().submit(ask()))
    assert (found.task_id, found.reused, case.posts) == (task_id, True, 1)
    journal.close()


@pytest.mark.parametrize("damage", REPLACED, ids=lambda damage: damage.__name__)
def test_file_that_is_replaced_during_the_commit_of_the_id(
    case: ServiceHarness, damage: Damage
) -> None:
    """The id went into a file that nobody finds again. It is recorded once more, in the new one."""
    # A long lease is not renewed meanwhile: the renewal and the id could be one transaction.
    journal = Journal(sqlite_url(case.home), lease=600.0)
    service = case.another(journal=journal)
    journal.entries()
    awaited = threading.Event()

    def during_commit(_connection: object) -> None:
        if awaited.is_set() and threading.current_thread().name.startswith("pika-network"):
            awaited.clear()
            damage(case.home / "journal.sqlite3")

    sa.event.listen(journal._database._engine, "commit", during_commit)
    case.gateway.fault("submit", delay=0.5)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: run(service.submit(ask())))
        until(lambda: case.posts == 1, what="the POST")
        awaited.set()
        task_id = waiting.result(60).task_id
    assert not awaited.is_set()
    found = run(case.another().submit(ask()))
    assert (found.task_id, found.reused, case.posts) == (task_id, True, 1)
    journal.close()


@pytest.mark.parametrize("moment", BEFORE_SENDING)
@pytest.mark.parametrize("damage", DAMAGED)
def test_nothing_is_sent_with_a_damaged_journal(
    case: ServiceHarness, moment: str, damage: Damage
) -> None:
    """The error says so, also the second time. With a restored file it works."""
    error = submit(case, moment, damage)
    assert isinstance(error, JournalError)
    assert "Nothing is sent" in str(error)
    with pytest.raises(JournalError, match="Nothing is sent"):
        run(case._services[-1].submit(ask()))
    assert case.posts == 0
    restore(case.home / "journal.sqlite3")
    task_id = run(case._services[-1].submit(ask())).task_id
    assert in_journal(case)[::-1] == ["earlier", task_id]


@pytest.mark.parametrize("moment", AFTER_SENDING)
@pytest.mark.parametrize("damage", DAMAGED)
def test_id_is_told_and_recorded_later_if_the_journal_is_damaged_during_the_post(
    case: ServiceHarness, moment: str, damage: Damage
) -> None:
    """One charge at most. Its id is in the error, and in the journal once a backup is restored."""
    error = submit(case, moment, damage)
    assert isinstance(error, PikaError)
    assert len(case.gateway.charged) <= 1
    for task_id in case.gateway.charged:
        assert error.charged is True
        assert task_id in str(error)
    restore(case.home / "journal.sqlite3")
    case.gateway.clear_faults()
    task_id = run(case._services[-1].submit(ask())).task_id
    assert case.gateway.charged == [task_id]
    assert task_id in in_journal(case)


# A disk that is full at each write: after that many more bytes.

#: Submits one request while no file may become larger than a limit, or the disk has no more room.
CHILD = """
import asyncio, json, resource, sys
from dataclasses import replace
from pathlib import Path
from pika_api.errors import PikaError
from pika_api.journal import Journal
from pika_api.request import GenerateRequest
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, ServicePolicy
home, url, key, limit = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
journal = Journal(sqlite_url(home), lease=0.5)
if limit:
    journal.entries()  # it is open before
policy = ServicePolicy(record_retries=(0.05,))
service = Service(Settings(api_key=key, base_url=url), journal, home / "output", policy=policy)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    answer = {"task_id": asyncio.run(service.submit(GenerateRequest("full"))).task_id}
except PikaError as error:
    answer = {"error": type(error).__name__, "text": str(error), "charged": error.charged}
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps(answer), flush=True)
service.close()
journal.close()
"""


def submit_in_child(home: Path, gateway: Simulator, limit: int) -> dict[str, Any]:
    """What a process answers that submits one request; 0 for no limit of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(home), gateway.url, gateway.key, str(limit)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def check(home: Path, gateway: Simulator, answer: dict[str, Any]) -> bool:
    """Check the outcome of a submit with a full disk; return whether it succeeded."""
    charged = gateway.charged
    with closing(Journal(sqlite_url(home))) as journal:
        entries = rows(journal)
    if "task_id" in answer:
        assert [entry.task_id for entry in entries] == charged == [answer["task_id"]]
        return True
    assert answer["error"] == "JournalError"
    assert len(charged) <= 1
    if not charged:
        assert "Nothing" in answer["text"]
        return False
    # The id is in the error, and the entry keeps the same request from being sent again.
    assert charged[0] in answer["text"]
    (entry,) = entries
    assert entry.task_id == charged[0] or entry.state in MAY_BE_CHARGED
    return False


def test_file_that_cannot_grow_at_any_write(tmp_path: Path) -> None:
    """From no further byte to enough of them: nothing is charged without its entry
    on the disk, and no charge is lost or made twice."""
    outcomes = []
    for limit in range(4096, 4096 * 60, sized(8, 4) * 4096):
        home = tmp_path / str(limit)
        with closing(Journal(sqlite_url(home))) as journal:
            journal.entries()
        with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as gateway:
            answer = submit_in_child(home, gateway, limit)
            outcomes.append((check(home, gateway, answer), len(gateway.charged)))
            if outcomes[-1][0]:
                break
            again = submit_in_child(home, gateway, 0)
            assert len(gateway.charged) <= 1
            assert "task_id" in again or "may have been accepted" in again["text"]
    assert outcomes[0] == (False, 0)
    assert outcomes[-1] == (True, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The mount point of a file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("only an administrator may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=60)


def test_disk_that_is_full_at_any_write(small_disk: Path) -> None:
    """As above, with a real disk that has so many free pages left."""
    outcomes = []
    for pages in range(0, 100, sized(10, 5)):
        home = small_disk / "home"
        shutil.rmtree(home, ignore_errors=True)
        with closing(Journal(sqlite_url(home))) as journal:
            journal.entries()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        os.truncate(filler, max(filler.stat().st_size - pages * 4096, 0))
        with Simulator(key=KEY, task_seconds=0.0, clip_seconds=0.2, height=64) as gateway:
            answer = submit_in_child(home, gateway, 0)
            filler.unlink()
            outcomes.append((check(home, gateway, answer), len(gateway.charged)))
            if outcomes[-1][0]:
                break
            again = submit_in_child(home, gateway, 0)
            assert len(gateway.charged) <= 1
            assert "task_id" in again or "may have been accepted" in again["text"]
    assert outcomes[0] == (False, 0)
    assert outcomes[-1] == (True, 1)
