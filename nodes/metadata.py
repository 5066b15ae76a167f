"""The workflow as text, for the files of finished tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


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
