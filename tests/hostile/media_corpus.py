"""Small hostile media files, one function each. Run it with a folder to write them all there."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from media_boxes import (
    FTYP,
    box,
    cluster,
    element,
    full,
    movie,
    mp4,
    simple_block,
    sizes,
    table,
    track,
    u16,
    u32,
    uint,
    video_entry,
    webm,
    webm_track,
)
from PIL import Image

#: More than any file of a few kilobytes holds.
MANY = 60_000_000
#: Name, and what makes the file.
CONTAINERS: dict[str, Callable[[], bytes]] = {}
PICTURES: dict[str, Callable[[], bytes]] = {}


def container(make: Callable[[], bytes]) -> Callable[[], bytes]:
    CONTAINERS[make.__name__] = make
    return make


def picture(make: Callable[[], bytes]) -> Callable[[], bytes]:
    PICTURES[make.__name__] = make
    return make


def tables(
    count: int = 4,
    *,
    stts: bytes | None = None,
    stsc: bytes | None = None,
    stsz: bytes | None = None,
    stco: bytes | None = None,
) -> tuple[bytes, ...]:
    """The tables of a track of `count` samples of one byte each, all in one chunk."""
    return (
        table(b"stts", (count, 1)) if stts is None else stts,
        table(b"stsc", (1, count, 1)) if stsc is None else stsc,
        sizes(1, count) if stsz is None else stsz,
        table(b"stco", (40,)) if stco is None else stco,
    )


@container
def mp4_three_tracks_of_60_million() -> bytes:
    """The sample tables of the issue: three tracks, run lengths of 60 million."""
    run = table(b"ctts", (MANY, 0))
    return mp4(*(track(*tables(MANY), run, number=number) for number in (1, 2, 3)))


@container
def mp4_uniform_sizes() -> bytes:
    """`stsz` alone declares the samples."""
    return mp4(track(*tables(stsz=sizes(1, MANY))))


@container
def mp4_compact_sizes() -> bytes:
    """`stz2` of four bits each, for which the file has no room."""
    return mp4(track(*tables(stsz=full(b"stz2", u32(4, MANY), bytes(100)))))


@container
def mp4_composition_runs() -> bytes:
    """`ctts` runs beyond the samples, which HEVC sync groups unroll."""
    group = full(b"sbgp", b"sync", u32(1), u32(MANY, 1))
    description = full(b"sgpd", b"sync", u32(1, 1), b"\x15", version=1)
    entry = video_entry(codec=b"hvc1")
    runs = table(b"ctts", *([(MANY, 0)] * 8))
    return mp4(track(*tables(), runs, description, group, entry=entry))


@container
def mp4_sync_groups() -> bytes:
    """`sbgp` groups of 2^31 samples in all."""
    group = full(b"sbgp", b"sync", u32(8), *(u32(2**28 - 1, 1) for _ in range(8)))
    description = full(b"sgpd", b"sync", u32(1, 1), b"\x15", version=1)
    entry = video_entry(codec=b"hvc1")
    return mp4(track(*tables(), table(b"ctts", (4, 0)), description, group, entry=entry))


@container
def mp4_chunks_of_sound() -> bytes:
    """Uncompressed sound: 40 chunks of 2^32 samples each."""
    chunks = table(b"stco", *([(40,)] * 40))
    stsc = table(b"stsc", (1, 2**31 - 1, 1))
    return mp4(track(*tables(2**31, stsc=stsc, stco=chunks, stsz=sizes(1, 4)), handler=b"soun"))


@container
def mp4_edit_list() -> bytes:
    """1,000 edits of the whole track of 50,000 samples."""
    count = 50_000
    edits = box(b"edts", table(b"elst", *([(1_000_000, 0, 0x10000)] * 1000)))
    return mp4(track(*tables(count), edits=edits), data=bytes(count))


@container
def mp4_fragment_run() -> bytes:
    """`trun` of 60 million samples that take no bytes in it."""
    extends = box(b"mvex", full(b"trex", u32(1, 1, 1, 1, 0)))
    empty = tables(
        0, stts=table(b"stts"), stsc=table(b"stsc"), stsz=sizes(0, 0), stco=table(b"stco")
    )
    run = full(b"trun", u32(MANY))
    fragment = box(b"moof", full(b"mfhd", u32(1)), box(b"traf", full(b"tfhd", u32(1)), run))
    return FTYP + movie(extends, track(*empty)) + fragment + box(b"mdat", bytes(64))


@container
def mp4_negative_track_number() -> bytes:
    """Three runs of samples of a track whose number FFmpeg takes as negative: a second for each."""
    extends = box(b"mvex", full(b"trex", u32(2**31, 1, 1, 1, 0)))
    empty = tables(
        0, stts=table(b"stts"), stsc=table(b"stsc"), stsz=sizes(0, 0), stco=table(b"stco")
    )
    runs = box(b"traf", full(b"tfhd", u32(2**31)), full(b"trun", u32(1)) * 3)
    fragment = box(b"moof", full(b"mfhd", u32(1)), runs)
    return FTYP + movie(extends, track(*empty, number=2**31)) + fragment + box(b"mdat", bytes(64))


@container
def mp4_sound_with_two_tables() -> bytes:
    """Two tables of chunks, of which FFmpeg takes the first."""
    hostile = table(b"stsc", (1, 2**31 - 1, 1))
    return mp4(track(*tables(), before=box(b"dinf", hostile), handler=b"soun"))


@container
def mp4_hidden_fragment() -> bytes:
    """The same inside `mdat`, where only `sidx` leads."""
    extends = box(b"mvex", full(b"trex", u32(1, 1, 1, 1, 0)))
    empty = tables(
        0, stts=table(b"stts"), stsc=table(b"stsc"), stsz=sizes(0, 0), stco=table(b"stco")
    )

    def fragment(count: int) -> bytes:
        run = full(b"trun", u32(count))
        return box(b"moof", full(b"mfhd", u32(1)), box(b"traf", full(b"tfhd", u32(1)), run))

    first = fragment(1) + box(b"mdat", bytes(64))
    hidden = fragment(MANY)
    last = box(b"mdat", hidden)
    refs = u32(len(first) + 8, 1000, 0x90000000, len(hidden), 1000, 0x90000000)
    index = full(b"sidx", u32(1, 1000, 0, 0), u16(0, 2), refs)
    return FTYP + movie(extends, track(*empty)) + index + first + last


@container
def mp4_items() -> bytes:
    """HEIF: `iloc` of 2^29 items."""
    place = full(b"iloc", b"\x44\x00", u32(2**29), version=2)
    meta = full(b"meta", full(b"hdlr", u32(0), b"pict", bytes(12), b"\0"), place)
    return FTYP + meta + mp4(track(*tables()))[len(FTYP) :]


@container
def mp4_compressed_index() -> bytes:
    """`cmov`: an index that is a thousand times as large as its compressed form."""
    body = box(b"dcom", b"zlib") + box(b"cmvd", u32(2**26), deflated(2**26))
    return FTYP + box(b"moov", box(b"cmov", body)) + box(b"mdat", bytes(64))


@container
def mp4_keyframes() -> bytes:
    """`stss` of a billion entries, which are read to the end of the file."""
    return mp4(track(*tables(), table(b"stss", (1,), count=2**30 - 2)))


@container
def mp4_partial_sync() -> bytes:
    return mp4(track(*tables(), table(b"stps", (1,), count=2**31)))


@container
def mp4_times() -> bytes:
    return mp4(track(*tables(stts=table(b"stts", (4, 1), count=2**28 - 2))))


@container
def mp4_offsets() -> bytes:
    return mp4(track(*tables(stco=table(b"stco", (40,), count=2**29))))


@container
def mp4_chunk_runs() -> bytes:
    return mp4(track(*tables(stsc=table(b"stsc", (1, 4, 1), count=2**28))))


@container
def mp4_references() -> bytes:
    """`dref` of more entries than it holds."""
    return mp4(track(*tables(), full(b"dref", u32(2**20), bytes(64))))


@container
def mp4_descriptions() -> bytes:
    return mp4(track(*tables(), full(b"stsd", u32(1000), video_entry())))


@container
def mp4_keys() -> bytes:
    keys = full(b"keys", u32(2**28), u32(8), b"mdta")
    return mp4(
        box(b"meta", full(b"hdlr", u32(0), b"mdta", bytes(12), b"\0"), keys), track(*tables())
    )


@container
def mp4_groups() -> bytes:
    description = full(b"sgpd", b"sync", u32(1, 2**32 - 1), b"\x15", version=1)
    return mp4(track(*tables(), description))


@container
def mp4_encrypted_sizes() -> bytes:
    extra = full(b"saiz", b"\x00", u32(2**30)) + full(b"saio", u32(2**28))
    return mp4(track(*tables(), extra))


@container
def mp4_deep() -> bytes:
    """Boxes in boxes in boxes."""
    inner = b""
    for _ in range(2000):
        inner = box(b"udta", inner)
    return mp4(inner, track(*tables()))


@container
def mp4_many_tracks() -> bytes:
    """900 tracks and 900 fragments: each fragment costs memory for every track."""
    empty = tables(
        0, stts=table(b"stts"), stsc=table(b"stsc"), stsz=sizes(0, 0), stco=table(b"stco")
    )
    parts = [track(*empty, number=number) for number in range(1, 901)]
    extends = box(b"mvex", *(full(b"trex", u32(number, 1, 1, 1, 0)) for number in range(1, 901)))
    fragment = box(b"moof", full(b"mfhd", u32(1)))
    return FTYP + movie(extends, *parts) + fragment * 30_000 + box(b"mdat", bytes(64))


@container
def mp4_many_boxes() -> bytes:
    """A million empty boxes."""
    return mp4(track(*tables())) + box(b"free") * 1_000_000


@container
def mp4_many_tags() -> bytes:
    """30,000 tags: each is compared with all before it."""
    tags = b"".join(
        box(struct.pack(">I", 0xA9000000 + number), u16(1, 0), b"x") for number in range(30_000)
    )
    return mp4(box(b"udta", tags), track(*tables()))


@container
def mp4_extradata() -> bytes:
    """A sample description whose `avcC` says that it has a gigabyte."""
    entry = video_entry(box(b"avcC", bytes(16), size=2**30 - 1), codec=b"avc1")
    return mp4(track(*tables(), entry=entry))


@container
def mp4_huge_sample() -> bytes:
    """One sample of a gigabyte."""
    return mp4(track(*tables(1, stsz=sizes(2**30 - 1, 1))))


@container
def mp4_box_past_its_parent() -> bytes:
    return mp4(track(*tables())[:-8] + box(b"stts", bytes(4), size=2**31))


@container
def webm_tracks() -> bytes:
    """400,000 empty TrackEntries, each of which takes nearly a kilobyte."""
    return webm(tracks=[b"\xae\x80" * 400_000])


@container
def webm_cues() -> bytes:
    """A million index points without content."""
    return webm(element(0x1C53BB6B, b"\xbb\x80" * 1_000_000))


@container
def webm_hidden_tags() -> bytes:
    """Tags inside the payload of a block, where only the SeekHead leads."""
    tags = element(0x1254C367, element(0x7373, b"\x67\xc8\x80" * 400_000))
    seek_id = element(0x53AB, bytes.fromhex("1254C367"))
    # The position is of fixed width, so that the offsets below do not depend on its value.
    blank = element(0x114D9B74, element(0x4DBB, seek_id, element(0x53AC, bytes(8))))
    block = simple_block(tags)
    whole = webm(blank, clusters=cluster(0, block))
    segment = whole.index(bytes.fromhex("18538067")) + 12
    place = whole.rindex(bytes.fromhex("1254C367")) - segment
    seek = element(0x114D9B74, element(0x4DBB, seek_id, element(0x53AC, place.to_bytes(8, "big"))))
    return webm(seek, clusters=cluster(0, block))


@container
def webm_block_additions() -> bytes:
    """A BlockGroup with a million additions without content."""
    more = element(0x75A1, b"\xa6\x80" * 1_000_000)
    group = element(0xA0, element(0xA1, b"\x81\0\0\0x"), more)
    return webm(clusters=cluster(0, group))


@container
def webm_empty_elements() -> bytes:
    """Half a million empty elements in a cluster."""
    return webm(clusters=cluster(0, b"\xec\x80" * 500_000))


@container
def webm_private_data() -> bytes:
    """CodecPrivate that says that it has 200 MB."""
    private = element(0x63A2, b"x", size=200_000_000)
    return webm(tracks=[webm_track(1, private)])


@container
def webm_element_past_its_parent() -> bytes:
    return webm(tracks=[element(0xAE, uint(0xD7, 1), size=2**31)])


@container
def webm_deep() -> bytes:
    inner = b""
    for _ in range(2000):
        inner = element(0x67C8, inner)
    return webm(element(0x1254C367, element(0x7373, inner)))


@container
def webm_falling_times() -> bytes:
    """60,000 key frames, each earlier than the one before."""
    blocks = [
        cluster(
            10_000_000 - 40_000 * number,
            *(simple_block(b"x", time=20_000 - at) for at in range(20_000)),
        )
        for number in range(3)
    ]
    return webm(clusters=b"".join(blocks))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(*before: bytes, width: int = 8, height: int = 8, after: bytes = b"") -> bytes:
    """A grey PNG with further chunks before and after its data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((width + 1) * height))
    parts = png_chunk(b"IHDR", head), *before, png_chunk(b"IDAT", data), after
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + png_chunk(b"IEND", b"")


def deflated(size: int) -> bytes:
    """That many zeros."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(size // 2**20)) + packer.flush()


@picture
def png_text() -> bytes:
    """A compressed text of 128 MB."""
    return png(png_chunk(b"zTXt", b"k\0\0" + deflated(2**27)))


@picture
def png_international_text() -> bytes:
    return png(png_chunk(b"iTXt", b"k\0\1\0\0\0" + deflated(2**26)))


@picture
def png_profile() -> bytes:
    """A colour profile of 64 MB."""
    return png(png_chunk(b"iCCP", b"k\0\0" + deflated(2**26)))


@picture
def png_texts() -> bytes:
    """Many compressed texts, each below the limit for one."""
    return png(*[png_chunk(b"zTXt", b"k\0\0" + deflated(2**20 - 2**20 % 1024))] * 200)


@picture
def png_chunks() -> bytes:
    """Half a million empty chunks."""
    return png(png_chunk(b"tEXt", b"k\0") * 500_000)


@picture
def png_empty_data() -> bytes:
    """Half a million empty chunks of picture data."""
    return png(png_chunk(b"IDAT", b"") * 500_000)


@picture
def jpeg_scans() -> bytes:
    """A progressive JPEG with 2,000 passes over 20 million pixels."""
    file = BytesIO()
    Image.new("L", (5000, 4000)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


def gif(*blocks: bytes, size: tuple[int, int] = (8, 8), frame: tuple[int, int] = (8, 8)) -> bytes:
    """A GIF of one frame with blocks before it."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(6)
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\x00"
    return head + b"".join(blocks) + image + b"\x3b"


@picture
def gif_comments() -> bytes:
    """A comment of 20 MB in blocks of 255 bytes, which Pillow joins one by one."""
    return gif(b"\x21\xfe" + (b"\xff" + b"x" * 255) * 80_000 + b"\0")


@picture
def gif_frame_beyond_its_screen() -> bytes:
    """A screen of 64 pixels and a frame of 4 billion."""
    return gif(frame=(65_535, 65_535))


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_canvas_of(width: int, height: int, *chunks: tuple[bytes, bytes], flags: int = 2) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp((b"VP8X", bytes([flags, 0, 0, 0]) + sizes), *chunks)


def webp_frame() -> tuple[bytes, bytes]:
    """A frame of an animation: one pixel."""
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, "WEBP", lossless=True)
    return b"ANMF", bytes(16) + file.getvalue()[12:]


@picture
def webp_canvas() -> bytes:
    """An animation on a canvas of 268 million pixels."""
    return webp_canvas_of(16_384, 16_384, (b"ANIM", bytes(6)), webp_frame())


@picture
def webp_frames() -> bytes:
    """An animation of 120,000 frames."""
    return webp_canvas_of(64, 64, (b"ANIM", bytes(6)), *[webp_frame()] * 120_000)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {**CONTAINERS, **PICTURES}.items():
        (folder / name).write_bytes(make())
