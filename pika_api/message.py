"""Texts for the user that are written in English and can be translated.

A `Message` is its English text, and knows the template and the values it was made from. Code logs,
stores and prints it like any other text. Where the user's language is known, `translate` looks the
template up in that language's catalogue. Words from outside are values, so they stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

#: The translation of each template; see ``locales/zh/messages.json``.
Catalogue = Mapping[str, str]


class Message(str):  # noqa: SLOT000 - `str` has a variable size, so __slots__ would save nothing
    """An English text with values in it: ``Message("Task {id} is finished.", id=…)``.

    The template is a literal: the catalogue has it, and a test reads it from the source.

    Attributes:
        template: The English text, with the names of the values in braces, as for `str.format`.
        values: The values. A value that is a `Message` is translated, too.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> Message:
        # An exception would keep its traceback alive, and all that is reachable from it.
        texts = (BaseException, PurePath)
        plain = {n: str(v) if isinstance(v, texts) else v for n, v in values.items()}
        message = super().__new__(cls, template.format_map(plain))
        message.template = template
        message.values = plain
        return message

    @classmethod
    def joined(cls, separator: str, *parts: str) -> Message:
        """Several texts as one, without the empty ones."""
        # In pairs, so that a catalogue can have one template for any number of parts.
        pair = f"{{part0}}{separator}{{part1}}"
        given = [part for part in parts if part]
        if not given:
            return cls("")
        first = given[0] if isinstance(given[0], cls) else cls("{part0}", part0=given[0])
        return functools.reduce(lambda one, two: cls(pair, part0=one, part1=two), given[1:], first)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.template, dict(self.values))

    def mapped(self, change: Callable[[str], str]) -> Message:
        """The message with each of its texts from outside changed, for example masked."""
        return Message(self.template, **{n: _mapped(v, change) for n, v in self.values.items()})

    def translated(self, catalogue: Catalogue) -> str:
        """The text in another language; in English where the catalogue has no translation."""
        template = catalogue.get(self.template, self.template)
        return template.format_map({n: _value(v, catalogue) for n, v in self.values.items()})


def _restored(cls: type[Message], template: str, values: Mapping[str, object]) -> Message:
    """A message from a pickle."""
    return cls(template, **values)


def translate(text: str, catalogue: Catalogue) -> str:
    """A text in another language, if it is a `Message`; else as it is."""
    return text.translated(catalogue) if isinstance(text, Message) else text


def _value(value: object, catalogue: Catalogue) -> object:
    return translate(value, catalogue) if isinstance(value, str) else value


def _mapped(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, Message):
        return value.mapped(change)
    return change(value) if isinstance(value, str) else value
