"""What a run leaves in ComfyUI's own log."""

from __future__ import annotations

import re

import pytest

from simulator import Simulator
from support.comfy import Comfy
from support.graphs import text_to_video

pytestmark = pytest.mark.comfy

#: What ComfyUI itself says of a run.
USUAL = re.compile(r"got prompt|Prompt executed in .*|\s*")
#: What newer ones put before each line: its level, in colour.
LEVEL = re.compile(r"(\x1b\[[0-9;]*m)*\[[A-Z]+\](\x1b\[[0-9;]*m)* ")


def said(comfy: Comfy, before: str) -> list[str]:
    """What has come to the log since, but for ComfyUI's own."""
    lines = [LEVEL.sub("", line) for line in comfy.log_text()[len(before) :].splitlines()]
    return [line for line in lines if not USUAL.fullmatch(line)]


def test_a_run_that_goes_well_is_one_line(comfy: Comfy, gateway: Simulator) -> None:
    """Of what was charged."""
    before = comfy.log_text()
    assert comfy.run(text_to_video("A quiet pear")).error is None
    (line,) = said(comfy, before)
    assert re.search(rf"task {gateway.charged[-1]}: submitted \(request #\d+\)$", line)


def test_trouble_is_told_with_the_id(comfy: Comfy, gateway: Simulator) -> None:
    """A feed that fails now and then is in the log, under the task's id."""
    before = comfy.log_text()
    gateway.fault("feed", status=502, body={"message": "worn out"}, times=2)
    try:
        assert comfy.run(text_to_video("A worn out pear")).error is None
    finally:
        gateway.clear_faults()
    trouble = [line for line in said(comfy, before) if "worn out" in line]
    assert len(trouble) == 1
    assert f"task {gateway.charged[-1]}: retry: " in trouble[0]
