"""Screenshots of the example workflows after a run, taken in the real editor."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from devtools.browser import MISSING
from devtools.chromium import NoBrowser, browser
from devtools.comfy import ComfyDied
from devtools.endings import unwind_on_termination
from devtools.environment import cache_folder
from devtools.pages import EXAMPLES, examples, open_editor, open_workflow, press_run, wait_for_video
from devtools.recipe import ROOT
from devtools.servers import comfyui, simulator
from devtools.steps import StepError, say

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: README's picture is that of this example.
SHOWN: Final = "pika_image_to_video"
README_PICTURE: Final = ROOT / "docs" / "image_to_video.jpg"
WIDTH, HEIGHT = 1600, 860
THUMBNAIL_WIDTH: Final = 800
#: Milliseconds for the editor to come to rest: fonts, the fitted view, the playing video.
REST: Final = 1500

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


def take(page: Page, url: str, example: Path) -> bytes:
    """Run one example and take a picture of the whole editor, as PNG."""
    open_editor(page, url)
    banner = page.get_by_role("button", name="Close")
    page.wait_for_timeout(REST)
    if banner.count():
        banner.first.click()
    open_workflow(page, example)
    press_run(page)
    wait_for_video(page)
    page.wait_for_timeout(REST)
    return page.screenshot()


def crop(page: Page, whole: bytes) -> Image.Image:
    """The part with the nodes, and a little around it."""
    left, top, right, bottom = page.evaluate(_BOUNDS)
    with Image.open(io.BytesIO(whole)) as picture:
        box = (round(left) - 20, round(top) - 34, round(right) + 20, round(bottom) + 20)
        cropped: Image.Image = picture.convert("RGB").crop(box)
        return cropped


def save(picture: Image.Image, path: Path, width: int) -> None:
    """As a JPEG of at most this width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture.width > width:
        size = (width, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.save(path, quality=88, optimize=True)
    say(f"{path.relative_to(ROOT)}  {picture.width}x{picture.height}")


def main() -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    unwind_on_termination()
    folder = cache_folder() / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    inputs = folder / "comfyui" / "input"
    shutil.copytree(EXAMPLES / "input", inputs)
    try:
        with (
            simulator(folder / "simulator.log", "--task-seconds", "2") as account,
            comfyui(folder / "comfyui", account) as comfy,
            browser() as chromium,
        ):
            for example in examples():
                page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                graph = crop(page, take(page, comfy.url, example))
                save(graph, example.with_suffix(".jpg"), THUMBNAIL_WIDTH)
                if example.stem == SHOWN:
                    save(graph, README_PICTURE, WIDTH)
                page.close()
    except NoBrowser:
        say(MISSING)
        return 1
    except (StepError, ComfyDied) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
