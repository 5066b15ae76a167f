"""Putting a finished file in its place, where others may be looking at it: Windows lets nobody
replace or move a file that somebody has open.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

#: Seconds to wait between tries, for a virus scanner or an indexer to let go of a new file.
_AGAIN: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
#: Characters that a path may have on Windows, unless long ones are switched on.
_LONGEST: Final = 259


def replace_file(part: Path, place: Path) -> None:
    """Move a file to its place, over one that is there, in one step.

    Raises:
        OSError: It cannot be; a `PermissionError` where somebody keeps either of them open.
    """
    for wait in _AGAIN:
        try:
            part.replace(place)
        except PermissionError:
            time.sleep(wait)
        else:
            return
    part.replace(place)


def write_hint(error: OSError, place: Path, *, windows: bool = os.name == "nt") -> str:
    """What helps where a file could not be written to its place."""
    if windows and len(str(place)) > _LONGEST:
        return (
            f"Its path has {len(str(place))} characters, and Windows takes {_LONGEST}: move "
            "ComfyUI to a folder with a shorter path, or switch long paths on, and queue again."
        )
    if isinstance(error, PermissionError) and place.exists():
        return f"Close what has {place.name} open, a video player for one, and queue again."
    return "Make room there, or make the folder writable, and queue again."
