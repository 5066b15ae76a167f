"""How the items of a list ended, in one text for the node."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ..pika_api.errors import PikaError, Refused, SubmitUnknown, TaskFailed
from ..pika_api.message import Message
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

    DONE = auto()
    REUSED = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    FAILED = auto()
    ERROR = auto()


class Done(Enum):
    """What a node has done with an item that succeeded."""

    SUBMITTED = auto()
    SAVED = auto()
    FINISHED = auto()


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
        text = Message("skipped: {cause}", cause=error.what) if skipped else error.what
        return cls(ending, text, error.what, name, skipped)


def may_skip(error: PikaError) -> bool:
    """Whether *skip* applies to an error: the other items of the list may still succeed.

    An unknown outcome is one. If it stopped the run, ComfyUI would discard the ids of all other
    items; the tasks would run unwatched.
    """
    if isinstance(error, Refused):
        return error.about_request
    return isinstance(error, (SubmitUnknown, TaskFailed))


def summarize(done: Done, outcomes: Mapping[int, Outcome], total: int) -> Message:
    """How many items succeeded, and which did not.

    Args:
        done: What the node does with an item.
        outcomes: The outcomes so far, by the item's place in the list.
        total: The number of items.
    """
    parts = [_count(done, [each.ending for each in outcomes.values()], total)]
    for ending, skipped in itertools.product((*_PROBLEMS, Ending.DONE), (False, True)):
        items = [
            _item(index, each)
            for index, each in sorted(outcomes.items())
            if (each.ending, each.skipped) == (ending, skipped) and each.words
        ]
        if items:
            parts.append(_heading(ending, skipped, _listed(items)))
    return Message.joined(" ", *parts)


def _count(done: Done, endings: list[Ending], total: int) -> Message:
    reused = endings.count(Ending.REUSED)
    count = reused + endings.count(Ending.DONE)
    if done is Done.SAVED:
        return Message("{count} of {total} saved.", count=count, total=total)
    if done is Done.FINISHED:
        return Message("{count} of {total} finished.", count=count, total=total)
    if not reused:
        return Message("{count} of {total} submitted.", count=count, total=total)
    return Message(
        "{count} of {total} submitted ({reused} reused, no new charge).",
        count=count,
        total=total,
        reused=reused,
    )


def _heading(ending: Ending, skipped: bool, items: str) -> Message:
    if ending is Ending.UNKNOWN:
        # A skipped one is named no differently: that is not what matters to the user.
        return Message("Outcome unknown, may have been charged: {items}", items=items)
    if ending is Ending.REFUSED:
        if skipped:
            return Message("Refused, skipped: {items}", items=items)
        return Message("Refused: {items}", items=items)
    if ending is Ending.FAILED:
        if skipped:
            return Message("Failed, skipped: {items}", items=items)
        return Message("Failed: {items}", items=items)
    if ending is Ending.ERROR:
        return Message("Error: {items}", items=items)
    return Message("Note: {items}", items=items)


def stop_message(done: Done, has_task: bool) -> Message:
    """What it means for the money that a node was stopped.

    Args:
        done: What the node would have done.
        has_task: Whether the node was waiting for a task. Before that, its request may be on its
            way, which nothing stops.
    """
    if done is Done.FINISHED:
        return Message("Stopped.")
    if has_task:
        return Message("Stopped. The task is kept; run again to continue at no cost.")
    return Message(
        "Stopped. If the request was sent, its task is kept; run again to continue at no cost."
    )


def count_problems(outcomes: Collection[Outcome]) -> int:
    """How many items have not succeeded."""
    return sum(each.ending in _PROBLEMS for each in outcomes)


def skip_message(error: PikaError, name: str, index: int | None) -> Message:
    """The message at the nodes behind an item that is skipped.

    Args:
        index: Its place in the list; None if it is the only item.
    """
    title = f"«{_cut(name, _MAX_NAME)}»" if name else ""
    number = "" if index is None else str(index + 1)
    return Message.joined(": ", number, title, error.message)


def _item(index: int, outcome: Outcome) -> Message:
    title = f"«{_cut(outcome.name, _MAX_NAME)}»" if outcome.name else ""
    return Message.joined(": ", str(index + 1), title, _short(outcome.words))


def _short(text: str) -> str:
    """A text in which the words from outside are shortened."""
    if isinstance(text, Message):
        return text.mapped(lambda words: _cut(words, _MAX_WORDS))
    return _cut(text, _MAX_WORDS)


def _cut(text: str, limit: int) -> str:
    line = " ".join(sanitize(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _listed(items: list[Message]) -> Message:
    named = Message.joined("; ", *items[:_MAX_NAMED])
    more = len(items) - _MAX_NAMED
    return Message("{named}; and {more} more", named=named, more=more) if more > 0 else named
