"""Where the answer to a submit has the id of the new task.

A wrong id loses a paid task, so an id is taken only from a place that a source documents, and only
if nothing in the answer contradicts it. `named_ids` finds every candidate: an answer that has one
may belong to a task, and its request is never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...text import is_task_id
from .feeds import STATUS_WORDS, normal_word
from .problems import SUCCESS_CODES, problem_in

#: The fields that have the id, in an answer and in the object under `WRAPPER`.
#: id: the API specification. task_id: new-api dto/task.go and relay/channel/task. taskId: public
#: reference pages of other gateways.
ID_FIELDS: Final = ("id", "task_id", "taskId")
#: The field of a wrapped answer: ``{"code": "success", "message": "", "data": …}`` (new-api
#: dto/task.go). It has an object with the fields above, or the id alone.
WRAPPER: Final = "data"

#: Texts that are no id: what programs write for a missing value, and the nil UUID (RFC 9562).
NO_IDS: Final = frozenset(
    {
        "null", "undefined", "none", "nil", "nan", "n/a", "na", "-", "0", "-1", "true", "false",
        "unknown", "[object object]", "ok", "id", "task_id",
        "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
#: An id that stands alone under `WRAPPER`, where there could also be a sentence or a link.
_BARE_ID: Final = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9_.:-]{5,127}")


def named_ids(body: object) -> tuple[str, ...]:
    """All different texts in known places that can be a task id, the outer ones first."""
    return tuple(dict.fromkeys(_candidates(body)))


def new_task_id(body: object) -> str:
    """The id of the new task; empty if the answer names none, or leaves a doubt.

    There is a doubt if the answer also has an error, or more than one id.
    """
    ids = named_ids(body)
    if len(ids) != 1 or not isinstance(body, Mapping):
        return ""
    inner = body.get(WRAPPER)
    if any(problem_in(part, failed=False) for part in (body, inner)):
        return ""
    return ids[0]


def _candidates(body: object) -> Iterator[str]:
    if not isinstance(body, Mapping):
        return
    yield from _ids_of(body)
    inner = body.get(WRAPPER)
    if isinstance(inner, Mapping):
        yield from _ids_of(inner)
    elif isinstance(inner, str) and _BARE_ID.fullmatch(inner.strip()) and _is_id(inner.strip()):
        yield inner.strip()


def _ids_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """The ids in the fields of one object."""
    values = {name: fields.get(name) for name in ID_FIELDS}
    if isinstance(values["id"], int) and isinstance(values["task_id"], str):
        del values["id"]  # new-api dto/task.go: the number of the row in the gateway's database
    for value in values.values():
        if isinstance(value, str) or (type(value) is int and value > 0):
            text = str(value).strip()
            if _is_id(text):
                yield text


def _is_id(text: str) -> bool:
    word = normal_word(text)
    is_word = text.lower() in NO_IDS or word in SUCCESS_CODES or word in STATUS_WORDS
    has_space = any(character.isspace() for character in text)
    return is_task_id(text) and not is_word and not has_space and "://" not in text
