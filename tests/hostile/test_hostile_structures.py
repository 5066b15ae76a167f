"""Files that declare more than they have are refused before anything is allocated for them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from media_boxes import (
    EBML,
    FTYP,
    box,
    cluster,
    element,
    full,
    movie,
    mp4,
    sound_entry,
    table,
    track,
    u16,
    u32,
    video_entry,
    webm,
)
from media_corpus import CONTAINERS, PICTURES, png, png_chunk, tables
from media_samples import VIDEOS, clip, picture
from media_worker import Verdict, Worker
from PIL import Image, PngImagePlugin

from pika_api.errors import InvalidInput
from pika_api.media import (
    MediaKind,
    NotMedia,
    RefusedMedia,
    StructureLimits,
    UnreadFormat,
    check_structure,
    first_frame,
    open_picture,
    prepare_video_file,
    probe_file,
    read_image_file,
    read_video_file,
)
from pika_api.tasks.collect import file_suffix

#: Megabytes that the inspection of a hostile file may take. Measured: at most 34.
ROOM = 64
PIXELS = 50_000_000

#: FFmpeg's packets before it knows a stream's parameters; bounded by time, not by structure.
SLOW = "webm_falling_times"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A process with limited memory."""
    process = Worker()
    try:
        yield process
    finally:
        process.close()


def inspect(worker: Worker, folder: Path, data: bytes) -> Verdict:
    """The worker's verdict on a file with this content."""
    path = folder / "file.part"
    path.write_bytes(data)
    return worker.inspect(path)


def declared(data: bytes, limits: StructureLimits | None = None) -> str:
    """Why a file is refused; empty if it is not."""
    try:
        check_structure(io.BytesIO(data), PIXELS, limits or StructureLimits())
    except NotMedia as error:
        return str(error) or "without a reason"
    return ""


@pytest.mark.parametrize("name", sorted({*CONTAINERS, *PICTURES} - {SLOW}))
def test_hostile_file_is_refused_with_little_memory(
    worker: Worker, tmp_path: Path, name: str
) -> None:
    """Whatever a small file declares, no memory is allocated for it."""
    verdict = inspect(worker, tmp_path, {**CONTAINERS, **PICTURES}[name]())
    assert verdict.error in ("NotMedia", "RefusedMedia"), verdict
    assert verdict.megabytes < ROOM


def test_message_says_what_is_declared() -> None:
    """The numbers of the issue: 60 million samples in 1.6 KB."""
    data = CONTAINERS["mp4_three_tracks_of_60_million"]()
    assert declared(data) == f"it declares 60000000 samples in {len(data)} bytes"


def test_opening_ends_after_its_time(tmp_path: Path) -> None:
    """FFmpeg keeps and sorts 60,000 packets before it knows a track: 60 MB and seconds."""
    process = Worker(open_seconds=0.05)
    try:
        verdict = inspect(process, tmp_path, CONTAINERS[SLOW]())
    finally:
        process.close()
    assert verdict.error == "NotMedia"
    assert verdict.megabytes < ROOM


@pytest.mark.parametrize("name", sorted(VIDEOS))
def test_real_video_is_read(worker: Worker, tmp_path: Path, name: str) -> None:
    """Every kind of real file passes, with the same result as its own structure says."""
    path = VIDEOS[name](tmp_path)
    assert check_structure(path, PIXELS).video_tracks == 1
    probe = probe_file(path, decode=True)
    assert (probe.kind, probe.width, probe.height) == (MediaKind.VIDEO, 64, 48)
    assert probe.duration == pytest.approx(0.0 if name == "webm_live" else 1.0, abs=0.3)
    assert first_frame(path).shape == (1, 48, 64, 3)
    assert worker.inspect(path).text == str(probe)


@pytest.mark.parametrize("name", sorted(VIDEOS))
def test_video_may_be_cut_anywhere(tmp_path: Path, name: str) -> None:
    """A cut file raises no other error. It is not mistaken for a hostile one, but downloaded again
    or, if all its frames are there, accepted."""
    path = VIDEOS[name](tmp_path)
    data = path.read_bytes()
    for step in range(1, 12):
        reason = declared(data[: len(data) * step // 12])
        assert not reason or "cut off" in reason or "no segment" in reason or "id" in reason, reason


# One table each: a count that fits, and one more.


def plain(kind: bytes, entry: int, before: bytes = b"") -> Callable[[int], bytes]:
    """A table with a count and room for three entries of this size."""
    return lambda count: full(kind, before, u32(count), bytes(3 * entry))


#: Tables with room for three entries, for a declared count.
TABLES: dict[str, Callable[[int], bytes]] = {
    "stts": plain(b"stts", 8),
    "ctts": plain(b"ctts", 8),
    "stsc": plain(b"stsc", 12),
    "stco": plain(b"stco", 4),
    "co64": plain(b"co64", 8),
    "stss": plain(b"stss", 4),
    "stps": plain(b"stps", 4),
    "stsd": plain(b"stsd", 8),
    "dref": plain(b"dref", 12),
    "keys": plain(b"keys", 8),
    "senc": plain(b"senc", 1),
    "ssix": plain(b"ssix", 4),
    "subs": plain(b"subs", 6),
    "stsz": plain(b"stsz", 4, u32(0)),
    "stz2 of 8 bits": plain(b"stz2", 1, u32(8)),
    "stz2 of 16 bits": plain(b"stz2", 2, u32(16)),
    "elst": plain(b"elst", 12),
    "elst of 64 bits": lambda count: full(b"elst", u32(count), bytes(60), version=1),
    "trun": lambda count: full(b"trun", u32(count, 0, 0), bytes(48), flags=0xF05),
    "sbgp": plain(b"sbgp", 8, b"roll"),
    "sbgp of version 1": lambda count: full(b"sbgp", b"roll", u32(0, count), bytes(24), version=1),
    "sgpd": lambda count: full(b"sgpd", b"roll", u32(2, count), bytes(6), version=1),
    "sgpd with lengths": lambda count: full(
        b"sgpd", b"roll", u32(0, 0, count), bytes(12), version=2
    ),
    "sgpd of version 0": plain(b"sgpd", 1, b"roll"),
    "saiz": lambda count: full(b"saiz", b"\0", u32(count), bytes(3)),
    "saiz with a type": lambda count: full(
        b"saiz", b"cenc", u32(0), b"\0", u32(count), bytes(3), flags=1
    ),
    "saio": plain(b"saio", 4),
    "saio with a type": lambda count: full(
        b"saio", b"cenc", u32(0, count), bytes(24), version=1, flags=1
    ),
    "pssh": lambda count: full(b"pssh", bytes(16), u32(count), bytes(52), version=1),
    "pssh of version 0": plain(b"pssh", 1, bytes(16)),
    "tfra": plain(b"tfra", 11, u32(1, 0)),
    "tfra of 64 bits": lambda count: full(b"tfra", u32(1, 0x3F, count), bytes(3 * 28), version=1),
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_count_fits_into_its_table(name: str) -> None:
    """As many entries as there are bytes for are accepted, and one more is not."""
    make = TABLES[name]
    assert declared(mp4(track(*tables(), make(3)))) == ""
    assert "declares 4 entries in" in declared(mp4(track(*tables(), make(4))))


def segment_index(count: int, size: int, first: int = 0) -> bytes:
    refs = u32(size, 1000, 0) * 2
    return full(b"sidx", u32(1, 1000, 0, first), u16(0, count), refs)


def test_segment_index_fits() -> None:
    """`sidx` has a count of 16 bits."""
    data = mp4(track(*tables()))
    assert declared(FTYP + segment_index(2, 0) + data[len(FTYP) :]) == ""
    assert "declares 3 entries" in declared(FTYP + segment_index(3, 0) + data[len(FTYP) :])


def test_segment_index_leads_to_boxes() -> None:
    """And not into media data, where other boxes may hide. Beyond the file it leads nowhere."""
    rest = movie(track(*tables())) + box(b"mdat", bytes(64))
    size = len(movie(track(*tables())))
    assert declared(FTYP + segment_index(2, size) + rest) == ""
    assert declared(FTYP + segment_index(2, 10**6) + rest) == ""
    assert "middle of a box" in declared(FTYP + segment_index(2, size - 1) + rest)
    assert "middle of a box" in declared(FTYP + segment_index(1, 0, first=4) + rest)


def test_index_at_the_end_leads_to_boxes() -> None:
    """`mfra` is found through the last bytes of the file, also within other data."""
    access = full(b"tfra", u32(1, 0, 1), u32(0, 40), b"\1\1\1")
    end = box(b"mfra", access, full(b"mfro", u32(8 + len(access) + 16)))
    data = mp4(track(*tables()))
    assert "middle of a box" in declared(data + end)
    assert "middle of a box" in declared(data + box(b"mdat", bytes(9), end))
    assert declared(data + box(b"mdat", bytes(9), end[:-1], b"\0")) == ""


@pytest.mark.parametrize("kind", [b"free", b"hoov"])
def test_movie_in_free_space_is_checked(kind: bytes) -> None:
    """FFmpeg takes it if there is no other."""
    hidden = movie(track(*tables(60_000_000))).replace(b"moov", kind)
    assert "60000000 samples" in declared(FTYP + hidden + box(b"mdat", bytes(64)))
    left = mp4(track(*tables())) + hidden
    assert bool(declared(left)) == (kind == b"hoov")


@pytest.mark.parametrize("version", [b"", bytes(4)], ids=["QuickTime", "MP4"])
def test_metadata_box_is_entered(version: bytes) -> None:
    """With or without a version."""
    handler = full(b"hdlr", u32(0), b"mdta", bytes(12), b"\0")
    meta = box(b"meta", version, handler, full(b"keys", u32(9)))
    assert "declares 9 entries" in declared(mp4(meta, track(*tables())))
    assert declared(mp4(box(b"meta", version), track(*tables()))) == ""
    assert "no handler" in declared(mp4(box(b"meta", bytes(70_000)), track(*tables())))


def test_tags_may_be_no_boxes() -> None:
    """Cameras write text into `udta`; it is cut as FFmpeg does."""
    assert declared(mp4(box(b"udta", b"NIKON!!! COOLPIX 0123456789"), track(*tables()))) == ""
    assert "outside" in declared(mp4(track(*tables(), box(b"abcd", size=99)), data=bytes(200)))


def test_table_in_a_sample_description_is_refused() -> None:
    """FFmpeg reads boxes there at an offset that depends on colour tables."""
    entry = video_entry(box(b"abcd", b"x" * 9, table(b"stts", (60_000_000, 1))))
    assert "sample descriptions contain a box stts" in declared(mp4(track(*tables(), entry=entry)))
    assert declared(mp4(track(*tables(), entry=entry, handler=b"meta"))) == ""


LARGE = 1_000_000


@pytest.mark.parametrize(
    ("codec", "version", "fields", "accepted"),
    [
        (b"sowt", 0, b"", True),
        (b"sowt", 1, u32(1, 2, 4, 2), True),
        (b"sowt", 1, u32(160, 2, 4, 2), False),
        (b"lpcm", 2, bytes(32) + u32(1), True),
        (b"lpcm", 2, bytes(32) + u32(160), False),
        (b"agsm", 0, b"", False),
    ],
)
def test_uncompressed_sound_is_indexed_in_pieces(
    codec: bytes, version: int, fields: bytes, accepted: bool
) -> None:
    """Ten hours of it have 1.7 thousand million samples, of which FFmpeg indexes one in 1024."""
    parts = tables(LARGE)
    entry = sound_entry(codec, version, fields)
    data = mp4(track(*parts, handler=b"soun", entry=entry), data=bytes(LARGE))
    limits = StructureLimits(samples=LARGE // 500)
    assert (declared(data, limits) == "") == accepted


@pytest.mark.parametrize(
    "runs",
    [[(1, 0, 1)], [(1, 5, 1), (1, 5, 1)], [(2, 5, 1), (1, 5, 1)], [(1, 2**31, 1)]],
    ids=["none", "twice", "back", "negative"],
)
def test_chunks_of_sound_are_in_order(runs: list[tuple[int, int, int]]) -> None:
    """FFmpeg repairs such a table, and takes other numbers than it has."""
    data = mp4(track(*tables(stsc=table(b"stsc", *runs)), handler=b"soun"))
    assert "out of order" in declared(data)
    assert declared(mp4(track(*tables(stsc=table(b"stsc", *runs))))) == ""


def test_chunks_of_sound_are_added_up() -> None:
    """Several runs, each for several chunks: 2 x 10 + 3 x 100 samples."""
    chunks = table(b"stco", *[(40,)] * 5)
    parts = tables(320, stsc=table(b"stsc", (1, 10, 1), (3, 100, 1)), stco=chunks)
    data = mp4(track(*parts, handler=b"soun"))
    assert declared(data) == ""
    most = len(data) * 8
    parts = tables(320, stsc=table(b"stsc", (1, 10, 1), (3, most, 1)), stco=chunks)
    assert f"{20 + 3 * most} samples" in declared(mp4(track(*parts, handler=b"soun")))


def test_sound_with_other_times_is_indexed_sample_by_sample() -> None:
    """Two entries of time, or composition times: FFmpeg has an index entry for each sample."""
    times = table(b"stts", (LARGE, 1), (1, 1))
    for parts in (tables(LARGE, stts=times), (*tables(LARGE), table(b"ctts", (1, 0)))):
        data = mp4(track(*parts, handler=b"soun"), data=bytes(LARGE))
        assert "samples" in declared(data, StructureLimits(samples=LARGE // 2))


def test_leading_empty_edits_do_not_count() -> None:
    """They delay a track. Every other edit can repeat it."""

    def edits(*times: int) -> bytes:
        return box(b"edts", table(b"elst", *((1000, time, 0x10000) for time in times)))

    limits = StructureLimits(samples=7)
    assert declared(mp4(track(*tables(4), edits=edits(-1, -1, 0))), limits) == ""
    assert "8 samples" in declared(mp4(track(*tables(4), edits=edits(0, -1))), limits)
    rows = struct.pack(">QqI", 9, -1, 0) + struct.pack(">QqI", 9, 5, 0)
    wide = full(b"elst", u32(2), rows, version=1)
    assert declared(mp4(track(*tables(4), edits=box(b"edts", wide))), limits) == ""


def test_chapters_are_counted_by_their_track() -> None:
    """`chap` can name a track many times."""
    refs = box(b"tref", box(b"chap", u32(2) * 3))
    data = mp4(track(*tables(), before=refs), track(*tables(50), number=2, handler=b"text"))
    assert declared(data) == ""
    assert "150 chapters" in declared(data, StructureLimits(chapters=100))
    many = box(b"tref", box(b"chap", u32(2) * 65))
    assert "tracks of chapters" in declared(mp4(track(*tables(), before=many)))


def test_highlights_are_chapters() -> None:
    """GoPro's `HMMT`."""
    marks = box(b"udta", box(b"HMMT", u32(9), bytes(36)))
    assert declared(mp4(marks, track(*tables()))) == ""
    assert "9 chapters" in declared(mp4(marks, track(*tables())), StructureLimits(chapters=8))


@pytest.mark.parametrize(
    "limits",
    [
        StructureLimits(tracks=1),
        StructureLimits(boxes=10),
        StructureLimits(header_bytes=100),
        StructureLimits(table_bytes=50),
        StructureLimits(samples=7),
        StructureLimits(sample_bytes=0),
        StructureLimits(depth=3),
    ],
    ids=str,
)
def test_limit_of_an_mp4(limits: StructureLimits) -> None:
    """Each limit refuses a file of two tracks of four samples."""
    data = mp4(track(*tables()), track(*tables(), number=2))
    assert declared(data) == ""
    assert "of which at most" in declared(data, limits)


@pytest.mark.parametrize(
    "limits",
    [
        StructureLimits(fragments=23),
        StructureLimits(references=1),
        StructureLimits(comparisons=15),
    ],
    ids=str,
)
def test_limit_of_fragments(limits: StructureLimits) -> None:
    """Each limit refuses a file of three tracks, four fragments and an index of four entries."""
    extends = box(b"mvex", full(b"trex", u32(1, 1, 1, 1, 0)))
    empty = tables(0, stts=table(b"stts"), stsc=table(b"stsc"), stco=table(b"stco"))
    run = full(b"trun", u32(1))
    fragment = box(b"moof", full(b"mfhd", u32(1)), box(b"traf", full(b"tfhd", u32(1)), run))
    refs = u32(len(fragment), 1000, 0) * 4
    index = full(b"sidx", u32(1, 1000, 0, 0), u16(0, 4), refs)
    parts = [track(*empty), track(*empty, number=2), track(*empty, number=3)]
    data = FTYP + movie(extends, *parts) + index + fragment * 4 + box(b"mdat", bytes(64))
    assert declared(data) == ""
    assert "of which at most" in declared(data, limits)


@pytest.mark.parametrize(
    "limits",
    [
        StructureLimits(tracks=0),
        StructureLimits(boxes=10),
        StructureLimits(header_bytes=50),
        StructureLimits(samples=23),
        StructureLimits(sample_bytes=10),
        StructureLimits(depth=2),
        StructureLimits(chapters=0),
        StructureLimits(references=0),
    ],
    ids=str,
)
def test_limit_of_a_webm(tmp_path: Path, limits: StructureLimits) -> None:
    """Each limit refuses a real file."""
    path = clip(tmp_path / "a.webm", codec="libvpx", metadata={"a": "b"}, cues_to_front="1")
    data = path.read_bytes()
    assert declared(data) == ""
    assert "of which at most" in declared(data, limits)


@pytest.mark.parametrize(
    "part",
    [
        element(0x2AD7B1, bytes(9)),
        element(0x4489, bytes(5)),
        b"\x01\x02\x03",
        b"\x42\x86\x00",
        element(0x1654AE6B, element(0xAE, b"\xd7\x88\x01")),
        element(0x1254C367) * 61,
        element(0x63A2, bytes(17 * 2**20)),
        b"\x12\x54\xc3\x67\xff" + bytes(20),
    ],
    ids=["long number", "odd float", "no id", "no length", "child", "tops", "private", "unknown"],
)
def test_damaged_webm_is_refused(part: bytes) -> None:
    """FFmpeg would search such a file for the next element, also within its media data."""
    assert declared(webm(part))


def test_block_group_is_entered() -> None:
    """Of a block, its references and a few additions."""
    more = element(0x75A1, *[element(0xA6, element(0xA5, b"x"))] * 64)
    group = element(0xA0, element(0xA1, b"\x81\0\0\0x"), element(0xFB, b"\1"), more)
    data = webm(clusters=cluster(0, group, group))
    assert declared(data) == ""
    assert "samples" in declared(data, StructureLimits(samples=130))
    assert "bytes in one sample" in declared(data, StructureLimits(sample_bytes=4))
    assert declared(webm(clusters=cluster(0, element(0xA0, b"\xa1")))) == ""


def test_elements_of_unknown_length_in_a_cluster_end_it() -> None:
    """FFmpeg skips them, and keeps nothing of what follows."""
    assert declared(webm(clusters=cluster(0, b"\xa3" + b"\x01" + b"\xff" * 7, b"\xa6"))) == ""


def test_file_without_a_segment_is_refused() -> None:
    """With nothing, or something else, after the header."""
    assert "no segment" in declared(EBML)
    assert "no segment" in declared(EBML + element(0xEC, b"x"))


def test_tiny_file_is_cut_off() -> None:
    """Smaller than a box with a count."""
    assert declared(box(b"ftyp")) == ""
    assert "too short" in declared(mp4(track(*tables(), box(b"stts", b"\0"))))


def test_seek_head_leads_to_elements() -> None:
    """What it leads to is checked like what stands before the clusters."""
    assert "tags" in declared(CONTAINERS["webm_hidden_tags"]())
    seek = element(0x114D9B74, element(0x4DBB, element(0x53AC, (2**40).to_bytes(8, "big"))))
    assert declared(webm(seek)) == ""


# Pictures.


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_real_picture_is_read(worker: Worker, tmp_path: Path, form: str) -> None:
    """Also animated, progressive, and with a profile."""
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    several = {} if form == "JPEG" else {"save_all": True, "append_images": frames}
    special = {"progressive": True} if form == "JPEG" else {}
    for options in ({}, several, special):
        path = picture(tmp_path / "a", form, **options)
        probe = probe_file(path, decode=True)
        assert (probe.kind, probe.width, probe.height) == (MediaKind.IMAGE, 60, 40)
        assert worker.inspect(path).text == str(probe)


def test_workflow_in_a_png_is_read(tmp_path: Path) -> None:
    """ComfyUI's pictures carry their workflow, which can be a megabyte."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2**20)
    info.add_text("prompt", "y" * 2**20, zip=True)
    assert probe_file(picture(tmp_path / "a", "PNG", pnginfo=info)).width == 60


def test_several_jpegs_in_one_are_a_jpeg(tmp_path: Path) -> None:
    """Phones write them, with a gain map or a depth map behind the picture."""
    path = tmp_path / "a"
    second = Image.new("RGB", (4, 4))
    Image.new("RGB", (8, 8)).save(path, "MPO", save_all=True, append_images=[second])
    probe = probe_file(path, decode=True)
    assert probe.container == "jpeg"
    assert file_suffix(probe) == ".jpg"


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_users_hostile_picture_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """On the command line too, where a picture may have any size."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    path = tmp_path / "a"
    path.write_bytes(PICTURES[name]())
    with pytest.raises(InvalidInput, match="is not a picture"):
        read_image_file(path)


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - {SLOW, "mp4_extradata"}))
def test_users_hostile_video_is_refused(tmp_path: Path, name: str) -> None:
    """For a conversion, too. No new file is left."""
    path = tmp_path / "a"
    path.write_bytes(CONTAINERS[name]())
    with pytest.raises(InvalidInput, match=r"a (is not a video|cannot be sent): "):
        prepare_video_file(path, lambda: tmp_path / "new.mp4")
    assert list(tmp_path.iterdir()) == [path]


def test_video_that_is_sent_unchanged_is_not_decoded(tmp_path: Path) -> None:
    """What its parameters declare costs nothing then. Older versions of FFmpeg cannot tell its
    pixel format, and then it is refused."""
    path = tmp_path / "a"
    path.write_bytes(CONTAINERS["mp4_extradata"]())
    try:
        prepared = prepare_video_file(path, lambda: tmp_path / "new.mp4")
    except InvalidInput as error:
        assert "no frame that can be decoded" in str(error)  # noqa: PT017
        return
    assert (prepared.media.data, prepared.frames) == (path, 0)


@pytest.mark.parametrize("name", ["jpeg_scans", "gif_comments"])
def test_hostile_picture_in_memory_is_refused(name: str) -> None:
    """As the thumbnails and previews get them."""
    with pytest.raises(RefusedMedia), open_picture(io.BytesIO(PICTURES[name]())):
        pass


def test_video_is_not_opened_as_a_picture(tmp_path: Path) -> None:
    """By what opens pictures."""
    with pytest.raises(NotMedia, match="is a video"), open_picture(clip(tmp_path / "a.mp4")):
        pass


@pytest.mark.parametrize(
    ("form", "limits"),
    [
        ("PNG", StructureLimits(picture_bytes=100)),
        ("PNG", StructureLimits(picture_chunks=2)),
        ("PNG", StructureLimits(picture_metadata=10)),
        ("JPEG", StructureLimits(picture_chunks=2)),
        ("JPEG", StructureLimits(picture_metadata=10)),
        ("JPEG", StructureLimits(scans=0)),
        ("WEBP", StructureLimits(picture_chunks=0)),
        ("WEBP", StructureLimits(picture_metadata=0)),
        ("GIF", StructureLimits(picture_chunks=0)),
    ],
    ids=str,
)
def test_limit_of_a_picture(tmp_path: Path, form: str, limits: StructureLimits) -> None:
    """Each limit refuses a small picture with a comment or a profile."""
    options = {"comment": b"x"} if form == "GIF" else {"icc_profile": bytes(500)}
    data = picture(tmp_path / "a", form, **options).read_bytes()
    assert declared(data) == ""
    assert "of which at most" in declared(data, limits)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("lossless", [False, True])
def test_pixels_are_limited_by_the_header(tmp_path: Path, form: str, lossless: bool) -> None:
    """Before Pillow allocates a canvas."""
    options = {"lossless": lossless} if form == "WEBP" else {}
    path = picture(tmp_path / "a", form, **options)
    check_structure(path, 60 * 40)
    with pytest.raises(RefusedMedia, match="60x40"):
        check_structure(path, 60 * 40 - 1)


def test_damaged_text_in_a_png_is_left_to_pillow() -> None:
    """It says what is wrong."""
    for chunk in (b"k\0\0broken", b"k", b""):
        assert declared(png(png_chunk(b"zTXt", chunk))) == ""
    for text in (b"k\0\0\0\0\0plain", b"k\0\1\0\0\0broken"):
        assert declared(png(png_chunk(b"iTXt", text))) == ""


def test_jpeg_may_have_other_markers(tmp_path: Path) -> None:
    """Restart markers in its data, markers without a length, and more than a block of data."""
    pixels = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), np.uint8)
    path = tmp_path / "a"
    Image.fromarray(pixels).save(path, "JPEG", quality=95, restart_marker_blocks=8)
    data = path.read_bytes()
    assert len(data) > 2**20
    assert data.count(b"\xff\xd3") > 50
    data = data[:2] + b"\xff\x01" + data[2:]
    assert declared(data, StructureLimits(scans=1)) == ""
    assert "passes" in declared(data, StructureLimits(scans=0))
    assert declared(data[:-2]) == ""


# Other containers.

UNREAD = {
    "AVI": b"RIFF\x10\0\0\0AVI LIST",
    "FLV": b"FLV\x01\x05\0\0\0\x09",
    "Ogg": b"OggS\0\2",
    "ASF": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "MPEG program": b"\0\0\x01\xba" + bytes(20),
    "MPEG video": b"\0\0\x01\xb3" + bytes(20),
    "MPEG transport": (b"\x47" + bytes(187)) * 3,
    "MPEG transport of 192": (bytes(4) + b"\x47" + bytes(187)) * 3,
}


@pytest.mark.parametrize("name", sorted(UNREAD))
def test_other_container_is_not_opened(tmp_path: Path, name: str) -> None:
    """A result is never one. A user's VIDEO is left to ComfyUI."""
    path = tmp_path / "a"
    path.write_bytes(UNREAD[name])
    with pytest.raises(UnreadFormat, match=name.split()[0]):
        probe_file(path)
    assert read_video_file(path) is None


@pytest.mark.parametrize("suffix", ["avi", "ts", "mpg", "flv"])
def test_real_file_of_another_container_is_left_to_comfyui(tmp_path: Path, suffix: str) -> None:
    """As before, when FFmpeg said what it was."""
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    assert read_video_file(clip(tmp_path / f"a.{suffix}", codec=codec)) is None


def test_ffmpeg_does_not_choose_another_demuxer(tmp_path: Path) -> None:
    """A file that begins like one container and is another is not read as the other."""
    stream = clip(tmp_path / "a.ts").read_bytes()
    path = tmp_path / "b"
    path.write_bytes(box(b"free", bytes(172)) + stream)
    with pytest.raises(NotMedia):
        probe_file(path, decode=True)
