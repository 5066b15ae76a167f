"""How the items of a list ended, in one text for the node."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..pika_api.errors import PikaError, Refused, SubmitUnknown, TaskFailed
from ..pika_api.text import sanitize

#: Values of the inputs ``on_failure``.
STOP: Final = "stop"
SKIP: Final = "skip"

#: Maximum length of a prompt and of an error in a text about many items. Characters.
_MAX_NAME: Final = 60
_MAX_WORDS: Final = 200
#: How many items of a kind a text names. The text of a node has a limit.
_MAX_NAMED: Final = 5


class Ending(Enum):
    """How an item ended. The order is that of the text: first what may have cost something."""

    DONE = "Note"
    REUSED = "reused"
    UNKNOWN = "Outcome unknown, may have been charged"
    REFUSED = "Refused"
    FAILED = "Failed"
    ERROR = "Error"


_PROBLEMS: Final = tuple(each for each in Ending if each not in (Ending.DONE, Ending.REUSED))


@dataclass(frozen=True)
class Outcome:
    """How one item ended.

    Attributes:
        text: What the node displays if this is its only item.
        words: What a summary says about it: the error, or a note; empty if there is nothing to say.
        name: What a summary calls it: its prompt.
        skipped: Whether the other items go on although this one has an error.
    """

    ending: Ending
    text: str
    words: str = ""
    name: str = ""
    skipped: bool = False

    @classmethod
    def of_error(cls, error: PikaError, name: str, *, skipped: bool = False) -> Outcome:
        """The outcome of an item with an error."""
        if isinstance(error, SubmitUnknown):
            ending = Ending.UNKNOWN
        elif isinstance(error, Refused):
            ending = Ending.REFUSED
        else:
            ending = Ending.FAILED if isinstance(error, TaskFailed) else Ending.ERROR
        text = f"skipped: {error.what}" if skipped else error.what
        return cls(ending, text, error.what, name, skipped)


def may_skip(error: PikaError) -> bool:
    """Whether *skip* applies to an error: the other items of the list may still succeed.

    An unknown outcome is one. If it stopped the run, ComfyUI would discard the ids of all other
    items; the tasks would run unwatched.
    """
    if isinstance(error, Refused):
        return error.about_request
    return isinstance(error, (SubmitUnknown, TaskFailed))


def summarize(done: str, outcomes: Mapping[int, Outcome], total: int) -> str:
    """How many items succeeded, and which did not.

    Args:
        done: What the node does with an item: "submitted" or "saved".
        outcomes: The outcomes so far, by the item's place in the list.
        total: The number of items.
    """
    endings = [outcome.ending for outcome in outcomes.values()]
    reused = endings.count(Ending.REUSED)
    succeeded = reused + endings.count(Ending.DONE)
    note = f" ({reused} reused, no new charge)" if reused else ""
    parts = [f"{succeeded} of {total} {done}{note}."]
    for ending, skipped in itertools.product((*_PROBLEMS, Ending.DONE), (False, True)):
        items = [
            f"{_label(index, each.name)}: {_cut(each.words)}"
            for index, each in sorted(outcomes.items())
            if (each.ending, each.skipped) == (ending, skipped) and each.words
        ]
        if items:
            parts.append(f"{ending.value}{', skipped' if skipped else ''}: {_listed(items)}")
    return " ".join(parts)


def count_problems(outcomes: Collection[Outcome]) -> int:
    """How many items have not succeeded."""
    return sum(each.ending in _PROBLEMS for each in outcomes)


def skip_message(error: PikaError, name: str, index: int | None) -> str:
    """The message at the nodes behind an item that is skipped.

    Args:
        index: Its place in the list; None if it is the only item.
    """
    if index is None:
        return f"«{_cut(name, _MAX_NAME)}»: {error}" if name else str(error)
    return f"{_label(index, name)}: {error}"


def _label(index: int, name: str) -> str:
    number = str(index + 1)
    return f"{number}: «{_cut(name, _MAX_NAME)}»" if name else number


def _cut(text: str, limit: int = _MAX_WORDS) -> str:
    line = " ".join(sanitize(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _listed(items: list[str]) -> str:
    named = "; ".join(items[:_MAX_NAMED])
    more = len(items) - _MAX_NAMED
    return f"{named}; and {more} more" if more > 0 else named
