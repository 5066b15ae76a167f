"""The workflow as text, for the files of finished tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final


def texts_of(prompt: object, extra_pnginfo: Mapping[str, Any]) -> dict[str, str]:
    """ComfyUI's prompt and workflow as its own savers write them: JSON in ASCII, by name.

    Two things differ. What ComfyUI adds to a prompt for its cache is left out, since it is not part
    of the workflow: nodes that watch an account or a file have a value there. And a number that
    JSON does not have becomes null, since older editors cannot read such a text.
    """
    values = dict(extra_pnginfo)
    if isinstance(prompt, dict):
        values["prompt"] = {key: _without_cache_values(node) for key, node in prompt.items()}
    texts = {}
    for name, value in values.items():
        try:
            texts[str(name)] = json.dumps(_finite(value), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            continue  # another extension has added what no saver could write
    return texts


def _without_cache_values(node: object) -> object:
    if not isinstance(node, dict):
        return node
    return {key: value for key, value in node.items() if key != "is_changed"}


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value


#: Limits of a workflow that is given to the editor: characters, nodes, and levels of nesting.
MAX_WORKFLOW: Final = 8 * 1024 * 1024
_MAX_NODES: Final = 20_000
_MAX_DEPTH: Final = 100


def parse_workflow(text: str) -> dict[str, Any] | None:
    """A workflow from outside, such as a file; None if it is not one that the editor can open.

    Only its form is checked: what its nodes do, the user sees in the editor.
    """
    if len(text) > MAX_WORKFLOW:
        return None
    try:
        value = json.loads(text)
        return value if _is_workflow(value) and _depth(value) <= _MAX_DEPTH else None
    except (ValueError, RecursionError):
        return None


def _is_workflow(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("version"), (int, float)):
        return False
    nodes, links = value.get("nodes"), value.get("links", [])
    return (
        isinstance(nodes, list)
        and 0 < len(nodes) <= _MAX_NODES
        and isinstance(links, list)
        and all(isinstance(node, dict) and isinstance(node.get("type"), str) for node in nodes)
        and all(isinstance(node.get("id"), (int, str)) for node in nodes)
    )


def _depth(value: object) -> int:
    """Levels of nesting. Raises RecursionError if there are very many."""
    if not isinstance(value, (dict, list)):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, parts), default=0)
