"""The editor with the pack's parts, and what a user does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from devtools.comfyui.pages import open_editor
from support.browser import PageErrors, leave, rest_mouse
from support.comfy import Comfy

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

EXTENSION = "extensions/comfyui-pika"
#: Versions from which the editor has the rendering «Nodes 2.0», and blueprints in its search.
NODES_2, IN_SEARCH = "1.32", "1.32"
#: Settings of the editor that tests change.
DEFAULTS = {"Locale": "en", "ColorPalette": "dark", "VueNodes.Enabled": False}

_SET_LOOK = """async ([palette, nodes2]) => {
  const { setting } = window.app.extensionManager
  await setting.set('Comfy.ColorPalette', palette)
  await setting.set('Comfy.VueNodes.Enabled', nodes2)
}"""
#: Whether the page's colours are those of this palette: dark if its background is.
_HAS_LOOK = """(palette) => {
  const context = document.createElement('canvas').getContext('2d')
  context.fillStyle = getComputedStyle(document.body).getPropertyValue('--bg-color').trim()
  return (parseInt(context.fillStyle.slice(1, 3), 16) < 128) === (palette === 'dark')
}"""

#: The lowest contrast ratio (WCAG 2) of all visible texts below a selector, and that text.
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
  const ratios = []
  for (const node of document.querySelectorAll(selector + ' *')) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())
    if (!own || !node.getClientRects().length || node.closest(':disabled')) continue
    const under = behind(node)
    const pair = [light(over(rgba(getComputedStyle(node).color), under)), light(under)]
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)
    ratios.push([ratio, node.className + ': ' + node.textContent.trim().slice(0, 40)])
  }
  return ratios.sort((a, b) => a[0] - b[0])[0] ?? null
}"""


def worst_contrast(page: Page, selector: str) -> tuple[float, str]:
    """The lowest contrast ratio of the texts below a selector, and that text."""
    lowest = page.evaluate(_CONTRAST, selector)
    assert lowest, f"there is no text in {selector}"
    return lowest[0], lowest[1]


@contextmanager
def editor_with(page: Page, comfy: Comfy, settings: dict[str, Any]) -> Iterator[None]:
    """Open the editor with other settings, by their names without ``Comfy.``.

    At the end of the block the settings have their defaults again, and the editor is closed.
    """
    _store(comfy, settings)
    try:
        open_editor(page, comfy.url)
        yield
    finally:
        _store(comfy, {name: DEFAULTS[name] for name in settings})
        leave(page)


def _store(comfy: Comfy, settings: dict[str, Any]) -> None:
    body = {f"Comfy.{name}": value for name, value in settings.items()}
    comfy.request("POST", "/settings", json=body).raise_for_status()


def require_editor(page: Page, version: str) -> None:
    """Skip the test in an open editor that is older. The editor of the gate never is."""
    own = str(page.evaluate("() => window.__COMFYUI_FRONTEND_VERSION__"))
    if _numbers(own) < _numbers(version):
        pytest.skip(f"editor {own} does not have this; {version} has")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def set_look(page: Page, palette: str, *, nodes_2: bool = False) -> None:
    """Change palette and rendering of the open editor, as its settings do: nothing is loaded."""
    page.evaluate(_SET_LOOK, [palette, nodes_2])
    page.wait_for_function(_HAS_LOOK, arg=palette)
    rest_mouse(page)


@contextmanager
def settings_read(page: Page) -> Iterator[None]:
    """Wait at the end of the block until the page has read the settings and shows them."""
    with page.expect_response(_is_settings) as response:
        yield
    response.value.finished()
    page.evaluate("() => new Promise((done) => setTimeout(done))")  # the page's own code is first


def _is_settings(response: Response) -> bool:
    return response.url.endswith("/pika/settings") and response.request.method == "GET"


def open_settings(page: Page) -> Locator:
    """The page Settings → Pika, opened by the pack's command."""
    with settings_read(page):
        page.evaluate("() => void window.app.extensionManager.command.execute('Pika.OpenSettings')")
    dialog = page.locator("[role=dialog]").filter(has=page.locator(".pika-field"))
    dialog.locator(".pika-field input[type=password]").wait_for()
    return dialog


def open_tasks(page: Page) -> Locator:
    """The sidebar's tab, opened by its button."""
    page.get_by_role("button", name="Pika", exact=True).click()
    sidebar = page.locator(".pika-sidebar")
    sidebar.wait_for()
    return sidebar


def card(page: Page, text: str) -> Locator:
    """The card with this text."""
    return page.locator(".pika-card").filter(has_text=text)


def press_on_card(page: Page, text: str, button: str) -> None:
    """Press one of a card's buttons."""
    card(page, text).get_by_role("button", name=button).click()


def assert_no_errors(errors: PageErrors) -> None:
    """The pack's scripts and routes have caused no error on the page."""
    assert errors.about(EXTENSION) == []
    assert errors.about("/pika/") == []
