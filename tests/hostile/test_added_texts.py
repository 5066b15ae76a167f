"""The workflow is added to finished files without touching their media."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_boxes import FTYP, box
from media_samples import VIDEOS, clip, picture
from PIL import Image, PngImagePlugin

from pika_api.media import (
    DecodeLimits,
    NoPlaceForTexts,
    add_texts,
    first_frame,
    inspect_file,
    is_complete,
    last_frame,
    read_text,
)
from pika_api.media.texts import MAX_TEXTS
from support.clips import write_clip
from support.sizes import at_most

LIMITS = DecodeLimits()
#: Texts as ComfyUI writes them, with content that could break a container or a page.
WORKFLOW = {"nodes": [{"id": 1, "title": '}{"\0</script> %s é 漢字 😀 \ud83d moov mdat IEND'}]}
TEXTS = {"workflow": json.dumps(WORKFLOW), "prompt": json.dumps({"1": {"inputs": {}}})}
#: Samples into which nothing is written, and why.
REFUSED = {
    "mp4_fragments": "fragments",
    "mp4_fragment_for_each_frame": "fragments",
    "mp4_hybrid": "fragments",
    "mp4_segments": "fragments",
    "mp4_segment_index": "fragments",
    "webm_vp8": "WebM",
    "webm_vp9": "WebM",
    "webm_index_first": "WebM",
    "webm_live": "WebM",
    "mkv": "WebM",
    "mkv_flac": "WebM",
}


#: PyAV before 19 raises an error for tags that are not UTF-8.
ANY_ENCODING = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def packets(path: Path) -> list[tuple[object, ...]]:
    """Everything that a player gets of a file: tracks with their parameters, and packets."""
    with av.open(str(path), **ANY_ENCODING) as container:
        media: list[tuple[object, ...]] = [
            (
                *(stream.type, stream.time_base, stream.duration, stream.frames),
                getattr(getattr(stream, "codec_context", None), "extradata", None),
                tuple(stream.metadata.items()),
            )
            for stream in container.streams
        ]
        media += [
            (packet.stream.index, packet.pts, packet.dts, packet.duration, bytes(packet))
            for packet in container.demux()
        ]
        return media


def add(source: Path, texts: Mapping[str, str] = TEXTS) -> Path:
    """A copy with texts."""
    target = source.with_name(f"with_{source.name}")
    add_texts(source, target, texts, LIMITS)
    return target


@pytest.mark.parametrize("name", sorted(VIDEOS))
def test_every_kind_of_video_has_the_same_media_afterwards(tmp_path: Path, name: str) -> None:
    """Packets, times, parameters, tags and time codes are the same, the file is complete and passes
    the inspection, and its texts are readable. Where this is not possible, nothing is written."""
    source = VIDEOS[name](tmp_path)
    before = source.read_bytes()
    if name in REFUSED:
        with pytest.raises(NoPlaceForTexts, match=REFUSED[name]):
            add(source)
        assert [each.name for each in tmp_path.iterdir()] == [source.name]
        return
    target = add(source)
    assert packets(target) == packets(source)
    assert is_complete(target)
    assert inspect_file(target) == inspect_file(source)
    with av.open(str(target)) as after, av.open(str(source)) as container:
        assert dict(after.metadata) == dict(container.metadata) | TEXTS
    assert source.read_bytes() == before


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["behind", "in front"])
def test_editor_finds_the_workflow_in_the_first_bytes(
    tmp_path: Path, options: dict[str, str]
) -> None:
    """The editor reads the beginning of a file. The index is there, in front of the media data."""
    data = add(clip(tmp_path / "a.mp4", frames=48, **options)).read_bytes()
    assert data.index(b"moov") < data.index(b"udta") < data.index(b"mdat")
    assert data.count(TEXTS["workflow"].encode()) == 1


def test_media_data_of_64_bits(tmp_path: Path) -> None:
    """Recorders write a 64-bit size for the media data. The editor would search in that data for
    the workflow, if the index were behind it."""
    data = clip(tmp_path / "a.mp4").read_bytes()
    start = data.index(b"free") - 4  # FFmpeg reserves the place of the larger size
    assert data[start + 12 : start + 16] == b"mdat"
    (size,) = struct.unpack_from(">I", data, start + 8)
    head = struct.pack(">I4sQ", 1, b"mdat", size + 8)
    source = tmp_path / "b.mp4"
    source.write_bytes(data[:start] + head + data[start + 16 :])
    target = add(source)
    assert packets(target) == packets(source)
    after = target.read_bytes()
    assert after.index(b"udta") < after.index(b"mdat")


def test_several_tracks_covers_and_time_codes(tmp_path: Path) -> None:
    """Each track has offsets of its own."""
    for number, values in enumerate(
        (
            {"videos": 2, "sound": "aac", "sounds": 2},
            {"sound": "aac", "timecode": True, "container": "mov"},
            {"times": [0, 5, 100, 2000, 2001], "sound": "aac"},
        )
    ):
        given: Any = values
        source = write_clip(tmp_path / f"{number}.mp4", **given)
        assert packets(add(source)) == packets(source)


def test_cover_picture_stays(tmp_path: Path) -> None:
    """A cover picture is among the tags of MP4, to which the texts are added."""
    source = write_clip(tmp_path / "a.mp4", cover=True)
    assert packets(add(source)) == packets(source)


def test_earlier_workflow_does_not_win(tmp_path: Path) -> None:
    """A gateway could put a workflow of its own into the file, as one that is a ComfyUI does. It is
    replaced, and other tags stay."""
    foreign = {"workflow": '{"foreign": 1}', "prompt": '{"foreign": 2}'}
    source = clip(tmp_path / "a.mp4", metadata=foreign, movflags="use_metadata_tags")
    assert foreign["workflow"].encode() in source.read_bytes()
    assert b"foreign" not in add(source).read_bytes()
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", '{"foreign": 1}', zip=True)
    info.add_itxt("prompt", '{"foreign": 2}')
    info.add_text("Title", "A pear")
    target = add(picture(tmp_path / "a.png", "PNG", pnginfo=info))
    with Image.open(target) as image:
        image.load()
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert dict(image.text) == TEXTS | {"Title": "A pear"}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16", "1", "animated"])
def test_picture_is_the_same_with_its_workflow(tmp_path: Path, mode: str) -> None:
    """Its pixels are the same bytes in the file."""
    source = tmp_path / "a.png"
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 4), np.uint8)
    image = Image.fromarray(pixels)
    if mode == "animated":
        image.save(source, save_all=True, append_images=[image.rotate(180)])
    else:
        image.convert("RGB" if mode == "P" else "L").convert(mode).save(source)
    target = add(source)
    before, after = source.read_bytes(), target.read_bytes()
    assert after[:33] == before[:33]
    assert after.endswith(before[33:])
    assert inspect_file(target) == inspect_file(source)
    assert (first_frame(target) == first_frame(source)).all()
    assert (last_frame(target) == first_frame(source)).all()
    with Image.open(target) as copy:
        copy.load()
        assert isinstance(copy, PngImagePlugin.PngImageFile)
        assert dict(copy.text) == TEXTS


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_other_pictures_have_no_place(tmp_path: Path, form: str) -> None:
    """The error says what the file is, and no file is left."""
    source = picture(tmp_path / "a", form)
    with pytest.raises(NoPlaceForTexts, match=form if form != "WEBP" else "WebP"):
        add(source)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_size_of_the_texts_is_limited(tmp_path: Path, suffix: str) -> None:
    """A workflow of 7 MB is written, and one over the limit is not. Names that are none are left
    out."""
    path = tmp_path / f"a{suffix}"
    source = clip(path) if suffix == ".mp4" else picture(path, "PNG")
    texts = {"workflow": json.dumps(["x" * 7_000_000]), "": "1", "a\nb": "2", "x" * 80: "3"}
    data = add(source, texts).read_bytes()
    assert data.count(b"x" * 7_000_000) == 1
    assert b"a\nb" not in data
    inspect_file(tmp_path / f"with_a{suffix}")
    with pytest.raises(NoPlaceForTexts, match="over 8 MB"):
        add(source, {"workflow": "x" * (MAX_TEXTS - 10), "prompt": "y" * 11})


def without_index(data: bytes) -> bytes:
    return data[: data.index(b"moov") - 4]


def two_indexes(data: bytes) -> bytes:
    return data + data[data.index(b"moov") - 4 :]


def chunk_in_the_index(data: bytes) -> bytes:
    """The first chunk seems to begin within the index."""
    place = data.index(b"stco") + 12
    return data[:place] + struct.pack(">I", data.index(b"moov") + 50) + data[place + 4 :]


def index_first_and_data_at_4_gb(data: bytes) -> bytes:
    """The chunk is so far behind that its offset has no room left in 32 bits."""
    place = data.index(b"stco") + 12
    return data[:place] + struct.pack(">I", 2**32 - 10) + data[place + 4 :]


def encrypted(data: bytes) -> bytes:
    """Offsets of data that decrypts the samples."""
    table = box(b"saio", bytes(8))
    place = data.index(b"stbl") - 4
    moov, trak, mdia, minf = (data.index(each) - 4 for each in (b"moov", b"trak", b"mdia", b"minf"))
    file = bytearray(data)
    for start in (moov, trak, mdia, minf, place):
        (size,) = struct.unpack_from(">I", file, start)
        struct.pack_into(">I", file, start, size + len(table))
    return bytes(file[: place + 8]) + table + bytes(file[place + 8 :])


ODD: list[Callable[[bytes], bytes]] = [
    without_index,
    two_indexes,
    chunk_in_the_index,
    index_first_and_data_at_4_gb,
    encrypted,
    lambda data: data + b"\0\0\0",
    lambda data: FTYP + data[data.index(b"moov") - 4 :],
]


@pytest.mark.parametrize("change", ODD)
def test_odd_file_is_left_alone(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """The error says why, and no copy is left."""
    source = tmp_path / "a.mp4"
    source.write_bytes(change(clip(tmp_path / "b.mp4").read_bytes()))
    (tmp_path / "b.mp4").unlink()
    with pytest.raises(NoPlaceForTexts):
        add(source)
    assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small files to change at random."""
    folder = tmp_path_factory.mktemp("samples")
    return {
        ".mp4": clip(folder / "a.mp4", frames=4, sound="aac").read_bytes(),
        ".png": picture(folder / "a.png", "PNG").read_bytes(),
    }


@given(
    suffix=st.sampled_from([".mp4", ".png"]),
    part=st.sampled_from([b"moov", b"mdat", b"stbl", b"IDAT", b"IEND", b"IHDR"]),
    changes=st.lists(
        st.tuples(st.integers(-8, 600), st.binary(min_size=1, max_size=4)), max_size=4
    ),
)
@settings(max_examples=at_most(150))
def test_changed_files_are_never_made_worse(
    samples: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    part: bytes,
    changes: list[tuple[int, bytes]],
) -> None:
    """Whatever is changed in a file: the copy plays the same, or there is no copy. No other error
    than that one is raised."""
    data = bytearray(samples[suffix])
    start = max(data.find(part), 8)
    for offset, value in changes:
        data[start + offset : start + offset + len(value)] = value
    folder = tmp_path_factory.mktemp("changed")
    source = folder / f"a{suffix}"
    source.write_bytes(data)
    try:
        target = add(source)
    except NoPlaceForTexts:
        assert [each.name for each in folder.iterdir()] == [source.name]
        return
    assert is_complete(target)
    if suffix == ".mp4":
        assert packets(target) == packets(source)
    else:
        assert target.read_bytes()[:33] == bytes(data)[:33]
        assert target.read_bytes().endswith(bytes(data)[33:][-20:])


@pytest.mark.parametrize("name", ["mp4_h264", "png_rgb"])
def test_added_text_is_found_again(tmp_path: Path, name: str) -> None:
    """The very text, and no other; a file that is cut off or damaged at any place has none, and
    causes no error."""
    source, target = tmp_path / "source", tmp_path / "target"
    if name.startswith("mp4"):
        write_clip(source.with_suffix(".mp4"))
        source = source.with_suffix(".mp4")
    else:
        Image.new("RGB", (8, 8)).save(source, "PNG")
    assert read_text(source, "workflow") is None
    add_texts(source, target, TEXTS, LIMITS)
    assert read_text(target, "workflow") == TEXTS["workflow"]
    assert read_text(target, "prompt") == TEXTS["prompt"]
    assert read_text(target, "other") is None
    content = target.read_bytes()
    for end in range(0, len(content), max(len(content) // 97, 1)):
        target.write_bytes(content[:end])
        assert read_text(target, "workflow") in (None, TEXTS["workflow"])
    for position in range(0, min(len(content), 4000), 37):
        target.write_bytes(content[:position] + b"\xff\xff\xff\xff" + content[position + 4 :])
        text = read_text(target, "workflow")
        assert text is None or len(text) <= len(content)
