"""A journal that is missing beside the files of earlier tasks is noticed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pika_api.journal import Journal
from pika_api.settings import FOLDER, sqlite_url
from support.api import intent


def put_results(folder: Path, *names: str) -> Path:
    """A folder with files of finished tasks."""
    folder.mkdir(parents=True)
    for name in names or ("pika_one.mp4", "pika_two-1234abcd.png"):
        (folder / name).touch()
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder with two files of finished tasks."""
    return put_results(tmp_path / "output")


@pytest.mark.parametrize("opened", [False, True], ids=["missing", "empty"])
def test_missing_and_empty_journals_are_noticed(tmp_path: Path, output: Path, opened: bool) -> None:
    """Looking does not create the file. The text says where, how many and what it means."""
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        if opened:
            assert journal.entries() == []
        text = journal.loss(output)
        assert (tmp_path / "home").exists() == opened
    for words in (str(tmp_path / "home" / "journal.sqlite3"), str(output), "2 files", "charged"):
        assert words in text


def test_journal_with_a_request_is_not_lost(tmp_path: Path, output: Path) -> None:
    """Also with one that was forgotten."""
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        journal.forget(journal.adopt("t", "https://a", "k").id)
        assert journal.loss(output) == ""


@pytest.mark.parametrize(
    "names", [("holiday.mp4",), ("pika_one.mp4.part", "pika_two.unchecked"), ("pika_.txt",)]
)
def test_other_files_are_no_sign_of_a_journal(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A new user may have files of his own there."""
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        assert journal.loss(put_results(tmp_path / "output", *names)) == ""
        assert journal.loss(tmp_path / "absent") == ""


def test_output_folder_of_comfyui_is_looked_at(tmp_path: Path) -> None:
    """The command line uses ComfyUI's journal, and saves files elsewhere."""
    folder = put_results(tmp_path / "output" / "pika")
    with closing(Journal(sqlite_url(tmp_path / "user" / FOLDER))) as journal:
        assert str(folder) in journal.loss(tmp_path / "elsewhere")
        journal.claim(intent(), "me")
        assert journal.loss(tmp_path / "elsewhere") == ""


def test_number_of_files_is_bounded(tmp_path: Path) -> None:
    """A folder with very many results is not counted to its end: the text says "or more"."""
    output = put_results(tmp_path / "output", *(f"pika_{number}.mp4" for number in range(1001)))
    with closing(Journal(sqlite_url(tmp_path / "home"))) as journal:
        assert "1000 files or more" in journal.loss(output)
