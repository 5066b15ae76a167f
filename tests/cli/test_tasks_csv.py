"""``tasks --csv`` and ``--json`` with their filters, as a program or a spreadsheet reads them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from devtools import ROOT
from pika_api.cli import main
from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from support.api import Clock, intent

DAY = 86400
#: Noon of the last three days, in the computer's time zone.
NOONS = [time.mktime((2026, 11, day, 12, 0, 0, 0, 0, -1)) for day in (26, 27, 28)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A journal with a task a day, a refused request and a hostile prompt."""
    clock = Clock()
    with closing(Journal(sqlite_url(tmp_path), clock)) as journal:
        for number, clock.now in enumerate(NOONS, 1):
            prompt = f"=HYPERLINK({number})"
            request = {"promptText": prompt, "model": "1.5"}
            journal.claim(intent(f"f{number}", prompt=prompt, request=request, price=0.25), "me")
            journal.mark_sent(number, "me")
            journal.record_task(journal.get(number), f"task-{number}")
        journal.mark_failed(2, "moderation")
        journal.forget(3)
        journal.claim(intent("refused", prompt="梨"), "me")
        journal.mark_rejected(4, "me", "no")
    return tmp_path


def run(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints."""
    assert main(["--home", str(home), "tasks", *arguments]) == 0
    return capsys.readouterr().out


def csv_rows(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The ids of the tasks in the CSV file that it prints."""
    text = run(home, capsys, "--csv", *arguments).removeprefix("\ufeff")
    return [row["task_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_csv_is_a_file_for_spreadsheets(home: Path) -> None:
    """In a process of its own, whatever the encoding of its console: UTF-8 with a byte order mark,
    CRLF line ends, and no cell that is a formula."""
    done = subprocess.run(
        [sys.executable, "-m", "pika_api", "--home", str(home), "tasks", "--csv"],
        cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b'\xef\xbb\xbf"number","created"')
    assert b"\r\r\n" not in done.stdout
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig"), newline="")))
    assert [row["task_id"] for row in rows] == ["task-3", "task-2", "task-1"]
    assert [row["prompt"] for row in rows] == [f"'=HYPERLINK({number})" for number in (3, 2, 1)]
    assert {row["price"] for row in rows} == {"0.25"}


def test_filters_of_the_ledger(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A date of ``--until`` includes its day; a time has a zone or is local. All tasks are written
    without ``--limit``, forgotten ones too."""
    assert csv_rows(home, capsys) == ["task-3", "task-2", "task-1"]
    assert csv_rows(home, capsys, "--since", "2026-11-27") == ["task-3", "task-2"]
    assert csv_rows(home, capsys, "--until", "2026-11-27") == ["task-2", "task-1"]
    day = ("--since", "2026-11-27", "--until", "2026-11-27")
    assert csv_rows(home, capsys, *day) == ["task-2"]
    assert csv_rows(home, capsys, "--until", "2026-11-27T12:00") == ["task-1"]
    noon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOONS[1]))
    assert csv_rows(home, capsys, "--since", noon) == ["task-3", "task-2"]
    assert csv_rows(home, capsys, "--state", "failed") == ["task-2"]
    assert csv_rows(home, capsys, "--state", "failed", "--state", "submitted") == [
        "task-3",
        "task-2",
        "task-1",
    ]
    assert csv_rows(home, capsys, "--limit", "1") == ["task-3"]


def test_json_has_the_same_rows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a filter it is the ledger. Without one it lists the journal as before: refused requests
    too, and forgotten ones with ``--all`` only."""
    lines = run(home, capsys, "--json", "--since", "2026-11-26").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["task_id"] for row in rows] == ["task-3", "task-2", "task-1"]
    assert rows[0]["prompt"] == "=HYPERLINK(3)"
    assert (rows[0]["model"], rows[0]["effect"], rows[0]["take"]) == ("1.5", "", 0)
    assert rows[0]["gateway"] == "https://api.gpt.ge"
    assert rows[0]["forgotten_at"]
    assert rows[0]["sent_at"] == NOONS[2]
    rows = [json.loads(line) for line in run(home, capsys, "--json").splitlines()]
    assert [row["number"] for row in rows] == [4, 2, 1]
    refused = run(home, capsys, "--json", "--state", "refused").splitlines()
    assert [json.loads(line)["number"] for line in refused] == [4]
    assert [line.split()[0] for line in run(home, capsys, "--all").splitlines()] == [
        "#4",
        "#3",
        "#2",
        "#1",
    ]
    assert "#2" in run(home, capsys, "--state", "failed")


def test_file_is_new_or_nothing_is_written(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An existing file is not overwritten: it may be the journal."""
    target = tmp_path / "ledger.csv"
    assert run(home, capsys, "--csv", str(target)) == ""
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    before = target.read_bytes()
    for path in (target, home / "journal.sqlite3"):
        assert main(["--home", str(home), "tasks", "--csv", str(path)]) == 1
        assert "exists already" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert main(["--home", str(home), "tasks", "--csv", str(tmp_path / "no" / "a.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "99999-01-01", "", "2026-11-31"])
def test_wrong_date_is_an_error(home: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    """It names the option and shows a right one."""
    with pytest.raises(SystemExit) as end:
        main(["--home", str(home), "tasks", "--since", value])
    assert end.value.code == 2
    words = capsys.readouterr().err
    assert "--since" in words
    assert "2026-11-01" in words
