"""What is done with a file after it was received: texts are added, and it gets its name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .. import files
from ..log import log
from ..media import DecodeLimits, NoPlaceForTexts, add_texts
from .places import Place

#: The ending of a copy with texts that is being written. It replaces the file when it is complete.
_COPY: Final = ".workflow.part"


@dataclass(frozen=True)
class Delivery:
    """What the caller wants of a file.

    Attributes:
        texts: Texts for the file by name: ComfyUI's prompt and workflow as JSON. They are added
            when the file is downloaded, and never to a file that was saved before.
        place: Where the file is saved; None for the pack's own folder and name.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    place: Place | None = None


PLAIN: Final = Delivery()


def add_to_file(
    path: Path, stem: str, texts: Mapping[str, str], limits: DecodeLimits
) -> str | None:
    """Replace a file by a copy with texts, in one step.

    Returns:
        Why it has none, as the end of a sentence, and then the file has not changed; None if it
        has them.
    """
    copy = path.with_name(stem + _COPY)
    try:
        add_texts(path, copy, texts, limits)
        files.replace_file(copy, path)
    except NoPlaceForTexts as error:
        return error.reason
    except OSError as error:
        log.warning("file: %s stays without the workflow: %s", path, error)
        return str(error.strerror or error)
    finally:
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)
    return None
