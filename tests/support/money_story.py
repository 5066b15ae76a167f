"""What a story about money is made of: troubles, and steps that are remembered."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

HTML = "<html><body>Bad Gateway</body></html>"
_MAYBE: list[dict[str, Any]] = [
    {"status": 500}, {"status": 502, "body": HTML}, {"status": 503}, {"status": 504},
    {"reset": True}, {"reset": True, "delay": 0.1}, {"body": HTML}, {"body": {"ok": True}},
    {"status": 302}, {"body": '{"id": "c8'}, {"body": {"id": "undefined"}},
    {"status": 503, "headers": {"Retry-After": "0"}}, {"body": {"id": "t-0", "error": "timeout"}},
]  # fmt: skip
#: Everything that may go wrong with a submit; what nobody can say, with a charge and without.
SUBMIT_FAULTS: list[dict[str, Any]] = [
    {"status": 400}, {"status": 402}, {"status": 413}, {"status": 307},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 503, "headers": {"Retry-After": "0"},
     "body": {"error": {"message": "overloaded", "code": "system_cpu_overloaded"}}},
    {"delay": 0.05}, {"delay": 0.2}, {"cut": 3}, {"cut": 12},
    *_MAYBE, *({**each, "accept": True} for each in _MAYBE),
]  # fmt: skip
#: And afterwards.
LATER_FAULTS: list[dict[str, Any]] = [
    {"on": "task", "error": "NSFW"}, {"on": "task", "stuck": True}, {"on": "task", "hide_for": 0.3},
    {"on": "task", "empty_for": 0.3}, {"on": "task", "raw_status": "baking", "seconds": 0.2},
    {"on": "feed", "status": 500}, {"on": "feed", "status": 401}, {"on": "feed", "body": HTML},
    {"on": "feed", "reset": True}, {"on": "feed", "status": 404}, {"on": "feed", "cut": 5},
    {"on": "media", "reset": True}, {"on": "media", "status": 403}, {"on": "media", "cut": 99},
    {"on": "media", "body": HTML}, {"on": "media", "expired": True}, {"on": "media", "delay": 0.1},
]  # fmt: skip


def dealt(faults: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All of them, shuffled, and again: drawn one by one, a few would never come."""
    deck = faults.copy()
    shuffle = random.Random(7).shuffle
    while True:
        shuffle(deck)
        yield from deck


def witnessed(act: Callable[..., None]) -> Callable[..., None]:
    """Keep the story that first led to a failure: as times differ, it may not do so again."""

    @functools.wraps(act)
    def wrapped(self: Any, **given: Any) -> None:
        self.story.append(f"{act.__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})")
        try:
            act(self, **given)
        except Exception as error:
            self.failures.append("\n".join((*self.story, repr(error))))
            raise

    return wrapped


def step(**given: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule, witnessed."""
    return lambda act: rule(**given)(witnessed(act))
