"""Notices that the journal of earlier tasks is missing."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..message import Message
from ..settings import FOLDER

#: The names of finished files.
_RESULT: Final = re.compile(r"pika_.+\.(mp4|webm|png|jpg|webp|gif)")
#: More files are not counted.
_MANY: Final = 1000


def result_folders(output: Path, journal: Path | None) -> list[Path]:
    """The folders in which the files of earlier tasks may be.

    Args:
        output: The folder for finished files.
        journal: The journal's file. If it is in a ComfyUI, that has a folder, too.
    """
    folders = [output.absolute()]
    if journal is not None and journal.parent.name == FOLDER:
        comfyui = journal.parents[2] if len(journal.parents) > 2 else journal.parent
        folders.append(comfyui / "output" / "pika")
    return list(dict.fromkeys(folders))


def describe_loss(place: str, folders: Iterable[Path]) -> str:
    """What an empty journal means beside the files of earlier tasks; empty without such files."""
    for folder in folders:
        count = _count_results(folder)
        if count:
            files = Message("{count} files", count=count)
            if count >= _MANY:
                files = Message("{count} files or more", count=_MANY)
            return Message(
                "The journal of tasks ({place}) is empty, but {folder} contains {files} of "
                "earlier tasks. Without their journal, the requests of these tasks are not "
                "recognised: running an old workflow creates a new task, which is charged. If the "
                "journal was moved or deleted, stop ComfyUI and restore it first.",
                place=place,
                folder=folder,
                files=files,
            )
    return ""


def _count_results(folder: Path) -> int:
    try:
        with os.scandir(folder) as found:
            names = (entry.name for entry in found if _RESULT.fullmatch(entry.name))
            return sum(1 for _ in itertools.islice(names, _MANY))
    except OSError:
        return 0
