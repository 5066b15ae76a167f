"""The rendered clips and pictures."""

from __future__ import annotations

import io
import time

import av
import numpy as np
import pytest
import requests
from PIL import Image
from simulator_helpers import (
    OMIT,
    b64,
    download_result,
    frames,
    picture,
    submit,
    video,
    wait_until_done,
)

from simulator import Simulator
from simulator.camera import View
from simulator.picture import BADGE_COLOUR
from simulator.scene import Scene
from simulator.strict import PIKAFFECTS
from simulator.subjects import parts_of
from simulator.words import read

PLAIN = {"pikaffect": OMIT}
STILL = {**PLAIN, "options.parameters.motion": 0}


@pytest.fixture(scope="module")
def sim():
    with Simulator(height=96, clip_seconds=0.5, task_seconds=0) as running:
        yield running


def badge(frame):
    """The share of the top left corner that has the badge's colour, 0 to 1."""
    corner = frame[: frame.shape[0] // 4, : frame.shape[1] // 3].astype(int)
    return float((np.abs(corner - BADGE_COLOUR).max(axis=2) < 60).mean())


def gradient():
    """A picture from black at the left to white at the right, as PNG in Base64."""
    ramp = np.tile(np.linspace(0, 255, 160, dtype=np.uint8)[None, :, None], (90, 1, 3))
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, "PNG")
    return b64(file.getvalue())


@pytest.mark.parametrize("ratio", [16 / 9, 9 / 16, 1, 4 / 5, 5 / 4, 4 / 3, 3 / 2, 0.4, 2.5, 1.2345])
def test_clip_has_the_requested_ratio(sim, ratio):
    """As near as even numbers of pixels allow."""
    with av.open(
        io.BytesIO(download_result(sim, {**PLAIN, "options.aspectRatio": ratio}))
    ) as container:
        stream = container.streams.video[0]
        assert min(stream.width, stream.height) == 96
        assert stream.width % 2 == stream.height % 2 == 0
        longer = 96 * max(ratio, 1 / ratio)
        assert abs(max(stream.width, stream.height) - longer) <= 1
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("rate", [8, 12, 24])
def test_clip_has_the_requested_frame_rate_and_duration(sim, rate):
    """The feed has the same duration."""
    task = wait_until_done(sim, submit(sim, {**PLAIN, "options.frameRate": rate}))
    mp4 = requests.get(task["resultUrl"], timeout=5).content
    with av.open(io.BytesIO(mp4)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        assert float(stream.duration * stream.time_base) == pytest.approx(0.5, abs=0.01)
    assert len(frames(mp4)) == rate // 2
    assert task["duration"] == 0.5


def test_clip_has_its_index_first(sim):
    """So browsers can play it during the download."""
    mp4 = download_result(sim)
    assert mp4.index(b"moov") < mp4.index(b"mdat")


@pytest.mark.parametrize("effect", [None, *PIKAFFECTS])
def test_every_frame_is_labelled_simulated(sim, effect):
    """Also with each effect."""
    clip = frames(download_result(sim, {"pikaffect": effect or OMIT}))
    assert min(badge(frame) for frame in clip) > 0.2


@pytest.mark.slow
def test_effects_look_different(sim):
    """No two of the sixteen have the same frame, and none is like a clip without an effect."""
    assert len(set(PIKAFFECTS)) == 16
    middles = [
        frames(download_result(sim, {"pikaffect": name}))[8].astype(int) for name in PIKAFFECTS
    ]
    plain = frames(download_result(sim, PLAIN))[8].astype(int)
    for number, middle in enumerate(middles):
        for other in [plain, *middles[:number]]:
            assert np.abs(middle - other).mean() > 2, PIKAFFECTS[number]


def test_different_prompts_look_different(sim):
    """The scene depends on the prompt."""
    apple = frames(download_result(sim, {**STILL, "promptText": "apple"}))[0].astype(int)
    pear = frames(download_result(sim, {**STILL, "promptText": "pear"}))[0].astype(int)
    assert np.abs(apple - pear)[30:60].mean() > 10


def test_prompt_with_a_colour_is_drawn_in_it(sim):
    """Red is the strongest of the three channels, and so on."""
    for channel, prompt in enumerate(["A red fox", "绿色的草地", "The blue hour"]):
        (frame, *_) = frames(download_result(sim, {**STILL, "promptText": prompt}))
        means = frame[30:60].reshape(-1, 3).mean(axis=0)
        assert means.argmax() == channel, prompt


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("A red fox runs through the snow", ("animal", "snow", "snow", "day", "")),
        ("Apple evaporates", ("fruit", "", "smoke", "", "vanish")),
        ("苹果慢慢消失在湖面上空", ("fruit", "sea", "", "", "vanish")),
        ("Two foxes are dancing in the RAIN", ("animal", "", "rain", "", "jump")),
        ("A whale", ("fish", "sea", "", "", "")),
        ("City lights at midnight", ("car", "city", "", "night", "")),
        ("I care about scars and the essential", ("", "", "", "", "")),
        ("", ("", "", "", "", "")),
    ],
)
def test_words_of_a_prompt_are_drawn(prompt, wanted):
    """Of each kind the first word that is known, in English, also in the plural, and in Chinese.
    A part of another word does not count."""
    reading = read(prompt)
    found = (reading.subject, reading.place, reading.weather, reading.light, reading.action)
    assert found == wanted


THINGS = (
    "fox",
    "bird",
    "fish",
    "boat",
    "car",
    "rocket",
    "house",
    "apple",
    "girl",
    "moon",
    "rose",
    "idea",
)


@pytest.mark.parametrize("thing", THINGS)
def test_every_thing_is_drawn_and_moves_in_a_loop(thing):
    """Without motion and camera, too. Both ends are the same, since players repeat a short clip.
    Two takes differ more than by their label."""
    scene, other = (Scene(f"An {thing}", f"take {take}", (160, 90)) for take in (1, 2))
    start, quarter, middle, end = (
        np.asarray(scene.frame(t, 0, View())).astype(int) for t in (0, 0.25, 0.5, 1)
    )
    assert np.abs(start - quarter)[20:60].mean() > 3
    assert np.abs(quarter - middle)[20:60].mean() > 3
    assert np.abs(start - end).mean() < 1
    assert np.abs(start - np.asarray(other.frame(0, 0, View()))).mean() > 8


def test_things_look_different():
    """No two are drawn with the same outlines."""
    drawn = [
        str([part.points.round(3).tolist() for part in parts_of(kind, np.random.default_rng(1))])
        for kind in [read(thing).subject for thing in THINGS]
    ]
    assert len(set(drawn)) == len(THINGS)


def test_text_to_video_moves_without_motion_and_camera(sim):
    """A clip that stands still would look broken."""
    clip = frames(download_result(sim, {**STILL, "promptText": "a quiet lake"}))
    assert np.abs(clip[0].astype(int) - clip[len(clip) // 2])[30:60].mean() > 5


def test_takes_of_a_prompt_look_different(sim):
    """A second request with the same body is another take."""
    takes = [frames(download_result(sim, {**STILL, "promptText": "plums"}))[0] for _ in range(2)]
    assert np.abs(takes[0].astype(int) - takes[1])[30:60].mean() > 5


def test_clip_depends_on_the_seed_of_the_request():
    """With `allow_seed`, the seed replaces the number of the take, and the feed reports it."""
    with Simulator(height=96, clip_seconds=0.1, task_seconds=0, allow_seed=True) as sim:
        tasks = [
            wait_until_done(sim, submit(sim, {**STILL, "options.parameters.seed": seed}))
            for seed in (5, 5, 6)
        ]
        assert [task["seed"] for task in tasks] == [5, 5, 6]
        first, same, other = (requests.get(task["resultUrl"], timeout=5).content for task in tasks)
    assert first == same
    assert first != other


def test_effect_changes_more_and_more_of_the_picture(sim):
    """Its first frame is the input, its last one has another colour everywhere."""
    grey = {**STILL, "image": b64(picture(colour="gray"))}
    plain = frames(download_result(sim, grey))[0].astype(int)
    clip = frames(download_result(sim, {**grey, "pikaffect": "Melt"}))
    changed = [(np.abs(frame - plain)[40:60].max(axis=2) > 30).mean() for frame in clip]
    assert changed[0] < 0.01
    assert 0.1 < changed[len(clip) // 2] < 0.9
    assert changed[-1] > 0.99
    assert changed == sorted(changed)


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
def test_any_prompt_can_be_rendered(sim, prompt):
    """Also characters without a font, none, or too many."""
    assert badge(frames(download_result(sim, {**PLAIN, "promptText": prompt}))[0]) > 0.2


def test_prompt_is_at_the_bottom(sim):
    """Two prompts with the same image differ only there."""
    image = {**STILL, "image": b64(picture(colour="navy"))}
    first = frames(download_result(sim, {**image, "promptText": "one"}))[0].astype(int)
    second = frames(download_result(sim, {**image, "promptText": "another apple"}))[0].astype(int)
    assert np.abs(first - second)[:60].max() < 12
    assert np.abs(first - second)[75:].max() > 100


def test_the_text_of_an_input_clip_is_covered(sim):
    """A clip from a frame of another clip has only its own text at the bottom. A picture of the
    user stays visible there."""
    names = ("X" * 80, "M" * 80)
    inputs = [frames(download_result(sim, {**STILL, "promptText": name}))[0] for name in names]
    assert np.abs(inputs[0].astype(int) - inputs[1])[80:].mean() > 5
    clips = []
    for pixels in (*inputs, np.full_like(inputs[0], 255)):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        change = {**STILL, "promptText": "i", "image": b64(file.getvalue())}
        clips.append(frames(download_result(sim, change))[0].astype(int))
    first, second, white = clips
    assert np.abs(first - second)[86:].mean() < 2
    assert white[86:].mean() > first[86:].mean() + 20


def test_input_image_fills_the_frame(sim):
    """Without motion and camera it does not move."""
    clip = frames(download_result(sim, {**STILL, "image": gradient()}))
    row = clip[0][50].mean(axis=1)
    assert row[5] < 20
    assert row[-5] > 235
    assert np.abs(clip[0].astype(int) - clip[-1]).max() < 30


@pytest.mark.parametrize(
    "change",
    [{"options.camera": {name: value}} for name, values in
     (("zoom", ("in", "out")), ("pan", ("left", "right")), ("tilt", ("up", "down")),
      ("rotate", ("cw", "ccw"))) for value in values] + [{"options.parameters.motion": 4}],
    ids=str,
)  # fmt: skip
def test_camera_and_motion_move_the_picture(sim, change):
    """No move shows an edge of the input image."""
    base = {**STILL, "promptText": "a lake", **change}
    clip = frames(download_result(sim, base))
    middle = len(clip) // 2
    assert np.abs(clip[0].astype(int) - clip[middle])[30:70].mean() > 0.5
    pure = frames(download_result(sim, {**base, "image": b64(picture(colour="white"))}))
    assert min(frame[35:65].min() for frame in pure) > 240


def test_pan_right_and_left_are_opposite(sim):
    """Pan right shows more of the right side."""
    ramp = {**STILL, "image": gradient()}
    right = frames(download_result(sim, {**ramp, "options.camera": {"pan": "right"}}))
    left = frames(download_result(sim, {**ramp, "options.camera": {"pan": "left"}}))
    assert right[-1][50].mean() > right[0][50].mean() + 10
    assert left[-1][50].mean() < left[0][50].mean() - 10


def test_input_video_is_used_frame_by_frame(sim):
    """The input fades from black to white."""
    clip = frames(download_result(sim, {**STILL, "video": b64(video(12)), "options.frameRate": 12}))
    assert len(clip) == 6
    assert clip[0][50].mean() < 10
    assert 80 < clip[-1][50].mean() < 200


@pytest.mark.parametrize("rate", [8, 12, 24])
def test_extended_video_begins_with_the_original(sim, rate):
    """The new part begins with its last frame."""
    changes = {**STILL, "video": b64(video(12)), "options.frameRate": rate, "options.extend": True}
    clip = frames(download_result(sim, changes))
    assert len(clip) == rate + rate // 2
    assert clip[0][50].mean() < 10
    assert min(frame[50].mean() for frame in clip[rate:]) > 240


def test_request_without_aspect_ratio_creates_a_png(sim):
    """Its entry in the feed is like that of a video."""
    task = wait_until_done(sim, submit(sim, {"options.aspectRatio": OMIT, "image": gradient()}))
    assert task["resultUrl"].partition("?")[0].endswith(".png")
    answer = requests.get(task["resultUrl"], timeout=5)
    assert answer.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as clip:
        assert (clip.format, clip.height) == ("PNG", 96)
        assert clip.width / clip.height == pytest.approx(160 / 90, abs=0.02)
        assert badge(np.asarray(clip)) > 0.2


def test_url_that_is_not_fetched_creates_its_own_clip(sim):
    """Two such URLs look different."""
    first = download_result(sim, {**STILL, "image": "https://example.com/a.png"})
    assert first != download_result(sim, {**STILL, "image": "https://example.com/b.png"})


def test_rendering_takes_less_than_the_clip():
    """A test must wait for the task, not for the file."""
    with Simulator(task_seconds=0) as sim:
        download_result(sim, {"promptText": "warm up"})
        before = time.monotonic()
        download_result(sim, PLAIN)
        assert time.monotonic() - before < 1
