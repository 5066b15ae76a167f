"""The editor with our parts in it, and what a person does there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pika_api.journal import Journal
from pika_api.journal.schema import TASKS
from pika_api.settings import sqlite_url
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from support.browser import PageErrors

OURS = "extensions/comfyui-pika"

#: How far a text stands out from what is behind it, as WCAG 2 counts it: of every text in sight
#: below a selector, the least, and whose it is.
_CONTRAST = """(selector) => {
  const rgba = (text) => {
    const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
      .getContext('2d', {willReadFrequently: true})
    context.fillStyle = text
    context.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a))
  const behind = (node) => {
    const layers = []
    for (let at = node; at; at = at.parentElement) {
      const layer = rgba(getComputedStyle(at).backgroundColor)
      layers.push(layer)
      if (layer[3] === 1) break
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255])
  }
  const light = (rgb) => rgb.map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const found = []
  for (const node of document.querySelectorAll(selector + ' *')) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())
    if (!own || !node.getClientRects().length || node.closest(':disabled')) continue
    const under = behind(node)
    const pair = [light(over(rgba(getComputedStyle(node).color), under)), light(under)]
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)
    found.push([ratio, node.className + ': ' + node.textContent.trim().slice(0, 40)])
  }
  return found.sort((a, b) => a[0] - b[0])[0] ?? null
}"""


def worst_contrast(page: Page, selector: str) -> tuple[float, str]:
    """The least contrast ratio of the texts below a selector, and the text."""
    found = page.evaluate(_CONTRAST, selector)
    assert found, f"there is no text in {selector}"
    return found[0], found[1]


def wear(comfy: Comfy, **settings: Any) -> None:
    """Give the editor its own settings, by their names without ``Comfy.``; "_" stands for "."."""
    given = {f"Comfy.{name.replace('_', '.')}": value for name, value in settings.items()}
    comfy.request("POST", "/settings", json=given).raise_for_status()


def set_up(comfy: Comfy, **settings: Any) -> dict[str, Any]:
    """Change the pack's settings as its page does; returns the answer."""
    answer = comfy.request("POST", "/pika/settings", json=settings, headers={"X-Pika-Editor": "1"})
    answer.raise_for_status()
    return dict(answer.json())


def open_settings(page: Page) -> Locator:
    """The page Settings → Pika, opened by our command."""
    page.evaluate("() => void window.app.extensionManager.command.execute('Pika.OpenSettings')")
    shown = page.locator("[role=dialog]").filter(has=page.locator(".pika-field"))
    shown.locator(".pika-field input[type=password]").wait_for()
    return shown


def open_tasks(page: Page) -> Locator:
    """The sidebar's tab, opened by its button."""
    page.get_by_role("button", name="Pika", exact=True).click()
    shown = page.locator(".pika-sidebar")
    shown.wait_for()
    return shown


def card(page: Page, text: str) -> Locator:
    """The card with this text."""
    return page.locator(".pika-card").filter(has_text=text)


def act(page: Page, text: str, action: str) -> None:
    """Press one of a card's buttons."""
    card(page, text).get_by_role("button", name=action).click()


def assert_quiet(errors: PageErrors) -> None:
    """Nothing of ours has complained on the console."""
    assert errors.about(OURS) == []
    assert errors.about("/pika/") == []


def fill_journal(comfy: Comfy, count: int) -> None:
    """Write that many saved tasks into a ComfyUI's journal, all at once."""
    home = comfy.base_dir / "user" / "__pika"
    home.mkdir(exist_ok=True)
    url = sqlite_url(home)
    Journal(url).close()  # makes the tables
    now = time.time()
    row = {"state": "failed", "base_url": "", "key_id": "", "lease_until": 0.0}
    rows = [
        {
            **row,
            "task_id": f"made-up-{number:06d}",
            "prompt": f"Prompt number {number}",
            "request": json.dumps({"promptText": f"Prompt number {number}"}),
            "created_at": now - 60 * (count - number),
            "changed_at": now - 60 * (count - number),
        }
        for number in range(count)
    ]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(TASKS.insert(), rows)
    engine.dispose()


def settings_file(comfy: Comfy) -> Path:
    """Where the pack keeps its settings; the folder is made where it is not there yet."""
    home = comfy.base_dir / "user" / "__pika"
    home.mkdir(exist_ok=True)
    return home / "settings.json"
