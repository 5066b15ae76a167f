"""What comes out: real MP4s and pictures, as they were asked for."""

from __future__ import annotations

import io
import time

import av
import numpy as np
import pytest
import requests
from PIL import Image
from simulator_helpers import LEFT_OUT, b64, frames, made, over, picture, submit, video

from simulator import Simulator
from simulator.effects import EFFECTS
from simulator.picture import BADGE_COLOUR
from simulator.strict import PIKAFFECTS

PLAIN = {"pikaffect": LEFT_OUT}
STILL = {**PLAIN, "options.parameters.motion": 0}


@pytest.fixture(scope="module")
def sim():
    with Simulator(height=96, clip_seconds=0.5, task_seconds=0) as running:
        yield running


def badge(frame):
    """How much of the top left corner is the badge's colour, 0 to 1."""
    corner = frame[: frame.shape[0] // 4, : frame.shape[1] // 3].astype(int)
    return float((np.abs(corner - BADGE_COLOUR).max(axis=2) < 60).mean())


@pytest.mark.parametrize("ratio", [16 / 9, 9 / 16, 1, 4 / 5, 5 / 4, 4 / 3, 3 / 2, 0.4, 2.5, 1.2345])
def test_the_ratio_is_met(sim, ratio):
    """Width over height is the asked one, as near as even numbers come to it."""
    with av.open(io.BytesIO(made(sim, {**PLAIN, "options.aspectRatio": ratio}))) as container:
        stream = container.streams.video[0]
        assert min(stream.width, stream.height) == 96
        assert stream.width % 2 == stream.height % 2 == 0
        longer = 96 * max(ratio, 1 / ratio)
        assert abs(max(stream.width, stream.height) - longer) <= 1
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("rate", [8, 12, 24])
def test_rate_and_duration_are_met(sim, rate):
    """The file has the asked frame rate and the set length, and the feed tells that length."""
    task = over(sim, submit(sim, {**PLAIN, "options.frameRate": rate}))
    mp4 = requests.get(task["resultUrl"], timeout=5).content
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        assert float(stream.duration * stream.time_base) == pytest.approx(0.5, abs=0.01)
    assert len(frames(mp4)) == rate // 2
    assert task["duration"] == 0.5


def test_the_index_comes_first(sim):
    """Browsers start playing before the whole file is there."""
    mp4 = made(sim)
    assert mp4.index(b"moov") < mp4.index(b"mdat")


@pytest.mark.parametrize("effect", [None, *PIKAFFECTS])
def test_every_frame_says_simulated(sim, effect):
    """Nobody can take a frame for a real result, whatever the effect does to it."""
    shown = frames(made(sim, {"pikaffect": effect or LEFT_OUT}))
    assert min(badge(frame) for frame in shown) > 0.2


@pytest.mark.slow
def test_every_effect_has_its_own_look(sim):
    """The table has all sixteen, and no two make the same frame."""
    assert set(EFFECTS) == set(PIKAFFECTS)
    middles = [frames(made(sim, {"pikaffect": name}))[8].astype(int) for name in PIKAFFECTS]
    plain = frames(made(sim, PLAIN))[8].astype(int)
    for number, middle in enumerate(middles):
        for other in [plain, *middles[:number]]:
            assert np.abs(middle - other).mean() > 2, PIKAFFECTS[number]


def test_prompts_look_different_and_equal_ones_equal(sim):
    """The picture is the prompt's own."""
    apple = frames(made(sim, {**STILL, "promptText": "apple"}))[0].astype(int)
    pear = frames(made(sim, {**STILL, "promptText": "pear"}))[0].astype(int)
    assert np.abs(apple - pear)[30:60].mean() > 10


@pytest.mark.parametrize(
    "prompt",
    [
        "苹果慢慢消失在湖面上空，远处有山",
        "תפוח تفاحة яблоко 🍎",
        "x" * 5000,
        "a\n\tb\x00c",
        "\ud83c",
        "\u200b",
    ],
)
def test_any_prompt_can_be_drawn(sim, prompt):
    """Letters without a font, no letters, and too many are no reason to fail."""
    assert badge(frames(made(sim, {**PLAIN, "promptText": prompt}))[0]) > 0.2


def test_the_prompt_is_written_below(sim):
    """Two prompts of one input differ in the words at the bottom."""
    image = {**STILL, "image": b64(picture(colour="navy"))}
    first = frames(made(sim, {**image, "promptText": "one"}))[0].astype(int)
    second = frames(made(sim, {**image, "promptText": "another apple"}))[0].astype(int)
    assert np.abs(first - second)[:60].max() < 12
    assert np.abs(first - second)[75:].max() > 100


def gradient():
    """A picture that is dark at the left and light at the right, as PNG."""
    ramp = np.tile(np.linspace(0, 255, 160, dtype=np.uint8)[None, :, None], (90, 1, 3))
    written = io.BytesIO()
    Image.fromarray(ramp).save(written, "PNG")
    return b64(written.getvalue())


def test_the_image_is_what_is_shown(sim):
    """An input image fills the frame, and without motion and camera it stands still."""
    shown = frames(made(sim, {**STILL, "image": gradient()}))
    row = shown[0][50].mean(axis=1)
    assert row[5] < 20
    assert row[-5] > 235
    assert np.abs(shown[0].astype(int) - shown[-1]).max() < 30


@pytest.mark.parametrize(
    "change",
    [{"options.camera": {name: value}} for name, values in
     (("zoom", ("in", "out")), ("pan", ("left", "right")), ("tilt", ("up", "down")),
      ("rotate", ("cw", "ccw"))) for value in values] + [{"options.parameters.motion": 4}],
    ids=str,
)  # fmt: skip
def test_camera_and_motion_move_the_picture(sim, change):
    """Each word of the camera is seen, and never a bare edge."""
    base = {**STILL, "promptText": "a lake", **change}
    shown = frames(made(sim, base))
    middle = len(shown) // 2
    assert np.abs(shown[0].astype(int) - shown[middle])[30:70].mean() > 0.5
    pure = frames(made(sim, {**base, "image": b64(picture(colour="white"))}))
    assert min(frame[35:65].min() for frame in pure) > 240


def test_opposite_camera_words_go_opposite_ways(sim):
    """Pan right shows more of the right; the same for the other pairs would look the same."""
    ramp = {**STILL, "image": gradient()}
    right = frames(made(sim, {**ramp, "options.camera": {"pan": "right"}}))
    left = frames(made(sim, {**ramp, "options.camera": {"pan": "left"}}))
    assert right[-1][50].mean() > right[0][50].mean() + 10
    assert left[-1][50].mean() < left[0][50].mean() - 10


def test_a_video_is_used_frame_by_frame(sim):
    """A reference video gives the frames: black at first, white at last."""
    shown = frames(made(sim, {**STILL, "video": b64(video(12)), "options.frameRate": 12}))
    assert len(shown) == 6
    assert shown[0][50].mean() < 10
    assert 80 < shown[-1][50].mean() < 200


@pytest.mark.parametrize("rate", [8, 12, 24])
def test_extend_continues_the_original(sim, rate):
    """The result is the original, then new seconds that begin with its last frame."""
    changes = {**STILL, "video": b64(video(12)), "options.frameRate": rate, "options.extend": True}
    shown = frames(made(sim, changes))
    assert len(shown) == rate + rate // 2
    assert shown[0][50].mean() < 10
    assert min(frame[50].mean() for frame in shown[rate:]) > 240


def test_without_a_ratio_it_is_a_picture(sim):
    """No aspectRatio makes a PNG, which is still an ordinary entry of the feed."""
    task = over(sim, submit(sim, {"options.aspectRatio": LEFT_OUT, "image": gradient()}))
    assert task["resultUrl"].partition("?")[0].endswith(".png")
    answer = requests.get(task["resultUrl"], timeout=5)
    assert answer.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.format, shown.height) == ("PNG", 96)
        assert shown.width / shown.height == pytest.approx(160 / 90, abs=0.02)
        assert badge(np.asarray(shown)) > 0.2


def test_a_url_that_is_not_fetched_still_makes_a_clip(sim):
    """A URL elsewhere is taken at its word, and two of them look different."""
    first = made(sim, {**STILL, "image": "https://example.com/a.png"})
    assert first != made(sim, {**STILL, "image": "https://example.com/b.png"})


def test_rendering_is_quick():
    """A second at 128 pixels is drawn in a moment: tests wait for the task, not for the file."""
    with Simulator(task_seconds=0) as sim:
        made(sim, {"promptText": "warm up"})
        before = time.monotonic()
        made(sim, PLAIN)
        assert time.monotonic() - before < 1
