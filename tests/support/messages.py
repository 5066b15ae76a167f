"""The pack's messages in both languages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: The Chinese template of each English one.
CHINESE: Final[Mapping[str, str]] = json.loads(
    (Path(__file__).parents[2] / "locales" / "zh" / "messages.json").read_text("utf-8")
)


def is_translation(english: Sequence[str], chinese: Sequence[str]) -> bool:
    """Whether pieces of an English message and of a Chinese one are of the same message."""
    return any(
        all(piece in template for piece in english)
        and all(piece in CHINESE[template] for piece in chinese)
        for template in CHINESE
    )
