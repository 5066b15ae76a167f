"""The log: each line begins with its subject, and a normal run is one line."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import ROOT
from pika_api.errors import FeedError, SubmitUnknown
from support.api import ServiceHarness, run

SOURCES = [*sorted((ROOT / "pika_api").rglob("*.py")), *sorted((ROOT / "nodes").rglob("*.py"))]
#: How a line may begin, and how the expression of its first value ends in the source; empty where
#: that may be anything.
BEGINNINGS = {
    "task %s: ": ("task_id", "task.id"),
    "request #%d: ": ("entry.id",),
    "node %s: ": ("node_id",),
    "editor: ": ("request.method",),
    **dict.fromkeys(("settings: ", "journal: ", "account: ", "service: ", "file: "), ("",)),
}


def calls(path: Path) -> Iterator[tuple[int, list[ast.expr]]]:
    """The log calls of a file: line number, and the arguments from the text on."""
    for item in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (
            isinstance(item, ast.Call)
            and isinstance(item.func, ast.Attribute)
            and isinstance(item.func.value, ast.Name)
            and item.func.value.id == "log"
            and item.func.attr not in ("setLevel", "addFilter")
        ):
            yield item.lineno, item.args[item.func.attr == "log" :]


CALLS = [(path, line, args) for path in SOURCES for line, args in calls(path)]


def test_log_calls_are_found() -> None:
    """Otherwise the tests below would check nothing."""
    assert len(CALLS) > 10


@pytest.mark.parametrize(
    ("path", "line", "args"), CALLS, ids=[f"{path.stem}:{line}" for path, line, _ in CALLS]
)
def test_line_begins_with_its_subject(path: Path, line: int, args: list[ast.expr]) -> None:
    """The id of the task, the number of the request, and so on. A line has as many values as
    placeholders: a log call must not fail while money is at stake.
    """
    text = args[0]
    assert isinstance(text, ast.Constant)
    assert isinstance(text.value, str)
    beginning = next(filter(text.value.startswith, BEGINNINGS), None)
    assert beginning is not None, text.value
    values = [ast.unparse(value) for value in args[1:]]
    assert values[0].endswith(BEGINNINGS[beginning])
    assert len(values) == len(re.findall(r"%(?:\.\d)?[sdfr]", text.value))
    if any(re.search(r"\btask_id\b|\btask\.id\b", value) for value in values):
        assert beginning == "task %s: "


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_there_is_one_logger(path: Path) -> None:
    """It is created in one module, and only the command line prints."""
    text = path.read_text("utf-8")
    assert ("getLogger" in text) == (path.name == "log.py")
    prints = path.name == "__main__.py" or path.parent.name == "cli"
    assert prints or not re.search(r"^\s*print\(", text, re.MULTILINE)


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """The messages of the pack, from this level on."""
    records = [record for record in caplog.records if record.name == "pika"]
    return [record.getMessage() for record in records if record.levelno >= level]


def test_normal_run_is_one_line(harness: ServiceHarness, caplog: pytest.LogCaptureFixture) -> None:
    """The charge. A second run of the same request adds no line."""
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        task_id = harness.submit()
        run(harness.service.collect(task_id))
    assert lines(caplog) == [f"task {task_id}: submitted (request #1)"]
    messages = lines(caplog, logging.DEBUG)
    assert f"task {task_id}: reused, no new charge" in messages
    assert all(line.startswith(f"task {task_id}: ") for line in messages)


def test_errors_are_logged_with_the_task_id(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for a feed that fails several times, and one for each interrupted download."""
    caplog.set_level(logging.INFO)
    task_id = harness.submit()
    harness.gateway.fault("feed", status=502, times=2)
    harness.gateway.fault("media", status=500)
    run(harness.service.collect(task_id))
    first, feed, download = lines(caplog)
    assert first == f"task {task_id}: submitted (request #1)"
    assert feed.startswith(f"task {task_id}: retry: HTTP 502")
    assert download.startswith(f"task {task_id}: HTTP 500 from")


def test_request_without_an_id_is_logged_with_its_number(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway asks to send it later."""
    caplog.set_level(logging.INFO)
    harness.gateway.fault("submit", status=429, headers={"Retry-After": "0"})
    task_id = harness.submit()
    postponed, submitted = lines(caplog)
    assert postponed.startswith("request #1: not accepted, retry in ")
    assert submitted == f"task {task_id}: submitted (request #1)"


def test_line_breaks_of_the_gateway_do_not_forge_lines(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway cannot write a line of its own into the log."""
    caplog.set_level(logging.INFO)
    task_id = harness.submit()
    message = "busy\ntask 42: saved\r\n\tas x"
    harness.gateway.fault("feed", status=502, body={"message": message})
    with pytest.raises(FeedError):
        run(harness.service.status(task_id))
    run(harness.service.wait(task_id))
    harness.gateway.fault("feed", status=502, body={"message": message})
    run(harness.service.wait(task_id))
    assert len(lines(caplog)) == 2
    assert all("\n" not in line and "\r" not in line for line in lines(caplog))
    assert "busy task 42: saved as x" in lines(caplog)[1]


def test_unknown_submit_is_not_logged_twice(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """ComfyUI logs the error of the node."""
    caplog.set_level(logging.INFO)
    harness.gateway.fault("submit", status=500)
    with pytest.raises(SubmitUnknown):
        harness.submit()
    assert lines(caplog) == []
