"""Formatting of values, and cleaning of text from outside."""

from __future__ import annotations

import pytest

from pika_api.text import (
    MAX_MESSAGE,
    format_duration,
    format_size,
    is_task_id,
    mask_key,
    shorten,
    without_queries,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h 0 min"),
     (3900, "1 h 5 min")],
)  # fmt: skip
def test_duration_is_formatted(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(512, "0.5 kB"), (99_999, "100.0 kB"), (3_200_000, "3.2 MB"), (1_000_000_000, "1.0 GB")],
)
def test_size_is_formatted(count: int, text: str) -> None:
    """kB, MB, GB."""
    assert format_size(count) == text


def test_key_is_masked_wherever_it_is() -> None:
    """Each occurrence, and nothing if there is no key."""
    assert mask_key("sk-1 and xsk-1y", "sk-1") == "[key] and x[key]y"
    assert mask_key("no key here", "") == "no key here"


def test_text_is_shortened_to_the_maximum() -> None:
    """A text of the maximum length is not changed."""
    assert shorten("x" * MAX_MESSAGE) == "x" * MAX_MESSAGE
    assert shorten("x" * (MAX_MESSAGE + 1)) == "x" * (MAX_MESSAGE - 1) + "…"


@pytest.mark.parametrize(
    "text",
    ["<img src=x>", "a>b", "a&amp;b", 'a"b', "a'b", "a`b", "a\x1b[2J", "a\nb", "a\u202eb", "", "0"],
)
def test_id_with_a_meaning_elsewhere_is_rejected(text: str) -> None:
    """Characters of HTML, control characters and JSON values that mean "no id"."""
    assert not is_task_id(text)


@pytest.mark.parametrize("text", ["c8091b7b-06df-48ed-8fe3-8ee8f1e367c2", "task:1/2_3.4~5", "4711"])
def test_usual_ids_are_accepted(text: str) -> None:
    """UUIDs, numbers, and ids with punctuation."""
    assert is_task_id(text)


def test_queries_of_urls_are_removed() -> None:
    """Also without a path, and of several URLs in a text."""
    text = "with url: https://cdn/v.mp4?sig=1 (x) and 'http://h?b=2#c'. a?b"
    assert without_queries(text) == "with url: https://cdn/v.mp4 (x) and 'http://h'. a?b"
