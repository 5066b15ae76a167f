"""Where a finished file is saved when the user chooses the place: ComfyUI's ``filename_prefix``.

The words in ``%`` are those of ComfyUI's own savers. Its editor replaces most of them only in its
own nodes, and nobody does so for a workflow that comes over the API, so all are replaced here.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import files
from ..errors import InvalidInput
from ..message import Message

NAME: Final = "filename_prefix"

_HINT: Final = Message(
    "Use a name, or folders and a name, below ComfyUI's output folder: video/Pika."
)
#: Characters that Windows forbids in names, control characters, and surrogates, which no file
#: system stores. The slash and the backslash separate folders on every system.
_FORBIDDEN: Final = re.compile('[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
#: Those that the editor replaces in the value of a node.
_IN_VALUE: Final = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_SEPARATORS: Final = re.compile(r"[/\\]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
#: Names of devices, with any suffix (Microsoft, Naming Files, Paths, and Namespaces).
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
#: Maximum length of a name, in bytes of UTF-8. File systems allow 255, and encrypted ones 143; the
#: counter and the suffix follow.
_MAX_NAME: Final = 110
#: Maximum number of folders.
_MAX_FOLDERS: Final = 32
_WORD: Final = re.compile("%([^%]+)%")
#: The codes of a date, as in the editor's `formatDate`.
_DATE_CODES: Final = re.compile("dd?|MM?|hh?|mm?|ss?|yyy?y?")


@dataclass(frozen=True)
class Place:
    """Folders and the beginning of a name below a folder.

    Attributes:
        root: ComfyUI's output folder.
        prefix: The checked text, with ``%width%`` and ``%height%`` left to replace.
    """

    root: Path
    prefix: str

    @classmethod
    def of(cls, root: Path, prefix: str) -> Place:
        """A place. Raises `InvalidInput` if it is not below the root."""
        _split(prefix)
        return cls(root, prefix)

    def save(self, source: Path, ending: str, size: tuple[int, int]) -> Path:
        """Give a file a name at this place, in addition to the one that it has.

        It is a hard link, or a copy where the file system has no links. No other file is replaced.
        A file that has a name here keeps that.

        Args:
            ending: The suffix of the name.
            size: Width and height of the video or picture.

        Raises:
            OSError: It cannot be written.
        """
        prefix = self.prefix.replace("%width%", str(size[0])).replace("%height%", str(size[1]))
        *folders, name = _split(prefix)
        folder = self.root.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        taken = dict(_numbered(folder, name))
        status = source.stat()
        for path in taken:
            if path.name.endswith(ending) and _is_same(path, source, status):
                return path
        number = max(taken.values(), default=0)
        while True:
            number += 1
            target = folder / f"{name}_{number:05}_{ending}"
            try:
                files.link_or_copy(source, target)
            except FileExistsError:
                continue
            return target


def check_prefix(prefix: str) -> None:
    """Raise `InvalidInput` if a prefix leads out of the output folder. Its words may be in it."""
    _split(prefix)


def _split(prefix: str) -> list[str]:
    """The folders and the name of a prefix, valid on every system.

    Raises:
        InvalidInput: It is absolute, leads out of its root, or has no name.
    """
    if _SEPARATORS.match(prefix) or _DRIVE.match(prefix):
        raise InvalidInput(NAME, Message("it is an absolute path."), _HINT)
    parts: list[str] = []
    for part in _SEPARATORS.split(prefix):
        if part.strip() == "..":
            if not parts:
                raise InvalidInput(NAME, Message("it leads out of ComfyUI's output folder."), _HINT)
            parts.pop()
        elif part.strip() not in ("", "."):
            parts.append(_valid_name(part))
    if not parts:
        raise InvalidInput(NAME, Message("it has no name."), _HINT)
    if len(parts) > _MAX_FOLDERS:
        raise InvalidInput(
            NAME, Message("it has over {maximum} folders.", maximum=_MAX_FOLDERS), _HINT
        )
    return parts


def _valid_name(text: str) -> str:
    """A file name that every system accepts. Windows drops blanks and dots at its end."""
    name = _FORBIDDEN.sub("_", text.strip())
    name = name.encode()[:_MAX_NAME].decode(errors="ignore").rstrip(" .") or "_"
    return f"_{name}" if _DEVICE.fullmatch(name) else name


def _numbered(folder: Path, name: str) -> Iterator[tuple[Path, int]]:
    """The files with this name and a number, as ComfyUI counts them: on Windows, A is a."""
    pattern = re.compile(
        re.escape(os.path.normcase(name)) + r"_([0-9]{1,18})(?![0-9]).*", re.DOTALL
    )
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := pattern.fullmatch(os.path.normcase(entry.name)):
                yield folder / entry.name, int(match[1])


def _is_same(path: Path, source: Path, status: os.stat_result) -> bool:
    """Whether a name is that of a file, or of a hard link to it."""
    try:
        return path.stat().st_size == status.st_size and path.samefile(source)
    except OSError:
        return False


def expand_words(
    prefix: str,
    now: time.struct_time,
    prompt: Mapping[str, Any] | None = None,
    workflow: Mapping[str, Any] | None = None,
) -> str:
    """A prefix with the words in ``%`` replaced, except ``%width%`` and ``%height%``.

    Words that nothing is known of stay, as in ComfyUI's own savers.

    Args:
        now: The local time.
        prompt: The workflow in the API format: nodes by id.
        workflow: The workflow as the editor saves it, which has the nodes' titles; None over the
            API.
    """
    nodes = _Nodes(prompt or {}, workflow or {})

    def replace(match: re.Match[str]) -> str:
        word = match[1]
        node, *rest = word.split(".")
        if len(rest) == 1 and not word.startswith("date:"):
            value = nodes.find(node, rest[0])
            return match[0] if value is None else value
        if word.startswith("date:"):
            return _format_date(word[len("date:") :], now)
        return match[0]

    prefix = _WORD.sub(replace, prefix)
    for word, value in _server_words(now).items():
        prefix = prefix.replace(f"%{word}%", value)
    return prefix


def _server_words(now: time.struct_time) -> dict[str, str]:
    """The words that ComfyUI's server replaces (`folder_paths.get_save_image_path`)."""
    numbers = {
        "month": now.tm_mon,
        "day": now.tm_mday,
        "hour": now.tm_hour,
        "minute": now.tm_min,
        "second": now.tm_sec,
    }
    return {"year": str(now.tm_year)} | {word: f"{number:02}" for word, number in numbers.items()}


def _format_date(form: str, now: time.struct_time) -> str:
    """A date as the editor formats it: ``yyyy-MM-dd``, ``hh-mm-ss``."""
    numbers = {"d": now.tm_mday, "M": now.tm_mon, "h": now.tm_hour, "m": now.tm_min}
    numbers |= {"s": now.tm_sec}

    def replace(match: re.Match[str]) -> str:
        code = match[0]
        if code[0] in numbers:
            return str(numbers[code[0]]).zfill(len(code))
        return {"yy": f"{now.tm_year:04}"[2:], "yyyy": str(now.tm_year)}.get(code, code)

    return _DATE_CODES.sub(replace, form)


class _Nodes:
    """The nodes of a workflow, as the editor finds them by name."""

    def __init__(self, prompt: Mapping[str, Any], workflow: Mapping[str, Any]) -> None:
        self._prompt = prompt
        self._workflow = workflow

    def find(self, name: str, widget: str) -> str | None:
        """The value of a widget; None if there is no such node or value."""
        for names in (self._types(), self._titles()):
            found = [each for each, text in names if text == name]
            if found:
                return _value(self._prompt[found[0]], widget)
        return None

    def _types(self) -> Iterator[tuple[str, object]]:
        """The names of the nodes for this purpose: their type, unless the user changed it."""
        for node_id, node in self._api_nodes():
            properties = self._saved(node_id).get("properties")
            own = properties.get("Node name for S&R") if isinstance(properties, dict) else None
            yield node_id, own or node.get("class_type")

    def _titles(self) -> Iterator[tuple[str, object]]:
        for node_id, node in self._api_nodes():
            meta = node.get("_meta")
            title = meta.get("title") if isinstance(meta, dict) else None
            yield node_id, self._saved(node_id).get("title") or title

    def _api_nodes(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((key, node) for key, node in self._prompt.items() if isinstance(node, dict))

    def _saved(self, node_id: str) -> Mapping[str, Any]:
        """The node as the editor saved it. In a subgraph, its id is that of the nodes around it and
        its own, joined by colons.
        """
        nodes: object = self._workflow.get("nodes")
        node: Mapping[str, Any] = {}
        for step in str(node_id).split(":"):
            if not isinstance(nodes, list):
                return {}
            by_id = (each for each in nodes if isinstance(each, dict))
            node = next((each for each in by_id if str(each.get("id")) == step), {})
            nodes = self._subgraph(node.get("type")).get("nodes")
        return node

    def _subgraph(self, kind: object) -> Mapping[str, Any]:
        definitions = self._workflow.get("definitions")
        graphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
        named = (each for each in graphs or () if isinstance(each, dict))
        return next((each for each in named if each.get("id") == kind), {})


def _value(node: Mapping[str, Any], widget: str) -> str | None:
    """A widget's value as the editor writes it; None if it is connected, or not there."""
    inputs = node.get("inputs")
    if not isinstance(inputs, dict) or widget not in inputs:
        return None
    value = inputs[widget]
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))
    elif value is None or isinstance(value, (str, int, float)):
        text = "" if value is None else str(value)
    else:
        return None
    return _IN_VALUE.sub("_", text)
