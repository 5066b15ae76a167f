"""Which private folder the command line uses, and whether another one may have the user's tasks.

A request that is sent with the wrong journal is paid for twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..journal import count_tasks
from ..settings import JOURNAL_FILE, KnownHome, find_home, known_homes, pack_folder


@dataclass(frozen=True)
class HomeChoice:
    """The private folder of a command.

    Attributes:
        home: The folder.
        conflict: Why another folder may be meant; empty if the user named one, or if it is clear.
        folders: All folders that are known, one line each, for the user.
    """

    home: Path
    conflict: str
    folders: Sequence[str]


def choose_home(
    named: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    pack: Path | None = None,
) -> HomeChoice:
    """The private folder for the command line.

    The folder that the user names, with ``--home`` or ``PIKA_HOME``. Else the one that this pack
    used last inside ComfyUI, or the one of `find_home`; of these, one whose journal has tasks.

    Args:
        named: The folder of ``--home``.
        pack: The folder of the pack; None for the one that contains this file.
    """
    default = find_home(environ, pack)
    known = known_homes(environ)
    this_pack = (pack or pack_folder()).resolve()
    own = _unique([*(each.home for each in known if each.pack == this_pack), default])
    other = _unique([*(each.home for each in known), Path.home() / ".pika"], but=own)
    counts = {home: count_tasks(home / JOURNAL_FILE) for home in (*own, *other)}
    folders = [_line(home, counts[home], known) for home in (*own, *other)]
    if named is not None or environ.get("PIKA_HOME", "").strip():
        return HomeChoice(named or default, "", folders)
    used = [home for home in own if counts[home] != 0]
    home = (used or own)[0]
    if environ.get("PIKA_JOURNAL_URL", "").strip():
        return HomeChoice(home, "", folders)
    return HomeChoice(home, _conflict(home, used, other, counts, known), folders)


def _conflict(
    home: Path,
    used: Sequence[Path],
    other: Sequence[Path],
    counts: Mapping[Path, int | None],
    known: Iterable[KnownHome],
) -> str:
    if any(each.home == home and not each.has_own_journal for each in known):
        return (
            f"ComfyUI uses {home} with the journal of PIKA_JOURNAL_URL, which is not set here, and "
            "not the journal in the folder"
        )
    if len(used) > 1:
        return "this pack has used several folders whose journals have tasks"
    if not used and any(counts[each] != 0 for each in other):
        return f"the journal in {home} is empty, and the one of another folder has tasks"
    return ""


def _unique(homes: Iterable[Path], but: Iterable[Path] = ()) -> list[Path]:
    """The folders without repetitions, also under other names, and without those of ``but``."""
    seen = {os.path.realpath(home) for home in but}
    unique = []
    for home in homes:
        real = os.path.realpath(home)
        if real not in seen:
            seen.add(real)
            unique.append(home)
    return unique


def _line(home: Path, count: int | None, known: Iterable[KnownHome]) -> str:
    tasks = "a journal that cannot be read" if count is None else f"tasks: {count}"
    packs = [each.pack for each in known if each.home == home]
    return f"{home} ({tasks})" + "".join(f", used in ComfyUI by {pack}" for pack in packs)
