"""What becomes of a received file: its checksum, the workflow in it, and its place."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import pytest
from PIL import Image

from devtools import ROOT
from pika_api.errors import DownloadFailed
from pika_api.journal import Entry, Journal, State
from pika_api.media import DecodeLimits, is_complete
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import PLAIN, Collected, Delivery, Place, Service, ServicePolicy
from pika_api.tasks.collect import file_stem
from support.api import KEY, RawServer, answer, write_video
from support.media_host import MediaHost, Version
from support.waiting import until

TEXTS = {"workflow": json.dumps({"nodes": ["}{ é"]}), "prompt": json.dumps({"1": {}})}
WITH_TEXTS = Delivery(TEXTS)


class World:
    """A gateway with a finished task, its media host, and a user's folders as in ComfyUI."""

    def __init__(self, home: Path, *versions: bytes | Version) -> None:
        served = [each if isinstance(each, Version) else Version(each) for each in versions]
        self.host = MediaHost(served)
        self.home = home
        self.root = home / "out"
        self.output = self.root / "pika"
        self.policy = ServicePolicy(download_pause=0.01, download_attempts=2)

    def __enter__(self) -> World:
        self.host.__enter__()
        feed = {"videos": [{"status": "finished", "resultUrl": self.host.url}]}
        self.gateway = RawServer(answer(200, feed)).__enter__()
        self.settings = Settings(api_key=KEY, base_url=self.gateway.url)
        self.stem = file_stem(self.settings.gateway, "t")
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.__exit__()
        self.host.__exit__()

    def place(self, prefix: str) -> Place:
        return Place.of(self.root, prefix)

    def collect(self, delivery: Delivery = PLAIN, task: str = "t") -> Collected:
        """As after a restart."""
        with closing(Journal(sqlite_url(self.home), lease=1.0)) as journal:
            service = Service(self.settings, journal, self.output, policy=self.policy)
            with closing(service):
                return asyncio.run(service.collect(task, delivery=delivery))

    def entry(self) -> Entry:
        with closing(Journal(sqlite_url(self.home))) as journal:
            (entry,) = journal.entries()
        return entry

    def names(self) -> list[str]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return sorted(path.relative_to(self.root).as_posix() for path in files)


@pytest.fixture
def video(tmp_path: Path) -> bytes:
    """A clip as the media host sends it."""
    return write_video(tmp_path / "sent.mp4", frames=24, faststart=True).read_bytes()


@pytest.fixture
def world(tmp_path: Path, video: bytes) -> Iterator[World]:
    with World(tmp_path / "home", video) as running:
        yield running


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def texts(path: Path) -> dict[str, str]:
    """The workflow in a file."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
            found = dict(getattr(image, "text", {}))
    else:
        with av.open(str(path)) as container:
            found = dict(container.metadata)
    return {name: found[name] for name in TEXTS if name in found}


def packets(path: Path) -> list[tuple[object, ...]]:
    with av.open(str(path)) as container:
        return [(each.pts, each.dts, bytes(each)) for each in container.demux()]


def test_journal_has_the_checksum_of_what_was_sent(
    world: World, video: bytes, tmp_path: Path
) -> None:
    """Before the workflow is added to the file. The media are the same afterwards, the file is
    complete, and a later run finds it without a download."""
    found = world.collect(WITH_TEXTS)
    assert world.entry().sha256 == sha256(video)
    assert sha256(found.path.read_bytes()) != sha256(video)
    assert (found.note, found.path.name) == ("", f"{world.stem}.mp4")
    assert texts(found.path) == TEXTS
    assert packets(found.path) == packets(tmp_path / "sent.mp4")
    assert is_complete(found.path)
    again = world.collect(Delivery({"workflow": '{"later": 1}'}))
    assert (again.path, again.note) == (found.path, "")
    assert texts(again.path) == TEXTS
    assert len(world.host.seen) == 1
    assert world.names() == [f"pika/{world.stem}.mp4"]
    assert world.entry().last_error == ""


def test_file_that_was_saved_without_a_workflow_stays_so(world: World, video: bytes) -> None:
    """The command line has none. A file that is there is not changed by a later workflow."""
    found = world.collect()
    assert found.path.read_bytes() == video
    assert world.entry().sha256 == sha256(video)
    assert world.collect(WITH_TEXTS).path.read_bytes() == video


def png(folder: Path) -> bytes:
    Image.effect_noise((60, 40), 50).save(folder / "a.png")
    return (folder / "a.png").read_bytes()


def jpeg(folder: Path) -> bytes:
    Image.effect_noise((60, 40), 50).save(folder / "a.jpg")
    return (folder / "a.jpg").read_bytes()


def webm(folder: Path) -> bytes:
    return write_video(folder / "a.webm", codec="libvpx-vp9").read_bytes()


def truncated(folder: Path) -> bytes:
    data = write_video(folder / "b.mp4", frames=48, faststart=True).read_bytes()
    return data[: len(data) * 9 // 10]


def fragmented(folder: Path) -> bytes:
    with av.open(str(folder / "c.mp4"), "w", options={"movflags": "frag_keyframe"}) as container:
        source = av.open(str(write_video(folder / "d.mp4", frames=12)))
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return (folder / "c.mp4").read_bytes()


@pytest.mark.parametrize(
    ("write", "ending", "words"),
    [
        (jpeg, ".jpg", "JPEG"),
        (webm, ".webm", "WebM"),
        (truncated, ".as-received.mp4", "not sound"),
        (fragmented, ".mp4", "fragments"),
    ],
)
def test_file_without_a_place_stays_as_it_was_received(
    tmp_path: Path, write: Callable[[Path], bytes], ending: str, words: str
) -> None:
    """It is returned, with a note. What is only about the workflow is no error of the task."""
    data = write(tmp_path)
    with World(tmp_path / "home", data) as world:
        found = world.collect(WITH_TEXTS)
        assert found.path.name == world.stem + ending
        assert found.path.read_bytes() == data
        assert "The workflow is not in the file" in found.note
        assert words in found.note
        assert ("damaged" in world.entry().last_error) == (write is truncated)
        assert "not in the file" not in world.entry().last_error
        assert world.names() == [f"pika/{found.path.name}"]


def test_picture_gets_its_workflow(tmp_path: Path) -> None:
    """As text chunks of PNG."""
    data = png(tmp_path)
    with World(tmp_path / "home", data) as world:
        found = world.collect(Delivery(TEXTS, world.place("still/x_%width%x%height%")))
        assert found.path == world.root / "still" / "x_60x40_00001_.png"
        assert texts(found.path) == TEXTS
        assert found.path.read_bytes()[33:].endswith(data[33:])
        assert world.entry().sha256 == sha256(data)


def test_file_that_was_not_checked_to_its_end_stays(world: World, video: bytes) -> None:
    """On a machine that is too slow to decode it."""
    world.policy = ServicePolicy(decode_limits=DecodeLimits(seconds=0.0))
    found = world.collect(WITH_TEXTS)
    assert "not checked to its end" in found.note
    assert "The workflow is not in the file" in found.note
    assert found.path.read_bytes() == video


def test_too_large_a_workflow_is_left_out(world: World, video: bytes) -> None:
    """The note says so, and the file is saved at its place."""
    huge = Delivery({"workflow": json.dumps("x" * 9_000_000)}, world.place("a/b"))
    found = world.collect(huge)
    assert found.note == "The workflow is not in the file: it has over 8 MB."
    assert found.path == world.root / "a" / "b_00001_.mp4"
    assert found.path.read_bytes() == video


def test_first_file_has_only_the_chosen_name(world: World) -> None:
    """And the journal knows it. A later run with the same prefix finds it there."""
    delivery = Delivery(TEXTS, world.place("video/pear"))
    for _ in range(3):
        found = world.collect(delivery)
        assert found.path == world.root / "video" / "pear_00001_.mp4"
        assert world.names() == ["video/pear_00001_.mp4"]
        assert (world.entry().state, world.entry().file_path) == (State.SAVED, str(found.path))
    assert len(world.host.seen) == 1


def test_other_prefix_adds_a_name(world: World) -> None:
    """The file is where it is wanted, and stays where another node may use it. Nothing is
    downloaded, and going back and forth adds nothing more."""
    prefixes = ["a/x", "b/y", "", "a/x", "b/y", ""]
    for prefix in prefixes:
        place = world.place(prefix) if prefix else None
        found = world.collect(Delivery(TEXTS, place))
        expected = f"{prefix}_00001_.mp4" if prefix else f"pika/{world.stem}.mp4"
        assert found.path == world.root / expected
        assert texts(found.path) == TEXTS
        assert world.entry().file_path == str(found.path)
    assert world.names() == ["a/x_00001_.mp4", "b/y_00001_.mp4", f"pika/{world.stem}.mp4"]
    assert len(world.host.seen) == 1


def test_deleted_file_is_downloaded_to_the_chosen_place(world: World) -> None:
    """With the workflow of the run that downloads it."""
    delivery = Delivery(TEXTS, world.place("a/x"))
    world.collect(delivery).path.unlink()
    later = Delivery({"workflow": '{"later": 1}'}, delivery.place)
    found = world.collect(later)
    assert found.path == world.root / "a" / "x_00001_.mp4"
    assert texts(found.path) == {"workflow": '{"later": 1}'}
    assert len(world.host.seen) == 2


def test_two_tasks_of_the_same_bytes_have_two_files(world: World) -> None:
    """A gateway can return the same clip for two tasks."""
    delivery = Delivery({}, world.place("a/x"))
    for task, name in (("t", "x_00001_.mp4"), ("u", "x_00002_.mp4"), ("t", "x_00001_.mp4")):
        assert world.collect(delivery, task).path.name == name


def test_place_that_cannot_be_written_to_leaves_the_file(world: World) -> None:
    """A file stands where a folder is needed. The task's file is returned where it is, with a
    note, and with the next prefix it goes to its place."""
    (world.root).mkdir(parents=True)
    (world.root / "video").write_text("mine")
    for _ in range(2):
        found = world.collect(Delivery(TEXTS, world.place("video/x")))
        assert found.path == world.output / f"{world.stem}.mp4"
        assert "It cannot be saved as video/x" in found.note
        assert texts(found.path) == TEXTS
    assert (world.root / "video").read_text() == "mine"
    found = world.collect(Delivery(TEXTS, world.place("clips/x")))
    assert found.path == world.root / "clips" / "x_00001_.mp4"
    assert len(world.host.seen) == 1


def test_full_disk_while_the_workflow_is_added(world: World, video: bytes) -> None:
    """The file stays as it was received. Here a folder stands where the copy would be written."""
    copy = world.output / f"{world.stem}.workflow.part"
    copy.mkdir(parents=True)
    found = world.collect(WITH_TEXTS)
    assert found.path.read_bytes() == video
    assert "The workflow is not in the file" in found.note
    assert world.entry().state is State.SAVED


def test_damaged_file_keeps_its_mark_at_the_chosen_place(tmp_path: Path) -> None:
    """It is not downloaded again."""
    data = truncated(tmp_path)
    with World(tmp_path / "home", data) as world:
        for _ in range(3):
            found = world.collect(Delivery(TEXTS, world.place("a/x")))
            assert found.path == world.root / "a" / "x_00001_.as-received.mp4"
            assert found.path.name in found.note
        assert found.path.read_bytes() == data
        assert len(world.host.seen) == 1


#: Collects the task, and ends, like a computer without power, when a function is called.
DYING = """
import asyncio, os, sys
from pathlib import Path
from pika_api import files
from pika_api.journal import Journal
from pika_api.media import texts
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Delivery, Place, Service, delivery, places

home, url, key, where, when, prefix, *texts_ = sys.argv[1:]
holder = {"add": delivery, "journal": Journal, "files": files, "place": Place}[where]
original = getattr(holder, when)
def die(*arguments, **options):
    if where == "files" and not str(arguments[0]).endswith(".workflow.part"):
        return original(*arguments, **options)
    os._exit(9)
setattr(holder, when, die)
root = Path(home) / "out"
journal = Journal(sqlite_url(Path(home)), lease=0.5)
service = Service(Settings(api_key=key, base_url=url), journal, root / "pika")
place = Place.of(root, prefix) if prefix else None
wanted = Delivery(dict(zip(texts_[::2], texts_[1::2])), place)
asyncio.run(service.collect("t", delivery=wanted))
"""
#: Where the process ends, and whether the checksum is recorded by then.
DEATHS = {
    "before the checksum is recorded": ("journal", "mark_received", False),
    "before the workflow is added": ("add", "add_texts", True),
    "with the copy complete": ("files", "replace_file", True),
    "before it gets its name": ("place", "save", True),
    "before it is recorded": ("journal", "mark_saved", True),
}


@pytest.mark.parametrize("prefix", ["", "video/x"])
@pytest.mark.parametrize("moment", DEATHS)
def test_process_that_ends_at_any_moment_loses_nothing(
    world: World, video: bytes, tmp_path: Path, moment: str, prefix: str
) -> None:
    """The next run has the file, complete and at its place, without a download and without rests.
    It also has the workflow, if it is certain that the file is as it was received."""
    where, when, recorded = DEATHS[moment]
    if where == "place" and not prefix:
        return
    arguments = [str(world.home), world.gateway.url, KEY, where, when, prefix]
    arguments += [each for pair in TEXTS.items() for each in pair]
    ended = subprocess.run(
        [sys.executable, "-c", DYING, *arguments], cwd=ROOT, check=False, timeout=300
    )
    assert ended.returncode == 9
    until(lambda: time.time() > world.entry().lease_until, what="the end of the lease")
    found = world.collect(Delivery(TEXTS, world.place(prefix) if prefix else None))
    name = f"{prefix}_00001_.mp4" if prefix else f"pika/{world.stem}.mp4"
    assert found.path == world.root / name
    assert world.names() == [name]
    assert packets(found.path) == packets(tmp_path / "sent.mp4")
    assert texts(found.path) == (TEXTS if recorded else {})
    assert world.entry().sha256 == (sha256(video) if recorded else "")
    assert len(world.host.seen) == 1


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.05, 0.1])
def test_killed_process_loses_nothing(world: World, tmp_path: Path, delay: float) -> None:
    """Killed from outside after the file was inspected. The next run has the file at its place, and
    it plays the same, without a download. Of the file as it was received, one name may be left."""
    script = DYING.replace("setattr(holder, when, die)", "")
    arguments = [str(world.home), world.gateway.url, KEY, "add", "add_texts", "video/x"]
    arguments += [each for pair in TEXTS.items() for each in pair]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT)
    while process.poll() is None and not list(world.root.rglob("*.mp4")):
        time.sleep(0.002)
    time.sleep(delay)
    process.kill()
    process.wait(30)
    time.sleep(0.6)  # its lease
    found = world.collect(Delivery(TEXTS, world.place("video/x")))
    assert found.path == world.root / "video" / "x_00001_.mp4"
    assert packets(found.path) == packets(tmp_path / "sent.mp4")
    names = [name for name in world.names() if name.endswith(".mp4")]
    assert names[-1] == "video/x_00001_.mp4"
    assert len(names) <= 2
    assert len(world.host.seen) == 1


def test_workers_that_want_different_places_all_have_their_file(world: World) -> None:
    """Nodes and processes that collect the same task at once, with and without a prefix. It is
    downloaded once, and every path that is returned exists."""
    places = [None, world.place("a/x"), None, world.place("b/y"), world.place("a/x"), None]
    results: list[Collected] = []
    errors: list[BaseException] = []
    start = threading.Barrier(len(places))

    def work(place: Place | None) -> None:
        start.wait(30)
        try:
            results.append(world.collect(Delivery(TEXTS, place)))
        except BaseException as error:  # noqa: BLE001 - the test fails on it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert len(world.host.seen) == 1
    assert all(found.path.is_file() for found in results)
    assert {texts(found.path)["workflow"] for found in results} == {TEXTS["workflow"]}
    assert {name.partition("/")[0] for name in world.names()} == {"a", "b", "pika"}


def test_file_of_another_worker_is_left_alone(world: World) -> None:
    """It was received, and is not recorded yet: another worker has the lease, and will move it."""
    world.policy = ServicePolicy(row_check=0.01)
    world.output.mkdir(parents=True)
    with closing(Journal(sqlite_url(world.home), lease=1.0)) as journal:
        entry = journal.adopt("t", world.gateway.url, world.settings.key_id)
        journal.mark_finished(entry.id, world.host.url)
        (world.output / f"{world.stem}.mp4").write_bytes(world.host.versions[0].data)
        assert journal.acquire_lease(entry.id, "another")
        began = time.monotonic()
        found = world.collect()
    assert time.monotonic() - began > 0.5
    assert found.path.is_file()
    assert len(world.host.seen) == 0


def test_unread_file_has_its_checksum(tmp_path: Path) -> None:
    """It was paid for, too."""
    data = bytes(range(256)) * 9
    with World(tmp_path / "home", data) as world:
        with pytest.raises(DownloadFailed, match="cannot be read here"):
            world.collect(Delivery(TEXTS, world.place("a/x")))
        assert world.entry().sha256 == sha256(data)
        assert world.names() == [f"pika/{world.stem}.as-received.bin"]
