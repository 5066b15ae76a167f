"""Sizes of tests that may take long: small in the gate, large in the nightly run."""

from __future__ import annotations

import os
from typing import TypeVar

import hypothesis

Size = TypeVar("Size")

#: Set PIKA_TEST_LONG to any text to run the long forms. The workflow `nightly.yml` does.
LONG = bool(os.environ.get("PIKA_TEST_LONG"))


def sized(gate: Size, nightly: Size) -> Size:
    """One of two sizes, such as a number of tasks or of examples."""
    return nightly if LONG else gate


def at_most(examples: int) -> int:
    """A number of Hypothesis' examples, or that of the profile if it has fewer."""
    return min(examples, hypothesis.settings.default.max_examples)
