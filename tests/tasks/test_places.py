"""Names that the user chooses: the words in them, what they may not contain, and their numbers."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pika_api import files
from pika_api.errors import InvalidInput
from pika_api.tasks import Place, check_prefix, expand_words
from pika_api.tasks.file_names import file_stem, possible_names

NOW = time.struct_time((2026, 3, 4, 5, 6, 7, 2, 63, 0))
PROMPT: dict[str, Any] = {
    "1": {
        "class_type": "PikaGenerate",
        "inputs": {"seed": 42, "model": "1.5", "prompt_text": "A pear/../../x: <b>", "zoom": 2.0},
        "_meta": {"title": "My pear"},
    },
    "2": {"class_type": "PikaOptions", "inputs": {"extend": True, "ratio": 0.5, "none": None}},
    "3": {"class_type": "PikaGenerate", "inputs": {"seed": 7, "image": ["9", 0], "list": {"a": 1}}},
    "8:4": {"class_type": "KSampler", "inputs": {"seed": 9}},
}
WORKFLOW: dict[str, Any] = {
    "nodes": [
        {"id": 3, "title": "Second", "properties": {"Node name for S&R": "B"}},
        {"id": 8, "type": "a-subgraph"},
    ],
    "definitions": {
        "subgraphs": [{"id": "a-subgraph", "nodes": [{"id": 4, "title": "Inner"}]}]
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # As the editor's `formatDate` replaces them.
        ("%date:yyyy-MM-dd%/x", "2026-03-04/x"),
        ("%date:yy M d h m s%", "26 3 4 5 6 7"),
        ("%date:hhmmss%", "050607"),
        ("%date:yyyy/MM%/a", "2026/03/a"),
        ("%date:yyy%%date:%", "yyy"),
        # As ComfyUI's server does.
        ("%year%-%month%-%day% %hour%.%minute%.%second%", "2026-03-04 05.06.07"),
        ("50%_%year%", "50%_2026"),
        # Values of nodes: by type, by title, and by the name that the user gave to the type.
        ("%PikaGenerate.seed%", "42"),
        ("%My pear.seed%", "42"),
        ("%Second.seed%-%B.seed%", "7-7"),
        ("%Inner.seed%-%KSampler.seed%", "9-9"),
        ("%PikaOptions.extend%%PikaOptions.ratio%%PikaOptions.none%", "true0.5"),
        ("%PikaGenerate.zoom%", "2"),
        ("%PikaGenerate.prompt_text%", "A pear_.._.._x_ _b_"),
        # What is not known stays.
        ("%PikaGenerate.model%", "1.5"),
        ("%Nobody.seed%%PikaGenerate.nothing%", "%Nobody.seed%%PikaGenerate.nothing%"),
        ("%B.image%%B.list%", "%B.image%%B.list%"),
        ("%width%x%height% %x% 100%", "%width%x%height% %x% 100%"),
    ],
)
def test_words_are_those_of_comfyui(text: str, expected: str) -> None:
    """Dates, the words of the server, and the values of nodes, also within a subgraph."""
    assert expand_words(text, NOW, PROMPT, WORKFLOW) == expected


def test_words_without_a_workflow() -> None:
    """Over the API there are only the prompt and its titles, and perhaps not even those."""
    assert expand_words("%My pear.seed%%KSampler.seed%", NOW, PROMPT) == "429"
    assert expand_words("%year%%PikaGenerate.seed%", NOW) == "2026%PikaGenerate.seed%"


@pytest.mark.parametrize(
    "hostile",
    [
        {"nodes": [None, 3, {"id": None}, {"id": 1, "properties": 5, "title": 7}]},
        {"nodes": {"id": 1}, "definitions": []},
        {"nodes": [{"id": 8, "type": ["x"]}], "definitions": {"subgraphs": [None, {"id": 1}, "x"]}},
        {
            "nodes": [{"id": 8, "type": "s"}],
            "definitions": {"subgraphs": [{"id": "s", "nodes": 1}]},
        },
    ],
)
def test_odd_workflow_is_no_error(hostile: dict[str, Any]) -> None:
    """A workflow is what a client sends. The prompt alone decides then."""
    prompt: dict[str, Any] = {**PROMPT, "5": None, "6": {"inputs": [1]}, "7": {"_meta": 1}}
    assert expand_words("%PikaGenerate.seed% %KSampler.seed% %a.b%", NOW, prompt, hostile) == (
        "42 9 %a.b%"
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "../x", "a/../../x", "..", "a/..", "/x", "//server/x", "\\x", "\\\\server\\share\\x",
        "..\\x", "a\\..\\..\\x", "C:x", "C:\\x", "c:/x", ".. /x", "a/ .. /../x",
        "", ".", "./", "a/b/../..",
        "/".join("a" * 40),
    ],
)  # fmt: skip
def test_escapes_are_refused(tmp_path: Path, prefix: str) -> None:
    """The error names the input. It is raised before there is a folder."""
    for check in (check_prefix, lambda text: Place.of(tmp_path, text)):
        with pytest.raises(InvalidInput, match="filename_prefix"):
            check(prefix)
    assert not list(tmp_path.iterdir())


def test_value_of_a_node_cannot_lead_out(tmp_path: Path) -> None:
    """Neither with separators nor as a whole name."""
    prompt = {"1": {"class_type": "X", "inputs": {"up": "..", "deep": "../../etc/x", "c": "C:\\x"}}}
    with pytest.raises(InvalidInput, match="leads out"):
        Place.of(tmp_path, expand_words("%X.up%/%X.up%/x", NOW, prompt))
    source = write(tmp_path / "a.mp4")
    for word in ("%X.deep%", "%X.c%"):
        place = Place.of(tmp_path / "output", expand_words(word, NOW, prompt))
        assert place.save(source, ".mp4", (1, 1)).parent == tmp_path / "output"


def write(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("video/Pika", "video/Pika_00001_.mp4"),
        ("Pika", "Pika_00001_.mp4"),
        ("a\\b/c", "a/b/c_00001_.mp4"),
        ("video/", "video_00001_.mp4"),
        ("./a/./b//c", "a/b/c_00001_.mp4"),
        ("a/../b", "b_00001_.mp4"),
        ("%width%x%height%/p", "64x48/p_00001_.mp4"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h_00001_.mp4"),
        ("a\x00b\nc\x7fd\ud800", "a_b_c_d__00001_.mp4"),
        ("CON", "_CON_00001_.mp4"),
        ("nul.txt/aux/com1", "_nul.txt/_aux/_com1_00001_.mp4"),
        ("lpt\N{SUPERSCRIPT ONE}", "_lpt\N{SUPERSCRIPT ONE}_00001_.mp4"),
        ("console", "console_00001_.mp4"),
        ("a. /b... ", "a/b_00001_.mp4"),
        ("...", "__00001_.mp4"),
        ("漢" * 60, "漢" * 36 + "_00001_.mp4"),
        ("日本/é 😀", "日本/é 😀_00001_.mp4"),
        ("-rf", "-rf_00001_.mp4"),
        ("a.part", "a.part_00001_.mp4"),
    ],
)
def test_names_are_valid_on_every_system(tmp_path: Path, prefix: str, expected: str) -> None:
    """Folders are created. What Windows forbids is replaced, so that a workflow gives the same
    names everywhere."""
    source = write(tmp_path / "source.mp4")
    path = Place.of(tmp_path / "output", prefix).save(source, ".mp4", (64, 48))
    assert path == tmp_path / "output" / expected
    assert path.read_bytes() == b"data"
    assert source.exists()


@given(st.text(max_size=400))
def test_any_text_is_a_valid_name_or_refused(text: str) -> None:
    """No part of a path has a character, an ending or a name that Windows forbids, or is too long.
    None leads out of the folder."""
    try:
        parts = Place.of(Path("x"), text) and _parts(text)
    except InvalidInput:
        return
    for part in parts:
        assert part not in ("", ".", "..")
        assert part == part.rstrip(" .")
        assert not set(part) & set('<>:"/\\|?*')
        assert all(ord(each) > 31 for each in part)
        assert len(part.encode()) <= 111
        assert not PureWindowsPath(part).is_reserved()


def _parts(text: str) -> list[str]:
    from pika_api.tasks.places import _split

    return _split(text)


def test_numbers_continue_and_nothing_is_replaced(tmp_path: Path) -> None:
    """Each file gets the number after the largest one, whatever made the others."""
    place = Place.of(tmp_path, "video/a")
    write(tmp_path / "video" / "a_00007_.png", b"theirs")
    write(tmp_path / "video" / "a_b_00050_.mp4", b"theirs")
    write(tmp_path / "video" / "a_0000x_.mp4", b"theirs")
    write(tmp_path / "video" / "ab_00060_.mp4", b"theirs")
    names = []
    for number in range(3):
        source = write(tmp_path / f"{number}.mp4", bytes([number]))
        path = place.save(source, ".mp4", (1, 1))
        assert path.read_bytes() == bytes([number])
        names.append(path.name)
    assert names == ["a_00008_.mp4", "a_00009_.mp4", "a_00010_.mp4"]
    write(tmp_path / "video" / "a_99999_.mp4")
    assert place.save(write(tmp_path / "x"), ".mp4", (1, 1)).name == "a_100000_.mp4"


def test_file_has_one_name_at_a_place(tmp_path: Path) -> None:
    """Asked for again, it keeps its name there, also after it got a name at another place. An equal
    file of another task has a name of its own."""
    here, there = Place.of(tmp_path, "a/x"), Place.of(tmp_path, "b/y")
    source, twin = write(tmp_path / "s.mp4"), write(tmp_path / "t.mp4")
    first = here.save(source, ".mp4", (1, 1))
    second = there.save(first, ".mp4", (1, 1))
    assert here.save(second, ".mp4", (1, 1)) == first
    assert there.save(source, ".mp4", (1, 1)) == second
    assert here.save(first, ".mp4", (1, 1)) == first
    assert here.save(twin, ".mp4", (1, 1)).name == "x_00002_.mp4"


def test_many_at_once_get_different_names(tmp_path: Path) -> None:
    """Also of other processes, which no lock of this one holds back: the file system decides."""
    sources = [write(tmp_path / f"{number}.mp4", bytes([number])) for number in range(24)]
    start = threading.Barrier(len(sources))
    paths: list[Path] = []

    def save(source: Path) -> None:
        start.wait(30)
        paths.append(Place.of(tmp_path, "out/x").save(source, ".mp4", (1, 1)))

    threads = [threading.Thread(target=save, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(paths)) == len(sources)
    assert {path.read_bytes() for path in paths} == {bytes([number]) for number in range(24)}


def test_copy_where_there_are_no_hard_links(tmp_path: Path) -> None:
    """Between two file systems. A file with this name is not replaced, and a copy that fails leaves
    nothing."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system")
    folder = other / f"pika-test-{os.getpid()}"
    folder.mkdir()
    try:
        source = write(tmp_path / "a.mp4")
        with pytest.raises(OSError, match="link") as caught:
            os.link(source, folder / "x")
        assert caught.value.errno == errno.EXDEV
        place = Place.of(folder, "p")
        paths = [place.save(source, ".mp4", (1, 1)) for _ in range(2)]
        assert [path.name for path in paths] == ["p_00001_.mp4", "p_00002_.mp4"]
        assert all(path.read_bytes() == b"data" for path in paths)
        with pytest.raises(FileExistsError):
            files.link_or_copy(source, paths[0])
        with pytest.raises(OSError, match="missing"):
            files.link_or_copy(tmp_path / "missing", folder / "y")
        assert sorted(path.name for path in folder.iterdir()) == [path.name for path in paths]
    finally:
        shutil.rmtree(folder)


@given(st.text(st.sampled_from("abc_-0123456789")), st.integers(1, 10**7))
def test_chosen_name_is_never_that_of_a_task(prefix: str, number: int) -> None:
    """In the pack's own folder, a chosen name with its number is not the name under which the file
    of some task is searched for."""
    name = f"pika_{prefix}_{number:05}_"
    task_id = name.removeprefix("pika_")
    names = set(possible_names(file_stem("https://api.gpt.ge", task_id)))
    assert f"{name}.mp4" not in names
