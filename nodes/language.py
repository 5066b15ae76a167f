"""Messages in the user's language: on the nodes, in ComfyUI's error dialog, and in the settings.

The messages are English in the code; ``locales/<language>/messages.json`` has the translations. The
log, the journal and the command line stay English.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from ..pika_api.errors import PikaError
from ..pika_api.message import Catalogue, translate
from . import host

_LOCALES: Final = Path(__file__).parents[1] / "locales"
#: The first language tag of a setting or of an Accept-Language header: "zh", "zh-TW".
_TAG: Final = re.compile(r"\s*([A-Za-z]{2,3}(?:-[A-Za-z]{2,8})?)(?=[,;\s]|$)")

_of_request: ContextVar[str] = ContextVar("pika_language", default="")
_of_editor = ""


def note_editor(tag: str) -> None:
    """Remember the language of the editor that was opened last."""
    global _of_editor
    _of_editor = _checked(tag)


@contextmanager
def of_request(header: str) -> Iterator[None]:
    """Answer a request of the editor in its language.

    Args:
        header: Its Accept-Language header; the language of the nodes if it is empty.
    """
    token = _of_request.set(_checked(header))
    try:
        yield
    finally:
        _of_request.reset(token)


def say(text: str) -> str:
    """A text in the user's language. One that is no `Message` is returned as it is."""
    return translate(text, _catalogue(_current()))


def explain(error: PikaError) -> str:
    """The whole text of an error in the user's language."""
    return say(error.message)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Give the errors of a node their text in the user's language: ComfyUI shows ``str(error)``."""
    try:
        yield
    except PikaError as error:
        error.catalogue = _catalogue(_current())
        raise


def _current() -> str:
    # The editor stores its language only when the user changes it. Until then it is the browser's,
    # which the server learns from the editor.
    return _of_request.get() or _checked(host.stored_language()) or _of_editor


def _checked(tag: str) -> str:
    match = _TAG.match(tag)
    return match[1] if match else ""


@functools.lru_cache(maxsize=16)
def _catalogue(language: str) -> Catalogue:
    """The texts of "zh-TW" are those of "zh" where it has none. Empty for English."""
    for name in (language, language.partition("-")[0]):
        file = _LOCALES / name.lower() / "messages.json"
        if name and file.is_file():
            texts: Catalogue = json.loads(file.read_text("utf-8"))
            return texts
    return {}
