"""The seed of PikaGenerate: 0 to 2**64 - 1, exact over a typed workflow and over a link."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.comfy import Comfy, Graph, Run
from support.graphs import error_of, generate, node

pytestmark = pytest.mark.comfy

MAX = 2**64 - 1
#: Pairs that JavaScript cannot tell apart, and the limits of 32, 53, 63 and 64 bits.
SEEDS = (0, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, MAX - 1, MAX)


@pytest.fixture
def nothing_sent(gateway: Simulator) -> Iterator[None]:
    """Not one request reaches the gateway during the test."""
    before = len(gateway.log)
    yield
    assert len(gateway.log) == before


def linked(literal: str, prompt: str) -> Graph:
    """A graph whose seed arrives over a link, as this Python literal."""
    return {"1": node("ProbeValue", literal=literal), "2": generate(prompt, seed=["1", 0])}


def text_of(run: Run, node_id: str) -> str:
    """The text on a node."""
    assert run.error is None, run.error
    (text,) = run.outputs[node_id]["text"]
    return str(text)


@pytest.mark.parametrize("kind", ["{}", "numpy.int64({})"])
def test_every_seed_is_a_take_of_its_own(comfy: Comfy, gateway: Simulator, kind: str) -> None:
    """Seeds of 0 to 2**64 - 1 in a typed workflow are as many tasks, and the journal has exactly
    these takes. The same seeds over a link reuse them, as Python's integers or as numpy's."""
    prompt = f"Each seed over a link {kind}"
    seeds = [seed for seed in SEEDS if kind == "{}" or seed < 2**63]
    before = len(gateway.charged)
    for seed in seeds:
        text = text_of(comfy.run({"1": generate(prompt, seed=seed)}), "1")
        assert (f"seed {seed}" in text) == (seed > 2**53 - 1), text
    assert len(gateway.charged) - before == len(seeds)
    with closing(Journal(sqlite_url(comfy.base_dir / "user" / "__pika"))) as journal:
        takes = [entry.take for entry in journal.entries(limit=99) if entry.prompt == prompt]
    assert takes == seeds[::-1]
    for seed in seeds:
        text = text_of(comfy.run(linked(kind.format(seed), prompt)), "2")
        assert "no new charge" in text
    assert len(gateway.charged) - before == len(seeds)


@pytest.mark.usefixtures("nothing_sent")
@pytest.mark.parametrize(
    "value",
    [-1, MAX + 1, 2**53 * -1, float(2**64), 1e300, "", "seven", "7.5",
     None, {"seed": 7}],
    ids=repr,
)  # fmt: skip
def test_invalid_typed_seed_is_refused(comfy: Comfy, value: Any) -> None:
    """ComfyUI refuses the workflow, and names the input."""
    assert "seed" in error_of(comfy, {"1": generate(seed=value)})


@pytest.mark.usefixtures("nothing_sent")
@pytest.mark.parametrize(
    "literal",
    ["-1", str(MAX + 1), str(-(2**64)), hex(16**9000), "7.0", "7.5", "1e19", "True", "False",
     "'7'", json.dumps("7" * 100_000), "None", "[7]", "{'seed': 7}"],
    ids=lambda literal: literal[:20],
)  # fmt: skip
def test_invalid_linked_seed_is_refused(comfy: Comfy, literal: str) -> None:
    """The error names the input and the range, and is short whatever the value."""
    message = error_of(comfy, linked(literal, "Never sent"))
    assert message.startswith("seed: ")
    assert f"Use 0 to {MAX}." in message
    assert len(message) < 300
