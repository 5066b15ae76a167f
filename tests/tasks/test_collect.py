"""From a finished task to a complete file in the output folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api.errors import DownloadFailed, LinkRefused
from pika_api.gateway.partial import PartInfo
from pika_api.journal import State
from pika_api.media import Probe, probe_file
from pika_api.request import Options
from pika_api.settings import Settings
from pika_api.tasks import ServicePolicy
from pika_api.tasks.collect import ProbeCache, file_stem
from support.api import ServiceHarness, ask, run, write_video

#: The identities of two gateways.
DEFAULT = Settings().gateway
OTHER = Settings(base_url="https://gateway.example/v1").gateway


def media(harness: ServiceHarness) -> list[Any]:
    """What was asked of the media host."""
    return harness.gateway.requests(server="cdn")


def files(harness: ServiceHarness) -> list[str]:
    """What lies in the output folder."""
    return sorted(path.name for path in harness.output.iterdir()) if harness.output.exists() else []


def test_file_is_downloaded_checked_and_named(harness: ServiceHarness) -> None:
    """A complete MP4 under the task's id, no .part file, and a row in state saved."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    assert found.path == harness.output / f"{file_stem(harness.gateway_id, task_id)}.mp4"
    assert files(harness) == [found.path.name]
    assert probe_file(found.path, decode=True) == found.probe
    (entry,) = harness.journal.entries()
    assert (entry.state, entry.file_path) == (State.SAVED, str(found.path))
    assert "Authorization" not in media(harness)[0].headers


def test_still_image_is_saved_as_picture(harness: ServiceHarness) -> None:
    """Without an aspect ratio the result is a PNG with the suffix of its content."""
    task_id = harness.submit(ask(options=Options(aspect_ratio=None)))
    found = run(harness.service.collect(task_id))
    assert (found.path.suffix, found.probe.kind) == (".png", "image")


def test_existing_file_needs_no_request(harness: ServiceHarness) -> None:
    """In the same service and, after a restart, in another one."""
    task_id = harness.submit()
    first = run(harness.service.collect(task_id))
    before = len(harness.gateway.log)
    for service in (harness.service, harness.another()):
        again = run(service.collect(task_id))
        assert (again.path, again.probe) == (first.path, first.probe)
    assert len(harness.gateway.log) == before


def test_two_services_download_a_file_once(harness: ServiceHarness) -> None:
    """Two nodes with one id in two services: one request for the file, one file for both."""
    task_id = harness.submit()
    harness.gateway.fault("media", delay=0.5)
    services = harness.service, harness.another()

    async def both() -> list[Any]:
        return await asyncio.gather(*(service.collect(task_id) for service in services))

    one, two = run(both())
    assert one.path == two.path
    assert len(media(harness)) == 1


def test_file_is_found_in_a_moved_output_folder(harness: ServiceHarness, tmp_path: Path) -> None:
    """The recorded path is gone; the file of the same name in the current folder is used."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    moved = tmp_path / "moved"
    shutil.move(harness.output, moved)
    before = len(harness.gateway.log)
    again = run(harness.another(output=moved).collect(task_id))
    assert again.path == moved / found.path.name
    assert len(harness.gateway.log) == before


def test_file_is_copied_to_another_output_folder(harness: ServiceHarness, tmp_path: Path) -> None:
    """A file that exists elsewhere is copied, not paid for or downloaded again."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    before = len(harness.gateway.log)
    again = run(harness.another(output=tmp_path / "other").collect(task_id))
    assert again.path.read_bytes() == found.path.read_bytes()
    assert again.path.parent == tmp_path / "other"
    assert len(harness.gateway.log) == before


@pytest.mark.parametrize("damage", ["gone", "cut to nothing"])
def test_deleted_or_empty_file_is_downloaded_again(harness: ServiceHarness, damage: str) -> None:
    """Without a charge."""
    task_id = harness.submit()
    found = run(harness.service.collect(task_id))
    if damage == "gone":
        found.path.unlink()
    else:
        found.path.write_bytes(b"")
    again = run(harness.service.collect(task_id))
    assert probe_file(again.path, decode=True) == found.probe
    assert harness.posts == 1


def test_interrupted_download_continues_with_a_range(harness: ServiceHarness) -> None:
    """The received part is kept, the rest is requested, and the file is complete."""
    task_id = harness.submit()
    harness.gateway.fault("media", cut=1000)
    found = run(harness.service.collect(task_id))
    first, second = media(harness)
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=1000-"
    assert second.status == 206
    probe_file(found.path, decode=True)
    assert files(harness) == [found.path.name]


def test_expired_link_is_refreshed(harness: ServiceHarness) -> None:
    """After a 403 the feed is asked for a new link, and the file is downloaded."""
    task_id = harness.submit()
    harness.gateway.fault("media", expired=True)
    found = run(harness.service.collect(task_id))
    assert [seen.status for seen in media(harness)] == [403, 200]
    assert media(harness)[0].query != media(harness)[1].query
    assert found.path.is_file()


def test_refused_links_end_in_an_error_with_a_hint(harness: ServiceHarness) -> None:
    """The task stays as it is, and the error says how to pay for a new one on purpose."""
    task_id = harness.submit()
    harness.gateway.fault("media", status=404, body="Gone", times=None)
    with pytest.raises(LinkRefused) as caught:
        run(harness.service.collect(task_id))
    for words in (task_id, "paid for and kept", f"forget {task_id}", "HTTP 404"):
        assert words in str(caught.value)
    assert len(media(harness)) == ServicePolicy().refused_links
    assert harness.submit() == task_id
    assert harness.posts == 1


def test_web_page_instead_of_a_video_is_not_saved(harness: ServiceHarness) -> None:
    """HTML as video/mp4 with status 200: the error names the task and quotes the page; no file is
    left."""
    harness.policy = ServicePolicy(download_attempts=2)
    task_id = harness.submit()
    harness.gateway.fault("media", body="<html><body>Please log in</body></html>", times=None)
    with pytest.raises(DownloadFailed, match="begins «<html><body>Please") as caught:
        run(harness.service.collect(task_id))
    assert task_id in str(caught.value)
    assert files(harness) == []
    harness.gateway.clear_faults()
    assert run(harness.service.collect(task_id)).path.is_file()


def test_temporary_media_host_errors_are_retried(harness: ServiceHarness) -> None:
    """503, then a reset, then the file."""
    task_id = harness.submit()
    harness.gateway.fault("media", status=503)
    harness.gateway.fault("media", reset=True)
    assert run(harness.service.collect(task_id)).path.is_file()
    assert len(media(harness)) == 3


def test_part_of_an_earlier_version_is_not_resumed(harness: ServiceHarness) -> None:
    """Nothing says which version of the file it belongs to: the file is downloaded completely."""
    task_id = harness.submit()
    harness.output.mkdir(parents=True)
    (harness.output / f"{file_stem(harness.gateway_id, task_id)}.part").write_bytes(b"x" * 5000)
    found = run(harness.service.collect(task_id))
    assert [seen.status for seen in media(harness)] == [200]
    assert "Range" not in media(harness)[0].headers
    probe_file(found.path, decode=True)
    assert files(harness) == [found.path.name]


def test_part_longer_than_the_file_is_discarded(harness: ServiceHarness) -> None:
    """A .part that is longer than the file: 416, then a complete download."""
    task_id = harness.submit()
    harness.output.mkdir(parents=True)
    part = harness.output / f"{file_stem(harness.gateway_id, task_id)}.part"
    part.write_bytes(b"x" * 5_000_000)
    PartInfo(etag='"abc"').save(part)
    found = run(harness.service.collect(task_id))
    assert [seen.status for seen in media(harness)] == [416, 200]
    probe_file(found.path, decode=True)
    assert files(harness) == [found.path.name]


def test_unwritable_output_fails_at_once(harness: ServiceHarness, tmp_path: Path) -> None:
    """The error has the system's words, the folder, and that the task is kept; there is no second
    attempt."""
    (tmp_path / "file").write_text("in the way")
    task_id = harness.submit()
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DownloadFailed, match="cannot be saved in") as caught:
            run(harness.another(output=output).collect(task_id))
        assert str(output) in str(caught.value)
        assert task_id in str(caught.value)
    assert media(harness) == []
    assert run(harness.service.collect(task_id)).path.is_file()


@pytest.mark.parametrize(
    "task_id",
    ["../../x", "..", "CON", "nul.txt", "a" * 1000, "日本語", "a\0b", "C:\\x", "a b", "", "/etc"],
)
def test_file_stem_examples(task_id: str) -> None:
    """Any id gives one short name inside the folder, valid on every system."""
    for gateway in (DEFAULT, OTHER):
        name = file_stem(gateway, task_id)
        check_stem(name)


def check_stem(name: str) -> None:
    assert Path(name).name == name
    assert len(name) < 120
    assert name.startswith("pika_")


GATEWAYS = st.sampled_from([DEFAULT, OTHER, "http://127.0.0.1:8188", "https://ä.example/v1"])


@given(GATEWAYS, GATEWAYS, st.text(), st.text())
def test_file_stems_are_safe_and_unique(here: str, there: str, one: str, two: str) -> None:
    """Letters, digits, _ and - only; two ids never share a file, and neither do two gateways."""
    names = file_stem(here, one), file_stem(there, two)
    for name in names:
        assert name.isascii()
        assert all(character.isalnum() or character in "_-" for character in name)
        assert 5 <= len(name) < 120
    assert (names[0] == names[1]) == ((here, one) == (there, two))


def test_ids_that_differ_in_case_have_different_files() -> None:
    """Windows and macOS do not distinguish A.mp4 from a.mp4."""
    assert file_stem(DEFAULT, "Task-A").lower() != file_stem(DEFAULT, "task-a").lower()


def test_default_gateway_has_plain_names() -> None:
    """The names that all earlier versions of the pack gave, also for a UUID."""
    for task_id in ("t", "c8091b7b-3d1f-4a55-9c11-0123456789ab", "task_7"):
        assert file_stem(DEFAULT, task_id) == f"pika_{task_id}"
        assert file_stem(OTHER, task_id).startswith(f"pika_{task_id}-")


@pytest.mark.parametrize("task_id", ["t", "A", "a b", "c8091b7b-3d1f-4a55-9c11-0123456789ab"])
def test_id_cannot_imitate_the_name_of_another(task_id: str) -> None:
    """An id may look like the name that another id or another gateway gets with its hash."""
    for gateway in (DEFAULT, OTHER):
        name = file_stem(gateway, task_id)
        for imitation in (name.removeprefix("pika_"), name.removeprefix("pika_").lower()):
            if (gateway, task_id) != (DEFAULT, imitation):
                assert file_stem(DEFAULT, imitation) != name


def test_an_unchanged_file_is_decoded_once(tmp_path: Path) -> None:
    """A file with the same size and modification time is not decoded again; a changed one is."""
    decoded = []

    def decode(path: Path) -> Probe:
        decoded.append(path)
        return probe_file(path, decode=True)

    path = write_video(tmp_path / "clip.mp4")
    cache = ProbeCache(decode)
    assert cache.get(path) == cache.get(path) == probe_file(path)
    assert decoded == [path]
    os.utime(path, (1, 1))
    assert cache.get(path) == probe_file(path)
    assert decoded == [path, path]


def test_shortened_file_is_downloaded_again(harness: ServiceHarness) -> None:
    """A file that was cut short after it was collected is replaced."""
    task_id = harness.submit()
    path = run(harness.service.collect(task_id)).path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert run(harness.service.collect(task_id)).path.read_bytes() == whole
