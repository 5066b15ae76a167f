"""The lines of a run in ComfyUI's own log."""

from __future__ import annotations

import re

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video

pytestmark = pytest.mark.comfy

#: ComfyUI's own lines about a run; newer ones are coloured.
COMFYUI = re.compile(r"(\x1b\[[0-9;]*m)*(got prompt|Prompt executed in .*|\s*)")
#: The coloured level before each line of newer ComfyUIs.
LEVEL = re.compile(r"(\x1b\[[0-9;]*m)*\[[A-Z]+\](\x1b\[[0-9;]*m)* ")


def new_lines(comfy: Comfy, before: str) -> list[str]:
    """The lines since then, without ComfyUI's own."""
    lines = [LEVEL.sub("", line) for line in comfy.log_text()[len(before) :].splitlines()]
    return [line for line in lines if not COMFYUI.fullmatch(line)]


def test_successful_run_logs_one_line(comfy: Comfy, gateway: Simulator) -> None:
    """The line names the charged task."""
    before = comfy.log_text()
    assert comfy.run(text_to_video("A quiet pear")).error is None
    lines = new_lines(comfy, before)
    assert len(lines) == 1, lines
    (line,) = lines
    assert re.search(rf"task {gateway.charged[-1]}: submitted \(request #\d+\)$", line)


def test_failing_feed_is_logged_once_with_the_task_id(comfy: Comfy, gateway: Simulator) -> None:
    """The line has the gateway's words."""
    before = comfy.log_text()
    gateway.fault("feed", status=502, body={"message": "worn out"}, times=2)
    assert comfy.run(text_to_video("A worn out pear")).error is None
    failures = [line for line in new_lines(comfy, before) if "worn out" in line]
    assert len(failures) == 1
    assert f"task {gateway.charged[-1]}: retry: " in failures[0]
