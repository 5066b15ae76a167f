"""A complete file that is not opened is kept, and no later run opens it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from media_boxes import mp4, track
from media_corpus import CONTAINERS, tables
from media_samples import clip

from pika_api.errors import DownloadFailed
from pika_api.journal import Journal, State
from pika_api.media import probe_file
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service
from pika_api.tasks.collect import file_stem
from support.api import KEY, RawServer, ServiceHarness, answer, run

ROOT = Path(__file__).parents[2]
HOSTILE = CONTAINERS["mp4_three_tracks_of_60_million"]()

#: Collects a task in a process that the system kills as soon as it decodes a file.
DYING = """
import asyncio, os, sys
from pathlib import Path
from pika_api.journal import Journal
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Service, collect

home, url, key, task_id = sys.argv[1:]
collect._decode = lambda *_, **__: os._exit(9)
journal = Journal(sqlite_url(Path(home)), lease=0.5)
service = Service(Settings(api_key=key, base_url=url), journal, Path(home) / "output")
asyncio.run(service.collect(task_id))
"""


def downloads(harness: ServiceHarness) -> int:
    """How often the file was requested."""
    return len(harness.gateway.requests(server="cdn"))


def names(folder: Path) -> list[str]:
    """The files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_hostile_result_is_kept_and_not_opened(tmp_path: Path) -> None:
    """The error says why, where it is and what to do. It is downloaded once, and never again."""
    with RawServer(answer(200, HOSTILE)) as media_host:
        feed = {"videos": [{"status": "finished", "resultUrl": f"{media_host.url}/v.mp4"}]}
        with RawServer(answer(200, feed)) as gateway, closing(Journal(sqlite_url(tmp_path))) as own:
            settings = Settings(api_key=KEY, base_url=gateway.url)
            path = tmp_path / "output" / f"{file_stem(settings.gateway, 't')}.unchecked"
            with closing(Service(settings, own, path.parent)) as service:
                for words in (f"60000000 samples in {len(HOSTILE)} bytes", "it was refused"):
                    with pytest.raises(DownloadFailed, match=words) as caught:
                        run(service.collect("t"))
                    for part in (str(path), "paid for", "move it elsewhere"):
                        assert part in str(caught.value)
        assert len(media_host.seen) == 1
    assert path.read_bytes() == HOSTILE
    assert names(path.parent) == [path.name]


def test_file_on_which_the_process_died_is_not_opened_again(harness: ServiceHarness) -> None:
    """It is complete and kept under a name of its own. Moved away, it is downloaded again."""
    harness.lease = 0.5
    task_id = harness.submit()
    arguments = [str(harness.home), harness.gateway.url, harness.gateway.key, task_id]
    ended = subprocess.run(
        [sys.executable, "-c", DYING, *arguments], cwd=ROOT, check=False, timeout=120
    )
    assert ended.returncode == 9
    path = harness.output / f"{file_stem(harness.gateway_id, task_id)}.unchecked"
    assert names(harness.output) == [path.name]
    before = downloads(harness)
    service = harness.another()
    for _ in range(2):
        with pytest.raises(DownloadFailed, match="the process ended") as caught:
            run(service.collect(task_id))
    assert str(path) in str(caught.value)
    assert downloads(harness) == before
    (entry,) = harness.journal.entries()
    assert entry.state is State.FINISHED
    probe_file(path.rename(harness.home / "moved.mp4"), decode=True)
    assert run(service.collect(task_id)).path.is_file()
    assert harness.posts == 1


def test_valid_file_under_that_name_is_not_opened_either(harness: ServiceHarness) -> None:
    """The name decides: a look into the file could be what ends the process."""
    task_id = harness.submit()
    harness.output.mkdir(parents=True)
    path = harness.output / f"{file_stem(harness.gateway_id, task_id)}.unchecked"
    clip(harness.home / "a.mp4").rename(path)
    with pytest.raises(DownloadFailed, match="not opened"):
        run(harness.service.collect(task_id))
    assert names(harness.output) == [path.name]


def test_saved_file_that_is_refused_later_is_kept(harness: ServiceHarness) -> None:
    """A newer version of the pack can be stricter. The file is not downloaded again."""
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    path.write_bytes(mp4(track(*tables(60_000_000))))
    before = downloads(harness)
    with pytest.raises(DownloadFailed, match="not opened: it declares 60000000") as caught:
        run(harness.service.collect(task_id))
    assert str(path) in str(caught.value)
    assert downloads(harness) == before
    assert names(harness.output) == [path.name]
