"""From a finished task to a whole file in the output folder."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import DownloadFailed, LinkRefused
from pika_api.journal import State
from pika_api.media import probe_file
from pika_api.request import Options
from pika_api.tasks import collect
from pika_api.tasks.collect import file_stem
from support.api import ServiceHarness, ask, run


def media(harness: ServiceHarness) -> list[Any]:
    """What was asked of the media host."""
    return harness.gateway.requests(server="cdn")


def files(harness: ServiceHarness) -> list[str]:
    """What lies in the output folder."""
    return sorted(path.name for path in harness.output.iterdir()) if harness.output.exists() else []


def test_a_file_is_brought_checked_and_named(harness: ServiceHarness) -> None:
    """A whole MP4 under the task's id, no .part beside it, and a row that says saved."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    assert found.path == harness.output / f"pika_{task_id}.mp4"
    assert files(harness) == [found.path.name]
    assert probe_file(found.path, decode=True) == found.probe
    (entry,) = harness.journal.entries()
    assert (entry.state, entry.file_path) == (State.SAVED, str(found.path))
    assert "Authorization" not in media(harness)[0].headers


def test_a_still_image_is_a_picture(harness: ServiceHarness) -> None:
    """Without an aspect ratio the result is a PNG, named by what it is."""
    task_id = harness.submit(ask(options=Options(aspect_ratio=None)))
    found = run(harness.service.collect(task_id))
    assert (found.path.suffix, found.probe.kind) == (".png", "image")


def test_a_file_on_disk_costs_no_request(harness: ServiceHarness) -> None:
    """Today and after a restart, by another service."""
    task_id = harness.submit()
    first = run(harness.service.collect(task_id))
    before = len(harness.gateway.log)
    for service in (harness.service, harness.another()):
        again = run(service.collect(task_id))
        assert (again.path, again.probe) == (first.path, first.probe)
    assert len(harness.gateway.log) == before


def test_two_at_once_download_once(harness: ServiceHarness) -> None:
    """Two nodes with one id, in two services: one request for the file, one file for both."""
    task_id = harness.submit()
    harness.gateway.fault("media", delay=0.5)
    services = harness.service, harness.another()

    async def both() -> list[Any]:
        return await asyncio.gather(*(service.collect(task_id) for service in services))

    one, two = run(both())
    assert one.path == two.path
    assert len(media(harness)) == 1


def test_a_moved_output_folder_is_found(harness: ServiceHarness, tmp_path: Path) -> None:
    """The path that was written down is gone; the same name in today's folder is the file."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    moved = tmp_path / "moved"
    shutil.move(harness.output, moved)
    before = len(harness.gateway.log)
    again = run(harness.another(output=moved).collect(task_id))
    assert again.path == moved / found.path.name
    assert len(harness.gateway.log) == before


def test_another_output_folder_gets_its_copy(harness: ServiceHarness, tmp_path: Path) -> None:
    """The file is elsewhere: it is copied, not paid for or downloaded again."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    before = len(harness.gateway.log)
    again = run(harness.another(output=tmp_path / "other").collect(task_id))
    assert again.path.read_bytes() == found.path.read_bytes()
    assert again.path.parent == tmp_path / "other"
    assert len(harness.gateway.log) == before


@pytest.mark.parametrize("damage", ["gone", "cut to nothing"])
def test_a_damaged_file_is_fetched_again(harness: ServiceHarness, damage: str) -> None:
    """Deleted or emptied: it comes again, without a charge."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    if damage == "gone":
        found.path.unlink()
    else:
        found.path.write_bytes(b"")
    again = run(harness.service.collect(task_id))
    assert probe_file(again.path, decode=True) == found.probe
    assert harness.posts == 1


def test_a_cut_download_goes_on_with_a_range(harness: ServiceHarness) -> None:
    """What came is kept, the rest is asked for, and the file is whole."""
    task_id = harness.submit()
    harness.gateway.fault("media", cut=1000)
    found = run(harness.service.collect(task_id))
    first, second = media(harness)
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=1000-"
    assert second.status == 206
    probe_file(found.path, decode=True)
    assert files(harness) == [found.path.name]


def test_an_expired_link_is_refreshed(harness: ServiceHarness) -> None:
    """403: the feed is asked for a new link, and the file comes."""
    task_id = harness.submit()
    harness.gateway.fault("media", expired=True)
    found = run(harness.service.collect(task_id))
    assert [seen.status for seen in media(harness)] == [403, 200]
    assert media(harness)[0].query != media(harness)[1].query
    assert found.path.is_file()


def test_a_dead_link_names_the_task_and_the_way_out(harness: ServiceHarness) -> None:
    """Every link is refused: the task stays as it is, and how to pay for a new one on purpose."""
    task_id = harness.submit()
    harness.gateway.fault("media", status=404, body="Gone", times=None)
    with pytest.raises(LinkRefused) as caught:
        run(harness.service.collect(task_id))
    for words in (task_id, "paid for and kept", f"forget {task_id}", "HTTP 404"):
        assert words in str(caught.value)
    assert len(media(harness)) == collect.MAX_REFUSED_LINKS
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_a_page_instead_of_a_video_is_not_kept(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTML as video/mp4 with 200: an error that names the task and quotes it; no file is left."""
    monkeypatch.setattr(collect, "MAX_ATTEMPTS", 2)
    task_id = harness.submit()
    harness.gateway.fault("media", body="<html><body>Please log in</body></html>", times=None)
    with pytest.raises(DownloadFailed, match="begins «<html><body>Please") as caught:
        run(harness.service.collect(task_id))
    assert task_id in str(caught.value)
    assert files(harness) == []
    harness.gateway.clear_faults()
    assert run(harness.service.collect(task_id)).path.is_file()


def test_trouble_at_the_media_host_passes(harness: ServiceHarness) -> None:
    """503, then a reset, then the file."""
    task_id = harness.submit()
    harness.gateway.fault("media", status=503)
    harness.gateway.fault("media", reset=True)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert len(media(harness)) == 3


def test_a_part_of_another_file_is_not_gone_on_with(harness: ServiceHarness) -> None:
    """A .part that is longer than the file: 416, thrown away, and the file comes whole."""
    task_id = harness.submit()
    harness.output.mkdir(parents=True)
    (harness.output / f"{file_stem(task_id)}.part").write_bytes(b"x" * 5_000_000)
    found = run(harness.service.collect(task_id))
    assert [seen.status for seen in media(harness)] == [416, 200]
    probe_file(found.path, decode=True)


def test_an_output_that_is_a_file_is_told_at_once(harness: ServiceHarness, tmp_path: Path) -> None:
    """The disk's own words, the folder, and that the task is kept; no second try."""
    (tmp_path / "file").write_text("in the way")
    task_id = harness.submit()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DownloadFailed, match="cannot be kept in") as caught:
            run(harness.another(output=output).collect(task_id))
        assert str(output) in str(caught.value)
        assert task_id in str(caught.value)
    assert media(harness) == []
    assert run(harness.service.collect(task_id)).path.is_file()


@pytest.mark.parametrize(
    "task_id",
    ["../../x", "..", "CON", "nul.txt", "a" * 1000, "日本語", "a\0b", "C:\\x", "a b", "", "/etc"],
)
def test_a_file_name_is_safe(task_id: str) -> None:
    """Whatever the gateway calls its task: one short name, in the folder, on every system."""
    name = file_stem(task_id)
    assert Path(name).name == name
    assert len(name) < 120
    assert name.startswith("pika_")


@given(st.text(), st.text())
def test_file_names_are_safe_and_different(one: str, two: str) -> None:
    """Letters, digits, _ and - only; two ids never share a file."""
    for name in (file_stem(one), file_stem(two)):
        assert name.isascii()
        assert all(character.isalnum() or character in "_-" for character in name)
        assert 5 <= len(name) < 120
    assert (file_stem(one) == file_stem(two)) == (one == two)


def test_ids_that_differ_in_case_do_not_share_a_file() -> None:
    """Windows and macOS do not tell A.mp4 from a.mp4."""
    assert file_stem("Task-A").lower() != file_stem("task-a").lower()
