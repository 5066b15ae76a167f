"""A batch on Ray, with the journal in a real PostgreSQL: an actor that is killed costs nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch.test_batch import prompts, table
from cli.test_cli import Shell
from devtools import ROOT
from pika_api.batch import read_rows
from pika_api.journal import Journal, State
from simulator import Simulator
from support.api import KEY
from support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]
pytest.importorskip("ray", reason="Ray is not installed in this environment")

ROWS = 50
ACTORS = 2
WINDOW = 6


def actors_of(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """The actors of a batch, which Ray names after their class."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "ray::Actor" in " ".join(child.cmdline())]


def test_killed_actor_costs_nothing(database: str, tmp_path: Path) -> None:
    """Two actors, 50 tasks, one SIGKILL in the middle.

    Nothing is charged twice, what was running is reused, and only requests that were being sent
    may be unknown: they are in the result and in the exit code. A second start sends nothing.
    """
    with Simulator(key=KEY, task_seconds=1.0, clip_seconds=0.1, height=64) as gateway:
        shell = Shell(gateway, tmp_path / "home")
        shell.env |= {"PIKA_JOURNAL_URL": database, "PYTHONDONTWRITEBYTECODE": "1"}
        source, target = table(tmp_path, *prompts(ROWS)), tmp_path / "out.jsonl"
        clips = tmp_path / "clips"
        command = ["batch", source, target, "--ray", "local", "--ray-actors", ACTORS]
        command += ["--window", WINDOW, "--output", f"file://{clips}"]
        arguments = [str(part) for part in command]
        process = subprocess.Popen(
            [sys.executable, "-m", "pika_api", *arguments],
            cwd=ROOT,
            env=shell.env,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(gateway.charged) >= ROWS // 3, timeout=120, what="a third of the tasks")
        victim, _other = actors_of(process)
        victim.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=240)
        assert "Traceback" not in errors, errors
        assert KEY not in errors
        assert process.returncode in (0, 3), errors

        rows = list(read_rows(target))
        unknown = [row for row in rows if row["state"] == "unknown"]
        assert {row["state"] for row in rows} <= {"saved", "unknown"}, rows
        assert len(rows) == ROWS
        assert len(unknown) <= WINDOW
        assert process.returncode == (3 if unknown else 0)
        assert len({task.body["promptText"] for task in gateway.tasks.values()}) == len(
            gateway.charged
        )
        files = {row["file"] for row in rows if row["state"] == "saved"}
        assert {f"file://{path}" for path in clips.iterdir()} == files
        assert len(files) == ROWS - len(unknown)
        with closing(Journal(database)) as journal:
            entries = journal.entries(limit=99)
        assert [entry.state for entry in entries].count(State.SAVED) == len(files)
        assert len(entries) == ROWS

        posts = len(gateway.requests("POST"))
        assert shell(*arguments[:3], "--output", f"file://{clips}", code=None).returncode == (
            3 if unknown else 0
        )
        assert len(gateway.requests("POST")) == posts
