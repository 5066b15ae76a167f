"""Videos as people have them, through Load Video in a real ComfyUI and through the command line."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pika_api.cli import main
from pika_api.journal import Journal
from pika_api.settings import sqlite_url
from simulator import Simulator
from support.clips import TURNS, Clip, turn, write_clip
from support.comfy import Comfy
from support.graphs import error_of, generate, node

pytestmark = pytest.mark.comfy

_names = itertools.count()
#: Name, how it is written, how it is turned, and whether the sent file is the file itself.
KINDS: dict[str, tuple[str, dict[str, Any], str, bool]] = {
    "H.264": ("a.mp4", {"sound": "aac"}, "upright", True),
    "H.264, turned": ("a.mp4", {}, "90", True),
    "H.264 in QuickTime": ("a.mov", {"sound": "pcm_s16le"}, "upright", False),
    "HEVC, turned by 90": ("a.mov", {"codec": "libx265", "sound": "aac"}, "90", False),
    "HEVC, turned by 180": ("a.mp4", {"codec": "libx265"}, "180", False),
    "HEVC, turned by 270": ("a.mp4", {"codec": "libx265"}, "270", False),
    "10 bits": ("a.mov", {"codec": "libx265", "form": "yuv420p10le"}, "upright", False),
    "variable frame rate": (
        "a.mkv", {"codec": "libx265", "times": (0, 40, 100, 101, 300, 700)}, "upright", False,
    ),
    "odd sizes": ("a.mp4", {"codec": "mpeg4", "size": (63, 47)}, "90", False),
    "several tracks": (
        "a.mp4",
        {"codec": "libx265", "videos": 2, "sounds": 2, "cover": True, "sound": "aac"},
        "upright",
        False,
    ),
    "timecode": ("a.mov", {"timecode": True, "sound": "aac"}, "upright", False),
    "VP9 in MP4": ("a.mp4", {"codec": "libvpx-vp9"}, "upright", False),
    "WebM of a browser, without a duration": (
        "a.webm",
        {"codec": "libvpx", "sound": "libopus", "options": {"live": "1"}},
        "upright",
        False,
    ),
    "WebM": ("a.webm", {"codec": "libvpx-vp9", "sound": "libopus"}, "upright", False),
}  # fmt: skip


def sent_video(gateway: Simulator) -> bytes:
    """The video of the last request."""
    text = gateway.requests(method="POST", path="/pika/generate")[-1].text
    return base64.b64decode(json.loads(text or "")["video"], validate=True)


def last_digest(journal: Path) -> str:
    """The digest of the video in the newest row of a journal."""
    with closing(Journal(sqlite_url(journal))) as opened:
        return str(opened.entries(limit=1)[0].request["video"]["sha256"])


@pytest.fixture
def loaded(comfy: Comfy, gateway: Simulator) -> Callable[..., bytes]:
    """Runs Load Video → Pika Generate, and returns the video that was sent."""

    def run(path: Path, **between: Any) -> bytes:
        name = f"{next(_names)}{path.suffix}"
        (comfy.base_dir / "input" / name).write_bytes(path.read_bytes())
        graph = {"1": node("LoadVideo", file=name), "2": generate(video=["1", 0])}
        if between:
            graph |= {"3": node(video=["1", 0], **between), "2": generate(video=["3", 0])}
        result = comfy.run(graph)
        assert result.error is None, result.error
        return sent_video(gateway)

    return run


@pytest.fixture
def commanded(
    gateway: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], bytes]:
    """Runs ``generate --video``, and returns the video that was sent."""
    monkeypatch.setenv("PIKA_API_KEY", gateway.key)
    monkeypatch.setenv("PIKA_BASE_URL", gateway.url)
    monkeypatch.setenv("PIKA_HOME", str(tmp_path / "home"))

    def run(path: Path) -> bytes:
        assert main(["generate", f"take {next(_names)}", "--video", str(path)]) == 0
        return sent_video(gateway)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_both_send_the_same_video(
    tmp_path: Path,
    loaded: Callable[..., bytes],
    commanded: Callable[[Path], bytes],
    kind: str,
) -> None:
    """H.264 in MP4, upright, with the same times and sound; the file itself if it is that."""
    name, options, turned, unchanged = KINDS[kind]
    path = write_clip(tmp_path / name, **options)
    if turned != "upright":
        turn(path, turned)
    for data in (loaded(path), commanded(path)):
        assert (data == path.read_bytes()) == unchanged
        clip = Clip(data)
        assert (clip.codec, clip.form, clip.brand) == ("h264", "yuv420p", "isom")
        assert clip.quarters() == ((0, 1, 2, 3) if unchanged else TURNS[turned][1])
        times = options.get("times", range(0, 480, 40))
        assert clip.times == pytest.approx([time / 960 for time in times], abs=0.002)
        assert (clip.sound > 0) == ("sound" in options)


def test_digest_is_that_of_the_file(
    comfy: Comfy, tmp_path: Path, loaded: Callable[..., bytes], commanded: Callable[[Path], bytes]
) -> None:
    """Also where the video is converted, in both: the same file is the same request."""
    for name, codec in (("a.mp4", "libx264"), ("b.mov", "libx264"), ("c.mp4", "libx265")):
        path = write_clip(tmp_path / name, codec=codec)
        loaded(path)
        commanded(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert last_digest(tmp_path / "home") == digest
        assert last_digest(comfy.base_dir / "user" / "__pika") == digest


@pytest.mark.parametrize("method", ["private fields", "method"])
@pytest.mark.parametrize("window", ["0.5 1.0", "0.5 0", "-0.5 0"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_only_the_part_of_a_trimmed_video_is_sent(
    tmp_path: Path, loaded: Callable[..., bytes], method: str, window: str, codec: str
) -> None:
    """As ComfyUI's versions that can trim describe it, also for a file that is MP4 with H.264."""
    path = write_clip(
        tmp_path / "a.mp4", codec=codec, times=tuple(range(0, 48 * 40, 40)), sound="aac"
    )
    clip = Clip(loaded(path, class_type="ProbeTrim", window=window, method=method))
    count = {"0.5 1.0": 24, "0.5 0": 36, "-0.5 0": 12}[window]
    assert len(clip.times) == count
    assert clip.sound == pytest.approx(count / 24, abs=0.05)


def test_cut_out_of_a_video_is_sent(tmp_path: Path, loaded: Callable[..., bytes]) -> None:
    """A VIDEO that shows its file in another size is not its file."""
    path = write_clip(tmp_path / "a.mp4")
    clip = Clip(loaded(path, class_type="ProbeTrim", window="0 0", method="crop"))
    assert clip.size == (32, 24)
    assert len(clip.times) == 12


def test_earlier_digest_is_that_of_version_0_1_0(comfy: Comfy) -> None:
    """For each kind of VIDEO, as computed by that version's code: of frames, of a file that it sent
    unchanged, and of a file that ComfyUI decoded."""
    for number, (name, options) in enumerate(
        [
            ("a.mp4", {"sound": "aac"}),
            ("a.mov", {"sound": "aac"}),
            ("a.mp4", {"form": "yuv420p10le"}),
            ("a.mp4", {"codec": "libx265", "sound": "aac"}),
            ("a.mkv", {"codec": "mpeg4", "size": (63, 47)}),
            ("a.avi", {"codec": "mpeg4"}),
            ("a.avi", {"codec": "mpeg4", "sound": "pcm_s16le"}),
        ]
    ):
        path = write_clip(comfy.base_dir / "input" / f"earlier{number}{name}", **options)
        graph = {
            "1": node("LoadVideo", file=path.name),
            "2": node("ProbeDigests", video=["1", 0]),
            "3": node("ProbeDigests", video=["2", 0]),
        }
        run = comfy.run(graph)
        assert run.error is None, run.error
        for result in (run.outputs["2"], run.outputs["3"]):
            digest, earlier, expected = result["digests"]
            assert (earlier or digest) == expected, name


def test_file_that_is_no_video_is_an_error(comfy: Comfy) -> None:
    """On the node and on the command line, with the name of the file and without its folder."""
    path = comfy.base_dir / "input" / "no video.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    message = error_of(
        comfy, {"1": node("LoadVideo", file=path.name), "2": generate(video=["1", 0])}
    )
    assert "no video.mp4 is not a video" in message
    assert str(comfy.base_dir) not in message
