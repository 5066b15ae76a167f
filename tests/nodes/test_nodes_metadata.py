"""The texts of ComfyUI's graph for a file: always JSON that any editor reads."""

from __future__ import annotations

import importlib.util
import json
import math
from typing import Any

import pytest

from devtools import ROOT

# The package of the nodes works in ComfyUI only; this module of it needs nothing else.
_SPEC = importlib.util.spec_from_file_location("metadata", ROOT / "nodes" / "metadata.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
texts_of = _MODULE.texts_of


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_number_that_json_does_not_have_becomes_null(number: float) -> None:
    """At any depth. Such a text would stop the editor from reading the file."""
    workflow = {"nodes": [{"widgets_values": [number, 1.5, (number,)]}]}
    texts = texts_of({"1": {"inputs": {"a": number}}}, {"workflow": workflow})
    assert json.loads(texts["workflow"]) == {"nodes": [{"widgets_values": [None, 1.5, [None]]}]}
    assert json.loads(texts["prompt"]) == {"1": {"inputs": {"a": None}}}


def test_value_that_no_saver_could_write_is_left_out() -> None:
    """The others are kept: another extension must not cost the workflow."""
    loop: list[Any] = []
    loop.append(loop)
    texts = texts_of({"1": "not a node"}, {"workflow": {}, "bytes": b"x", "loop": loop})
    assert texts == {"workflow": "{}", "prompt": '{"1": "not a node"}'}


def test_values_of_the_cache_are_left_out() -> None:
    """They are not part of the workflow, and may be secrets that a node watches."""
    prompt = {"1": {"class_type": "X", "inputs": {}, "is_changed": ["secret"]}}
    assert json.loads(texts_of(prompt, {})["prompt"]) == {"1": {"class_type": "X", "inputs": {}}}
