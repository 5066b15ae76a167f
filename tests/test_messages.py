"""Messages for the user: every template has a translation, and every message goes through it."""

from __future__ import annotations

import ast
import functools
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from pika_api.errors import InvalidInput, PikaError, SettingsError, TaskFailed
from pika_api.message import Message, translate
from pika_api.tasks import Service
from support.messages import CHINESE

ROOT = Path(__file__).parent.parent
#: For the command line and programs, not on a node and not in the settings: they stay English.
COMMAND_LINE = (
    "pika_api/batch",
    "pika_api/cli",
    "pika_api/facade.py",
    "pika_api/inputs.py",
    "pika_api/support",
    "pika_api/journal/backup.py",
)
#: The templates that `Message.joined` makes, where the language joins differently.
JOINED = {"{part0} {part1}"}
HAN = re.compile(r"[\u4e00-\u9fff]")


def sources() -> list[tuple[Path, ast.Module]]:
    """The code whose messages a user of ComfyUI sees."""
    files = [path for folder in ("nodes", "pika_api") for path in (ROOT / folder).rglob("*.py")]
    shown = [
        path for path in files if not path.relative_to(ROOT).as_posix().startswith(COMMAND_LINE)
    ]
    return [(path, ast.parse(path.read_text("utf-8"))) for path in sorted(shown)]


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """All calls of plain names: the name and the call."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name):
            yield item.func.id, item


@functools.cache
def templates() -> frozenset[str]:
    """All templates in the code that have words in them."""
    found = set()
    for path, tree in sources():
        if path.name == "message.py":
            continue
        for name, call in calls(tree):
            if name == "Message":
                template = call.args[0]
                assert isinstance(template, ast.Constant), f"{path}:{call.lineno}"
                found.add(template.value)
    words = re.compile(r"[A-Za-z]")
    return frozenset(each for each in found if words.search(re.sub(r"\{[^{}]*\}", "", each)))


def places(template: str) -> list[tuple[str, str, str]]:
    """The names of the values, each with its format and conversion."""
    parsed = string.Formatter().parse(template)
    return sorted(
        (name, form or "", kind or "") for _, name, form, kind in parsed if name is not None
    )


def test_every_template_is_translated_and_none_is_unused() -> None:
    """The catalogue has exactly the templates of the code."""
    assert len(templates()) > 200
    assert templates() - CHINESE.keys() == set()
    assert CHINESE.keys() - templates() == JOINED


@pytest.mark.parametrize("template", CHINESE)
def test_translation_has_the_same_values(template: str) -> None:
    """Values, formats and conversions are the same, and the text is Chinese."""
    text = CHINESE[template]
    assert places(text) == places(template)
    assert HAN.search(text) or template in JOINED
    assert text == text.strip()


def test_no_error_has_a_text_that_cannot_be_translated() -> None:
    """Every text of an error, of a progress and of a response is a `Message`, or is a text from
    outside or of another error."""
    kinds = {each.__name__ for each in all_errors()} | {"Progress", "HealthResult", "Problem"}
    parts = {"what", "hint", "charge_note", "problem"}
    left = []
    for path, tree in sources():
        for name, call in calls(tree):
            if name not in kinds:
                continue
            given = [*call.args, *(each.value for each in call.keywords if each.arg in parts)]
            left += [
                f"{path.relative_to(ROOT)}:{each.lineno}: {ast.unparse(each)}"
                for value in given
                for each in texts_in(value)
            ]
    assert left == []


def all_errors(base: type[PikaError] = PikaError) -> set[type[PikaError]]:
    """The tree of errors, with those that a package has for itself."""
    assert Service  # imports all packages
    return {base}.union(*map(all_errors, base.__subclasses__()))


def texts_in(value: ast.expr) -> list[ast.expr]:
    """The texts with a blank in an expression, outside of calls."""
    if isinstance(value, ast.Constant):
        return [value] if isinstance(value.value, str) and " " in value.value else []
    if isinstance(value, ast.JoinedStr):
        return [value]
    if isinstance(value, ast.BoolOp):
        return [text for each in value.values for text in texts_in(each)]
    if isinstance(value, ast.IfExp):
        return [*texts_in(value.body), *texts_in(value.orelse)]
    return []


def test_message_is_its_english_text() -> None:
    """Code that knows nothing of languages sees a text."""
    message = Message("Task {id} took {seconds:.1f} s", id="t-1", seconds=2.04)
    assert message == "Task t-1 took 2.0 s"
    assert f"{message}!" == "Task t-1 took 2.0 s!"
    assert json.loads(json.dumps({"text": message})) == {"text": "Task t-1 took 2.0 s"}


def test_words_from_outside_are_not_translated_and_not_read_as_templates() -> None:
    """A value that looks like a template, or is one, stays as it is."""
    catalogue = {"Task {id}: {words}": "任务 {id}：{words}", "Nothing was sent.": "没有发送。"}
    hostile = "{id} {words.__class__} Nothing was sent. {0}"
    message = Message("Task {id}: {words}", id="Nothing was sent.", words=hostile)
    assert translate(message, catalogue) == f"任务 Nothing was sent.：{hostile}"


def test_messages_within_messages_are_translated() -> None:
    """Also in a joined one, which leaves out empty parts."""
    catalogue = {"a {b}": "甲 {b}", "inner": "内"}
    inner = Message("a {b}", b=Message("inner"))
    assert translate(Message.joined(", ", "", inner, "x", ""), catalogue) == "甲 内, x"
    assert Message.joined(" ") == ""
    assert translate("a plain text", catalogue) == "a plain text"


def test_without_a_translation_it_is_english() -> None:
    """A template that a catalogue lacks, as in a language that is translated in part."""
    assert translate(Message("a {b}", b=1), {}) == "a 1"


def test_values_are_changed_without_losing_the_template() -> None:
    """Masking a secret works in every language."""
    message = Message("{a} and {b}", a="sk-1", b=Message("in {c}", c="sk-1 sk-1"), d=1)
    masked = message.mapped(lambda text: text.replace("sk-1", "***"))
    assert masked == "*** and in *** ***"
    assert translate(masked, {"{a} and {b}": "{b}和{a}"}) == "in *** ***和***"


def test_value_keeps_no_traceback_alive() -> None:
    """An exception is stored as its text."""
    message = Message("{error}", error=ValueError("odd"))
    assert message.values == {"error": "odd"}


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (
            InvalidInput("seed", Message("the prompt is blank."), Message("Write.")),
            "seed: the prompt is blank.\nWrite.",
            "seed: 提示词为空。\nWrite.",
        ),
        (
            SettingsError(Message("the key is blank."), name="api_key"),
            "PIKA_API_KEY: the key is blank.",
            "PIKA_API_KEY: 密钥为空。",
        ),
        (
            TaskFailed("t", "words", charge_note=Message("Nothing was sent."), hint=""),
            "words\nNothing was sent.",
            "words\n没有发送任何请求。",
        ),
    ],
)
def test_text_of_an_error_is_in_its_language(error: PikaError, english: str, chinese: str) -> None:
    """English, until the error is given a catalogue."""
    assert str(error) == english
    error.catalogue = CHINESE
    assert str(error) == chinese
    assert error.what in english
