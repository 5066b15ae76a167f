"""The client for programs, and what crosses the border of a process."""

from __future__ import annotations

import asyncio
import copy
import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import pika_api
from pika_api import AsyncPika, Pika, errors
from pika_api.batch import BatchStopped
from pika_api.errors import InvalidInput, PikaError, SubmitUnknown
from pika_api.journal import Journal
from pika_api.message import Message
from pika_api.settings import Settings, pack_folder, register_home, sqlite_url
from simulator import Simulator
from support.api import KEY, ask, intent


@pytest.fixture
def environ(quick: Simulator, tmp_path: Path) -> dict[str, str]:
    """The variables of a program."""
    home = str(tmp_path / "home")
    return {"PIKA_API_KEY": quick.key, "PIKA_BASE_URL": quick.url, "PIKA_HOME": home}


def test_program_creates_a_video(quick: Simulator, environ: Any, tmp_path: Path) -> None:
    """Twice the same request is one charge; another seed is another one."""
    with Pika(tmp_path / "out", environ=environ) as pika:
        video = pika.generate("A red fox", seed=1, zoom="in")
        assert video.path.is_file()
        assert pika.generate("A red fox", seed=1, zoom="in").path == video.path
        assert pika.submit("A red fox", seed=2, zoom="in").task_id != video.task_id
        assert pika.status(video.task_id).id == video.task_id
        assert pika.submit(ask("A red fox")).reused is False
    assert len(quick.charged) == 3


def test_coroutines_run_at_the_same_time(quick: Simulator, environ: Any, tmp_path: Path) -> None:
    """In the program's own event loop."""

    async def create() -> set[str]:
        async with AsyncPika(tmp_path / "out", environ=environ) as pika:
            videos = await asyncio.gather(*(pika.generate("A fox", seed=n) for n in range(4)))
            return {video.task_id for video in videos}

    assert asyncio.run(create()) == set(quick.charged)


def test_wrong_input_is_an_error_before_anything_is_sent(quick: Simulator, environ: Any) -> None:
    """A name that does not exist, and a value that cannot be sent."""
    with Pika(environ=environ) as pika:
        with pytest.raises(TypeError, match="no such input: zoomm"):
            pika.submit("A fox", zoomm="in")
        with pytest.raises(TypeError, match="no further inputs"):
            pika.submit(ask(), zoom="in")
        with pytest.raises(InvalidInput, match="seed"):
            pika.submit("A fox", seed=-1)
        with pytest.raises(InvalidInput, match="prompt_text"):
            pika.submit(" ")
    assert quick.log == []


def test_package_has_no_other_names() -> None:
    """The client is imported when it is used."""
    assert {"Pika", "AsyncPika"} <= set(pika_api.__all__)
    with pytest.raises(AttributeError):
        _ = pika_api.Nothing


def subclasses(cls: type[PikaError]) -> list[type[PikaError]]:
    return [cls, *(deeper for each in cls.__subclasses__() for deeper in subclasses(each))]


@pytest.mark.parametrize("cls", subclasses(PikaError), ids=lambda cls: cls.__qualname__)
def test_error_can_be_pickled(cls: type[PikaError]) -> None:
    """With all its parts, and with templates that can still be translated."""
    error = cls.__new__(cls)
    error.args = ("what",)
    error.what = Message("Task {id} has {{failed}}.", id="t-1")
    error.charge_note, error.hint = Message("It may have been charged."), "Wait."
    error.catalogue = {}
    error.retryable = True
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is cls
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.what.template == error.what.template


def test_real_errors_can_be_pickled() -> None:
    """With arguments of their own."""
    for error in (
        InvalidInput("seed", "wrong {braces}", "Correct it."),
        errors.JournalError("full", charged=True),
        errors.LimitReached("daily_limit", "reached", hint="Wait."),
        SubmitUnknown("lost"),
        BatchStopped("stopped"),
    ):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_pickle_of_the_settings_has_no_key() -> None:
    """Nor has a copy of them by pickle; other copies in the same process are the same object."""
    settings = Settings(api_key=KEY, base_url="https://a.example")
    data = pickle.dumps(settings)
    assert KEY.encode() not in data
    back = pickle.loads(data)
    assert (back.api_key, back.base_url) == ("", "https://a.example")
    assert copy.copy(settings) is settings
    assert copy.deepcopy([settings])[0].api_key == KEY


def test_result_of_an_earlier_task(environ: Any, tmp_path: Path) -> None:
    """By its id, in another client."""
    with Pika(tmp_path / "out", environ=environ) as pika:
        task_id = pika.submit("A red fox").task_id
    with Pika(tmp_path / "out", environ=environ) as pika:
        assert pika.result(task_id).path.is_file()


def test_unclear_folder_is_an_error(quick: Simulator, tmp_path: Path) -> None:
    """The journal of another folder may have the task already: the program must name one."""
    first, second = tmp_path / "a", tmp_path / "b"
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    for home in (first, second):
        with closing(Journal(sqlite_url(home))) as journal:
            entry = journal.claim(intent(), "me").entry
            assert journal.mark_sent(entry.id, "me")
            journal.record_task(entry, "t")
        register_home(home, environ, pack_folder())
    with pytest.raises(InvalidInput, match="Name the folder with `home`"):
        Pika(environ=environ)
