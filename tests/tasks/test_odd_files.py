"""A complete file that cannot be decoded, or only in part, is kept, recorded and returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pika_api.errors import DownloadFailed
from pika_api.journal import Entry, Journal, State
from pika_api.media import DecodeLimits, first_frame
from pika_api.settings import Settings, sqlite_url
from pika_api.tasks import Collected, Service, ServicePolicy
from pika_api.tasks.collect import file_stem
from support.api import KEY, RawServer, answer, write_video
from support.media_host import MediaHost, Version

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


@dataclass
class World:
    """A gateway with one finished task, its media host, and the services of one user."""

    host: MediaHost
    gateway: RawServer
    home: Path
    policy: ServicePolicy

    @property
    def output(self) -> Path:
        return self.home / "output"

    @property
    def stem(self) -> str:
        return file_stem(self.settings.gateway, "t")

    @property
    def settings(self) -> Settings:
        return Settings(api_key=KEY, base_url=self.gateway.url)

    @contextmanager
    def service(self) -> Iterator[Service]:
        """A service as after a restart: it has inspected nothing yet."""
        journal = Journal(sqlite_url(self.home))
        service = Service(self.settings, journal, self.output, policy=self.policy)
        try:
            yield service
        finally:
            service.close()
            journal.close()

    def collect(self) -> Collected:
        with self.service() as service:
            return asyncio.run(service.collect("t"))

    def fail(self, words: str) -> str:
        """Collect it in vain. Returns the error."""
        with self.service() as service, pytest.raises(DownloadFailed, match=words) as caught:
            asyncio.run(service.collect("t"))
        assert "new take" not in str(caught.value)
        assert "forget" not in str(caught.value)
        assert "paid for" in str(caught.value)
        return str(caught.value)

    def entry(self) -> Entry:
        with self.service() as service:
            (entry,) = service.journal.entries()
        return entry

    def names(self) -> list[str]:
        return sorted(path.name for path in self.output.iterdir())


Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a world whose media host serves these versions of the file."""
    worlds: list[World] = []

    def begin(*versions: bytes | Version, **policy: Any) -> World:
        served = [each if isinstance(each, Version) else Version(each) for each in versions]
        host = MediaHost(served).__enter__()
        feed = {"videos": [{"status": "finished", "resultUrl": host.url}]}
        gateway = RawServer(answer(200, feed)).__enter__()
        values = {"download_pause": 0.01, "download_attempts": 3} | policy
        worlds.append(World(host, gateway, tmp_path, ServicePolicy(**values)))
        return worlds[-1]

    yield begin
    for world in worlds:
        world.gateway.__exit__()
        world.host.__exit__()


def encode(path: Path, codec: str, options: dict[str, str], frames: int = 48) -> Path:
    """A clip with several groups of pictures, of moving noise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            image = np.roll(np.resize(PIXELS, (48, 64, 3)), number * 3, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def without_first_packets(path: Path, count: int) -> bytes:
    """A clip that was cut without encoding it again: it begins within a group of pictures."""
    target = path.with_name(f"cut{path.suffix}")
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        for packet in packets[count:]:
            packet.stream = copy
            container.mux(packet)
    return target.read_bytes()


X264 = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}
X265 = {"x265-params": "log-level=none:open-gop=1:keyint=12:bframes=3"}
VP9 = {"g": "12", "cpu-used": "8"}


def cut_h264(folder: Path) -> bytes:
    return without_first_packets(encode(folder / "a.mp4", "libx264", X264), 14)


def cut_h265(folder: Path) -> bytes:
    return without_first_packets(encode(folder / "a.mp4", "libx265", X265), 14)


def cut_vp9(folder: Path) -> bytes:
    return without_first_packets(encode(folder / "a.mp4", "libvpx-vp9", VP9), 5)


def truncated_at_source(folder: Path) -> bytes:
    data = write_video(folder / "a.mp4", frames=48, faststart=True).read_bytes()
    return data[: len(data) * 9 // 10]


#: Clips of which a part can be decoded.
PARTLY: dict[str, Callable[[Path], bytes]] = {
    "open group of H.264": cut_h264,
    "open group of HEVC": cut_h265,
    "cut VP9": cut_vp9,
    "truncated at the source": truncated_at_source,
}


@pytest.mark.parametrize("name", sorted(PARTLY))
def test_clip_that_can_be_read_in_part_is_returned(start: Start, tmp_path: Path, name: str) -> None:
    """It is downloaded once, also after a restart. The note says what is odd and where it is."""
    data = PARTLY[name](tmp_path)
    world = start(data)
    for _ in range(3):
        found = world.collect()
        assert found.path == world.output / f"{world.stem}.as-received.mp4"
        assert "frames can be decoded" in found.note
        assert found.path.name in found.note
        assert first_frame(found.path).shape == (1, 48, 64, 3)
    assert len(world.host.seen) == 1
    assert found.path.read_bytes() == data
    assert world.names() == [found.path.name]
    entry = world.entry()
    assert (entry.state, entry.file_path) == (State.SAVED, str(found.path))
    assert "frames can be decoded" in entry.last_error


def test_damaged_file_is_downloaded_again_when_it_is_deleted(start: Start, tmp_path: Path) -> None:
    """As its note says. A sound file then has no note and the usual name."""
    sound = write_video(tmp_path / "b.mp4").read_bytes()
    world = start(truncated_at_source(tmp_path), sound)
    world.collect().path.unlink()
    found = world.collect()
    assert (found.note, found.path.name) == ("", f"{world.stem}.mp4")
    assert found.path.read_bytes() == sound
    assert world.entry().last_error == ""


def picture(form: str, **options: Any) -> Callable[[Path], bytes]:
    def write(folder: Path) -> bytes:
        Image.fromarray(PIXELS).save(folder / "a", form, **options)
        return (folder / "a").read_bytes()

    return write


@pytest.mark.parametrize(("form", "suffix"), [("BMP", ".bmp"), ("TIFF", ".tiff")])
def test_bitmap_is_an_image(start: Start, tmp_path: Path, form: str, suffix: str) -> None:
    """Pillow opens it, after its sizes were checked."""
    world = start(picture(form)(tmp_path))
    found = world.collect()
    assert (found.path.name, found.note) == (world.stem + suffix, "")
    assert found.probe.kind == "image"
    assert (np.rint(first_frame(found.path)[0] * 255) == PIXELS).all()
    assert world.collect().path == found.path
    assert len(world.host.seen) == 1


def container(name: str, codec: str = "libx264") -> Callable[[Path], bytes]:
    return lambda folder: write_video(folder / name, codec=codec).read_bytes()


def unknown_codec(folder: Path) -> bytes:
    data = write_video(folder / "a.mp4", faststart=True).read_bytes()
    return data.replace(b"avc1", b"zzz1")


def without_index(folder: Path) -> bytes:
    data = write_video(folder / "a.mp4").read_bytes()
    return data[: data.index(b"moov") - 4]


def half_a_picture(folder: Path) -> bytes:
    data = picture("PNG")(folder)
    return data[: len(data) // 2]


#: Complete files of which nothing can be read here: the ending of the name, and their content.
UNREAD: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "AVI": (".avi", container("a.avi", "mpeg4")),
    "transport stream": (".ts", container("a.ts")),
    "FLV": (".flv", container("a.flv")),
    "MPEG": (".mpg", container("a.mpg", "mpeg2video")),
    "TIFF with JPEG": (".tiff", picture("TIFF", compression="jpeg")),
    "codec": (".as-received.mp4", unknown_codec),
    "no index": (".as-received.mp4", without_index),
    "half a PNG": (".as-received.png", half_a_picture),
    "unknown": (".as-received.bin", lambda _folder: bytes(range(256)) * 9),
    "JPEG XL": (".as-received.bin", lambda _folder: b"\xff\x0a" + bytes(200)),
}


@pytest.mark.parametrize("name", sorted(UNREAD))
def test_file_that_cannot_be_read_is_kept(start: Start, tmp_path: Path, name: str) -> None:
    """The error says why and where it is, the journal knows it, and it is downloaded once."""
    ending, write = UNREAD[name]
    data = write(tmp_path)
    world = start(data)
    path = world.output / (world.stem + ending)
    for _ in range(3):
        error = world.fail("cannot be read here")
        assert str(path) in error
    assert path.read_bytes() == data
    assert world.names() == [path.name]
    assert len(world.host.seen) == 1
    entry = world.entry()
    assert (entry.state, entry.file_path) == (State.SAVED, str(path))
    assert "cannot be read here" in entry.last_error
    path.unlink()
    world.host.versions = [Version(write_video(tmp_path / "b.mp4").read_bytes())]
    assert world.collect().path.name == f"{world.stem}.mp4"


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("b.mp4", "mpeg4"), ("c.webm", "libvpx-vp9")]
)
def test_slow_machine_gets_its_clip(start: Start, tmp_path: Path, name: str, codec: str) -> None:
    """Decoding the clip takes longer than its limit. It is not called damaged."""
    data = write_video(tmp_path / name, codec=codec).read_bytes()
    world = start(data, decode_limits=DecodeLimits(seconds=0.0))
    for _ in range(2):
        found = world.collect()
        assert found.path == world.output / (world.stem + Path(name).suffix)
        assert "takes over 0 s to decode" in found.note
        assert "damaged" not in found.note
    assert found.path.read_bytes() == data
    assert len(world.host.seen) == 1
    world.policy = ServicePolicy()
    assert world.collect().note == ""


def test_clip_of_years_is_not_called_slow(start: Start, tmp_path: Path) -> None:
    """Other nodes would decode all of it. It is kept, and not opened again."""
    data = write_video(tmp_path / "a.mp4").read_bytes()
    world = start(data, decode_limits=DecodeLimits(seconds=0.0, slow_frames=11))
    for words in ("takes over 0 s", "it was refused"):
        error = world.fail(words)
        assert str(world.output / f"{world.stem}.unchecked") in error
    assert len(world.host.seen) == 1


PAGES = {
    "html": b"<!doctype html><title>Expired</title>" * 9,
    "json": b'{"code": "AccessDenied"}',
    "text": b"Gone.\n",
}


@pytest.mark.parametrize("name", sorted(PAGES))
@pytest.mark.parametrize("length", ["length", "chunked", "close"])
def test_page_instead_of_the_file_asks_for_a_fresh_link(
    start: Start, tmp_path: Path, name: str, length: str
) -> None:
    """A page with status 200, as expired links give, then the file."""
    sound = write_video(tmp_path / "b.mp4").read_bytes()
    world = start(Version(PAGES[name], length=length), sound)
    feeds = len(world.gateway.seen)
    assert world.collect().path.read_bytes() == sound
    assert len(world.gateway.seen) - feeds == 2
    assert len(world.names()) == 1


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_that_always_comes_is_quoted(start: Start, name: str) -> None:
    """The attempts are bounded, no file is left, and nothing advises to pay for a new take."""
    world = start(PAGES[name])
    error = world.fail("neither a video nor a picture")
    assert PAGES[name][:20].decode().strip() in error
    assert "costs nothing" in error
    assert world.names() == []
    assert len(world.host.seen) == 3
    assert world.entry().state is State.FINISHED


def test_file_damaged_later_is_returned_if_no_other_can_be_had(
    start: Start, tmp_path: Path
) -> None:
    """A part of it can be read, and its link has expired."""
    world = start(write_video(tmp_path / "b.mp4", frames=48, faststart=True).read_bytes())
    path = world.collect().path
    path.write_bytes(path.read_bytes()[:-300])
    world.host.versions = [Version(PAGES["html"])]
    found = world.collect()
    assert found.path == path
    assert "frames can be decoded" in found.note


def test_file_damaged_later_is_downloaded_again(start: Start, tmp_path: Path) -> None:
    """Only a file that was received so is accepted as it is."""
    data = write_video(tmp_path / "b.mp4", frames=48, faststart=True).read_bytes()
    world = start(data)
    path = world.collect().path
    path.write_bytes(data[:-300])
    assert world.collect().note == ""
    assert path.read_bytes() == data


def test_download_after_failures_is_recorded(start: Start, tmp_path: Path) -> None:
    """The file was deleted, and its download failed at first. Its row is changed, for the list of
    tasks, and no error of an earlier attempt is left."""
    data = write_video(tmp_path / "b.mp4").read_bytes()
    world = start(data)
    path = world.collect().path
    before = world.entry()
    path.unlink()
    world.host.versions = [Version(PAGES["html"]), Version(data)]
    assert world.collect().path == path
    entry = world.entry()
    assert (entry.state, entry.last_error) == (State.SAVED, "")
    assert entry.revision > before.revision
