"""Where the journal is: each path means the same file in every version of SQLAlchemy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pika_api.errors import JournalError
from pika_api.journal import Journal
from pika_api.settings import journal_url, sqlite_url
from support.api import intent

#: Names of folders that users have, or may have.
NAMES = ["a b", "a%20b", "100% sure", "%41", "a#b", "a?b", "a?timeout=1", "a&b=c;d", "it's",
         'say "x"', "a+b", "视频 ü", "a:b@c", "~", "$HOME", "%", "%zz", "a%2Fb"]  # fmt: skip


def use(url: str | sa.URL) -> Path:
    """Write to a journal; returns its file."""
    with closing(Journal(url)) as journal:
        journal.claim(intent(), "me")
        _, file = journal.location
    assert file is not None
    return file


def old_journal(path: Path) -> None:
    """A journal at this path."""
    (path.parent).mkdir(parents=True, exist_ok=True)
    use(sa.URL.create("sqlite", database=str(path)))


@pytest.mark.parametrize("name", NAMES)
def test_default_journal_is_at_its_path(tmp_path: Path, name: str) -> None:
    """Whatever the name of the folder, and nowhere else."""
    home = tmp_path / name / "user" / "__pika"
    assert use(journal_url(home, {})) == home / "journal.sqlite3"
    with closing(sqlite3.connect(home / "journal.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM pika_tasks").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_written_url_names_the_same_file(tmp_path: Path, name: str) -> None:
    """With %, ? and # written as in every URL."""
    encoded = name.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    url = f"sqlite:///{tmp_path.as_posix()}/{encoded}/tasks.db"
    assert use(url) == tmp_path / name / "tasks.db"
    assert (tmp_path / name / "tasks.db").is_file()


@pytest.mark.parametrize("written", ["a%20b", "a%41", "100%25"])
def test_url_that_an_earlier_version_read_literally_keeps_its_journal(
    tmp_path: Path, written: str
) -> None:
    """SQLAlchemy 2.0 did not decode it. As long as there is no other, that journal is used."""
    old_journal(tmp_path / written / "tasks.db")
    assert use(f"sqlite:///{tmp_path.as_posix()}/{written}/tasks.db").parent.name == written
    assert [path.name for path in tmp_path.iterdir()] == [written]


@pytest.mark.parametrize(
    ("home", "misread"),
    [("a%20b/__pika", "a b/__pika/journal.sqlite3"), ("x?/__pika", "x"), ("%41?b", "A")],
    ids=["decoded", "question mark", "both"],
)
def test_journal_that_an_earlier_version_put_elsewhere_is_used_there(
    tmp_path: Path, home: str, misread: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It wrote the path into a URL as it was. What it paid for is found again, and the log says
    where the journal is and where it belongs."""
    old_journal(tmp_path / misread)
    for _ in range(2):
        assert use(sqlite_url(tmp_path / home)) == tmp_path / misread
    with closing(Journal(sqlite_url(tmp_path / home))) as journal:
        assert len(journal.entries()) == 1
    assert not (tmp_path / home).exists()
    assert str(tmp_path / misread) in caplog.text
    assert str(tmp_path / home / "journal.sqlite3") in caplog.text


@pytest.mark.parametrize("content", [b"", b"a text", b"SQLite format 3\0" + b"\0" * 5000])
def test_other_file_is_not_taken_for_an_earlier_journal(tmp_path: Path, content: bytes) -> None:
    """Somebody's file happens to have that name. It is not changed."""
    (tmp_path / "x").write_bytes(content)
    assert use(sqlite_url(tmp_path / "x?y")) == tmp_path / "x?y" / "journal.sqlite3"
    assert (tmp_path / "x").read_bytes() == content


def test_own_journal_is_preferred(tmp_path: Path) -> None:
    """Once there is one at the right path."""
    old_journal(tmp_path / "a%20b" / "journal.sqlite3")
    old_journal(tmp_path / "a b" / "journal.sqlite3")
    assert use(sqlite_url(tmp_path / "a%20b")) == tmp_path / "a%20b" / "journal.sqlite3"


@pytest.mark.parametrize(
    "url",
    ["sqlite:///journal.db", "sqlite:///folder/journal%20x.db", "sqlite:///./a#b.db",
     "sqlite+pysqlite:///journal.db", "sqlite:///file:journal.db?uri=true"],
)  # fmt: skip
def test_relative_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It is another journal in each working directory. The hint is the whole path."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="relative path") as caught:
        Journal(url)
    assert f"sqlite:///{tmp_path.as_posix()}/" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_hint_names_the_journal_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is written in the hint, it works, and the tasks are found."""
    old_journal(tmp_path / "a%b" / "journal.db")
    monkeypatch.chdir(tmp_path / "a%b")
    with pytest.raises(JournalError, match="there is a journal") as caught:
        Journal("sqlite:///journal.db")
    (hint,) = [word for word in caught.value.hint.split() if word.startswith("sqlite:")]
    with closing(Journal(hint)) as journal:
        assert len(journal.entries()) == 1


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://",
     "sqlite:///file::memory:?cache=shared&uri=true", "sqlite:///file:x?mode=memory&uri=true"],
)  # fmt: skip
def test_journal_in_memory_is_refused(url: str) -> None:
    """What was paid for would be lost when ComfyUI ends."""
    with pytest.raises(JournalError, match="in memory") as caught:
        Journal(url)
    assert "Nothing was sent" in str(caught.value)


def test_uri_of_sqlite_is_watched_like_a_path(tmp_path: Path) -> None:
    """Its file is known."""
    path = tmp_path / "a b" / "tasks.db"
    path.parent.mkdir()
    url = f"sqlite:///file:{tmp_path.as_posix()}/a%20b/tasks.db?uri=true"
    with closing(Journal(url)) as journal:
        assert journal.location == ("sqlite", path)
        journal.claim(intent(), "me")
        path.unlink()
        assert journal.claim(intent(), "me").acquired
        assert path.is_file()


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("sqlite:////tmp/journal.sqlite3", False),
        ("postgresql+psycopg://me@db.example/pika", True),
        ("postgresql+psycopg://me@10.1.2.3:5433/pika", True),
        ("postgresql+psycopg://me@localhost/pika", False),
        ("postgresql+psycopg://me@127.0.0.1/pika", False),
        ("postgresql+psycopg://me@[::1]/pika", False),
        ("postgresql+psycopg:///pika", False),
        ("postgresql+psycopg:///pika?host=/var/run/postgresql", False),
        ("postgresql+psycopg:///pika?host=db.example", True),
        ("postgresql+psycopg:///pika?host=a.example&host=localhost", False),
    ],
)
def test_journal_of_one_machine_is_told_from_a_shared_one(url: str, remote: bool) -> None:
    """A file, a socket and the machine's own address mean another database on each machine."""
    pytest.importorskip("psycopg")
    with closing(Journal(url)) as journal:
        assert journal.is_remote is remote


def test_identity_is_that_of_the_database() -> None:
    """User, password and driver do not matter; server and name do."""
    pytest.importorskip("psycopg")

    def identity(address: str) -> str:
        with closing(Journal(f"postgresql+psycopg://{address}")) as journal:
            return journal.identity

    same = {identity("me:a@db.example/pika"), identity("you:b@db.example/pika?sslmode=require")}
    others = {identity("me@db.example/other"), identity("me@db.example:5433/pika"),
              identity("me@b.example/pika"), identity("/pika?host=db.example")}  # fmt: skip
    assert len(same) == 1
    assert len(same | others) == 5


def test_journal_of_a_private_folder(tmp_path: Path) -> None:
    """The variable wins over the file in the folder."""
    with closing(Journal.at(tmp_path / "home", {})) as journal:
        assert journal.location == ("sqlite", tmp_path / "home" / "journal.sqlite3")
    url = str(sqlite_url(tmp_path / "other"))
    with closing(Journal.at(tmp_path / "home", {"PIKA_JOURNAL_URL": url})) as journal:
        assert journal.location == ("sqlite", tmp_path / "other" / "journal.sqlite3")


def test_spool_is_in_the_private_folder_without_a_file(tmp_path: Path) -> None:
    """Beside the file of the journal there is none: it is on another machine."""
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me@127.0.0.1:1/pika"
    with closing(Journal.at(tmp_path, {"PIKA_JOURNAL_URL": url})) as journal:
        assert journal.location == ("postgresql", None)
        assert journal._spool.folder == tmp_path / "spool"
