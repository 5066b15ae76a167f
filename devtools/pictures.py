"""Take the pictures for README and the templates: README's of the real editor (one run, also
animated, settings, sidebar), and a frame of its clip for each template.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
from PIL import Image, ImageOps

from devtools import ROOT
from devtools.comfyui import Comfy, ComfyDied, Graph
from devtools.comfyui.pages import (
    examples,
    open_editor,
    open_workflow,
    run_end,
    start_run,
    wait_for_video,
)
from devtools.comfyui.services import Account, comfyui, simulator
from devtools.demo import PICTURE
from devtools.setup.browser import NoBrowser, browser
from devtools.setup.environment import cache_folder
from devtools.setup.processes import unwind_on_termination
from devtools.setup.steps import StepError, say

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: The example of README's pictures of the graph: a still one, and an animated one of its run.
IN_README: Final = "02 Image to video"
#: This example needs an earlier task, so it is the last one.
LAST: Final = "10 Earlier task"
SIDEBAR, SETTINGS = "sidebar", "settings"
# The height keeps the nodes below the bars of the editor.
WIDTH, HEIGHT = 1600, 1000
#: The part of the editor with the bar on the left and the sidebar: left, top, right, bottom.
SIDEBAR_BOX: Final = (0, 78, 366, 838)
#: Side of a template's picture, in pixels. The gallery shows it as a square: 0.3.75 to 0.33.0.
TEMPLATE_SIDE: Final = 480
#: When in a clip its frame is taken, as a share of its length.
MOMENT: Final = 0.3
#: Milliseconds until the editor stops changing: fonts, the fitted view, the playing video.
REST: Final = 1500
#: How long a task takes. Long enough for its thumbnail to be on the node before the video.
TASK_SECONDS: Final = "4"
#: Seconds that the animation shows the graph before the run, the result before its clip plays, and
#: the clip's last frame before it starts over.
BEFORE: Final = 1.0
RESULT_SHOWN: Final = 0.8
AFTER: Final = 1.5
#: Seconds that it shows any other frame at most: waiting is cut short.
LONGEST: Final = 1.0
#: Frames per second of the finished clip in the animation.
PLAYED: Final = 10
#: GitHub shows larger files too, but nobody waits for them.
LARGEST_ANIMATION: Final = 3_000_000

#: The value of aspect_ratio for a still image, which the simulator makes square.
STILL_IMAGE: Final = "none (still image)"
#: The options of a Pika Generate that has none, and the id of their node.
OPTIONS: Final = {
    "aspect_ratio": "1:1",
    "custom_aspect_ratio": 1.0,
    "frame_rate": 24,
    "extend": False,
}
SQUARE: Final = "square"
#: Rows and columns of the picture of an example with many clips.
GRID: Final = 2
#: Collects the newest task, for an example that does not do it itself.
NEWEST: Final[Graph] = {
    "1": {"class_type": "PikaHistory", "inputs": {"task_id": "", "state": "any"}},
    "2": {"class_type": "PikaResult", "inputs": {"task_id": ["1", 0]}},
}

#: Where the graph's nodes are on the page, in its pixels.
_BOUNDS: Final = """() => {
  const canvas = window.app.canvas, box = [1e9, 1e9, -1e9, -1e9]
  for (const node of window.app.graph.nodes) {
    const [x, y, w, h] = node.getBounding()
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y)
    box[2] = Math.max(box[2], x + w); box[3] = Math.max(box[3], y + h)
  }
  const place = canvas.canvas.getBoundingClientRect(), { scale, offset } = canvas.ds
  const at = (value, axis, start) => (value + offset[axis]) * scale + start
  return [at(box[0], 0, place.left), at(box[1], 1, place.top),
          at(box[2], 0, place.left), at(box[3], 1, place.top)]
}"""

_NO_MAP: Final = "() => window.app.extensionManager.setting.set('Comfy.Minimap.Visible', false)"
#: The open workflow in the API format.
_PROMPT: Final = "async () => (await window.app.graphToPrompt()).output"

#: Moves the video on Pika Result to a time in seconds, without controls as while it plays. Returns
#: its length in seconds.
_SEEK: Final = """async (seconds) => {
  const video = document.querySelector('video')
  video.controls = false
  const arrived = new Promise((done) => video.addEventListener('seeked', done, { once: true }))
  video.currentTime = seconds
  await arrived
  return video.duration
}"""


@dataclass(frozen=True)
class Shot:
    """A screenshot of the whole editor, as PNG, and its time in the animation in seconds."""

    at: float
    png: bytes


def open_quietly(page: Page, url: str) -> None:
    """Open the editor without its map, which would cover nodes."""
    open_editor(page, url)
    page.evaluate(_NO_MAP)
    page.wait_for_timeout(REST)


def template_picture(page: Page, comfy: Comfy, example: Path) -> Image.Image:
    """Run an example with square clips, and take a frame of the last one, or of four in a grid.

    Raises StepError.
    """
    open_workflow(page, example)
    graph: dict[str, Any] = page.evaluate(_PROMPT)
    for node in graph.values():
        if node["class_type"] == "PikaOptions" and node["inputs"]["aspect_ratio"] != STILL_IMAGE:
            node["inputs"]["aspect_ratio"] = "1:1"
        if node["class_type"] == "PikaGenerate":
            node["inputs"].setdefault("options", [SQUARE, 0])
            node["inputs"]["fit"] = "crop"
    graph[SQUARE] = {"class_type": "PikaOptions", "inputs": OPTIONS}
    files = result_files(comfy, graph) or result_files(comfy, NEWEST)
    frames = [frame_of(file) for file in files]
    return frames[-1] if len(frames) < GRID**2 else grid(frames[: GRID**2])


def result_files(comfy: Comfy, graph: Graph) -> list[Path]:
    """Run a graph; the files of its Pika Results. Raises StepError."""
    run = comfy.run(graph)
    if run.error is not None:
        raise StepError(run.error.message)
    return [
        comfy.file(file)
        for node_id, node in graph.items()
        if node["class_type"] == "PikaResult"
        for file in run.outputs[node_id]["images"]
    ]


def frame_of(file: Path) -> Image.Image:
    """A frame of a clip, or a still image, as a square."""
    with av.open(str(file)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    frame: Image.Image = frames[int(MOMENT * len(frames))]
    return ImageOps.fit(frame, (TEMPLATE_SIDE, TEMPLATE_SIDE), Image.Resampling.LANCZOS)


def grid(frames: Sequence[Image.Image]) -> Image.Image:
    """Four frames as one square."""
    side = TEMPLATE_SIDE // GRID
    whole = Image.new("RGB", (TEMPLATE_SIDE, TEMPLATE_SIDE))
    for number, frame in enumerate(frames):
        row, column = divmod(number, GRID)
        small = frame.resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(small, (side * column, side * row))
    return whole


def record(page: Page, example: Path) -> list[Shot]:
    """Screenshots of one run of an example as it happens; the last one is of the result.

    Raises StepError.
    """
    open_workflow(page, example)
    page.wait_for_timeout(REST)
    shots = [Shot(0.0, page.screenshot())]
    start_run(page)
    began = time.monotonic() - BEFORE
    while not (end := run_end(page)):
        shots.append(Shot(time.monotonic() - began, page.screenshot()))
    if end != "execution_success":
        raise StepError(f"{example.stem}: {end}")
    finished = time.monotonic() - began
    wait_for_video(page)
    page.wait_for_timeout(REST)
    return [*shots, Shot(finished, page.screenshot())]


def play(page: Page, at: float) -> Iterator[Shot]:
    """Screenshots of the clip on the node, stepped through so that it moves evenly on a busy
    machine too; the first one has the time `at`.
    """
    length = float(page.evaluate(_SEEK, 0.0))
    for index in range(int(length * PLAYED)):
        page.evaluate(_SEEK, index / PLAYED)
        yield Shot(at + index / PLAYED, page.screenshot())


def command(page: Page, name: str) -> None:
    """Run a command of the editor and wait until the editor stops changing."""
    page.evaluate("(name) => window.app.extensionManager.command.execute(name)", name)
    page.wait_for_timeout(REST)


def take_sidebar(page: Page) -> Image.Image:
    """The sidebar with the tasks of the examples."""
    command(page, "Pika.ShowTasks")
    return as_picture(page.screenshot()).crop(SIDEBAR_BOX)


def take_settings(page: Page) -> Image.Image:
    """The settings page."""
    command(page, "Pika.OpenSettings")
    return as_picture(page.locator("[role=dialog]").last.screenshot())


def as_picture(data: bytes) -> Image.Image:
    """A screenshot in RGB."""
    with Image.open(io.BytesIO(data)) as picture:
        converted: Image.Image = picture.convert("RGB")
        return converted


def crop(page: Page, whole: bytes) -> Image.Image:
    """The part with the nodes and a small margin."""
    left, top, right, bottom = page.evaluate(_BOUNDS)
    box = (round(left) - 20, round(top) - 34, round(right) + 20, round(bottom) + 20)
    return as_picture(whole).crop(box)


def save_animation(page: Page, shots: Sequence[Shot], path: Path) -> None:
    """The part with the nodes as an animated WebP that repeats. Raises StepError."""
    frames: list[Image.Image] = []
    starts: list[float] = []
    for shot in shots:
        frame = crop(page, shot.png)
        if not frames or frame.tobytes() != frames[-1].tobytes():
            frames.append(frame)
            starts.append(shot.at)
    shown = [min(end - start, LONGEST) for start, end in itertools.pairwise(starts)]
    milliseconds = [round(1000 * seconds) for seconds in (*shown, AFTER)]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=milliseconds,
        loop=0,
        quality=80,
        method=6,
        allow_mixed=True,
    )
    size = path.stat().st_size
    if size > LARGEST_ANIMATION:
        raise StepError(f"{path.name} has {size} bytes, over {LARGEST_ANIMATION}.")
    say(f"{path}  {len(frames)} frames, {sum(milliseconds) / 1000:.1f} s")


def save(picture: Image.Image, path: Path, width: int) -> None:
    """As a JPEG of at most this width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture.width > width:
        size = (width, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.save(path, quality=88, optimize=True)
    say(f"{path}  {picture.width}x{picture.height}")


def stored(account: Account, home: Path) -> Account:
    """The same account in the pack's settings file: variables would make the page read-only."""
    key, url = (account.environment[name] for name in ("PIKA_API_KEY", "PIKA_BASE_URL"))
    home.mkdir(parents=True)
    (home / "settings.json").write_text(json.dumps({"api_key": key, "base_url": url}), "utf-8")
    return Account({**account.environment, "PIKA_API_KEY": None, "PIKA_BASE_URL": None})


def take_run(page: Page, example: Path, docs: Path) -> None:
    """README's pictures of one run: an animated one, and a still one of its result."""
    shots = record(page, example)
    save(crop(page, shots[-1].png), docs / "image_to_video.jpg", WIDTH)
    shots += play(page, shots[-1].at + RESULT_SHOWN)
    save_animation(page, shots, docs / "image_to_video.webp")


def take_all(page: Page, comfy: Comfy, names: Sequence[str], into: Path) -> None:
    """Take these pictures and save them below `into`, where the checkout has them."""
    for example in sorted(examples(), key=lambda path: path.stem == LAST):
        if example.stem not in names:
            continue
        if example.stem == IN_README:
            take_run(page, example, into / "docs")
        place = into / example.relative_to(ROOT)
        save(template_picture(page, comfy, example), place.with_suffix(".jpg"), TEMPLATE_SIDE)
    if SIDEBAR in names:
        save(take_sidebar(page), into / "docs" / "sidebar.jpg", WIDTH)
    if SETTINGS in names:
        save(take_settings(page), into / "docs" / "settings.jpg", WIDTH)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    known = [*(path.stem for path in examples()), SIDEBAR, SETTINGS]
    parser = argparse.ArgumentParser(prog="dev.py pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(known)}; all of them")
    parser.add_argument("--into", type=Path, default=ROOT, help="another folder than the checkout")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(known):
        parser.error(f"not among {', '.join(known)}: {', '.join(sorted(unknown))}")
    unwind_on_termination()
    folder = cache_folder() / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    inputs = folder / "comfyui" / "input"
    inputs.mkdir(parents=True)
    shutil.copy(PICTURE, inputs)
    try:
        with (
            simulator(folder / "simulator.log", "--task-seconds", TASK_SECONDS) as account,
            comfyui(
                folder / "comfyui", stored(account, folder / "comfyui" / "user" / "__pika")
            ) as comfy,
            browser() as chromium,
        ):
            page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            open_quietly(page, comfy.url)
            take_all(page, comfy, chosen.names or known, chosen.into.resolve())
    except (StepError, ComfyDied, NoBrowser) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
