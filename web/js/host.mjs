// What our modules want of the editor. Each is asked for where a version may lack it.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

export const TAB = "pika";

export function locale() {
  return app.extensionManager?.setting?.get?.("Comfy.Locale") ?? navigator.language;
}

export function toast(severity, summary, detail = "") {
  app.extensionManager?.toast?.add?.({ severity, summary, detail, life: 6000 });
}

export async function run(command) {
  await app.extensionManager?.command?.execute?.(command);
}

export async function openTasks() {
  const tabs = app.extensionManager?.sidebarTab;
  if (tabs?.activeSidebarTabId !== TAB) await run(`Workspace.ToggleSidebarTab.${TAB}`);
}

// The settings, at our page. The editor's command opens them at the first page only, so that ours
// is chosen as a hand would choose it; where it is not found, the list of pages is in sight.
export async function openSettings() {
  await run("Comfy.ShowSettingsDialog");
  const page = await appears(() => {
    const offered = document.querySelectorAll("[role=dialog] :is([role=option], nav *, li, button)");
    return [...offered].find((item) => item.textContent.trim() === "Pika");
  });
  page?.click();
}

// The editor shows every error of a run in a dialog of its own. Where ours tells the same and offers
// a way out, that one is closed by its own button.
export async function closeErrorDialog() {
  const report = await appears(() => document.querySelector("[role=dialog] .comfy-error-report"));
  const dialog = report?.closest("[role=dialog]");
  dialog?.querySelector(".p-dialog-close-button, .p-dialog-header-close")?.click();
}

// What `look` finds, or undefined where it has not come after a while.
async function appears(look) {
  for (let turn = 0; turn < 40; turn += 1) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

export function address(path) {
  return api.apiURL(path);
}

// Where ComfyUI serves a file of its output folder.
export function fileAddress(file) {
  return address(`/view?${new URLSearchParams(file)}`);
}

// A new node where it covers none, as near to the middle of what is seen of the graph as can be;
// selected, and brought into sight.
export function addNode(type, values) {
  const node = window.LiteGraph.createNode(type);
  for (const widget of node.widgets ?? []) {
    if (widget.name in values) widget.value = values[widget.name];
  }
  const graph = app.canvas.graph ?? app.graph;
  const place = freePlace(graph, node.size);
  node.pos = place.at;
  graph.beforeChange?.();
  graph.add(node);
  graph.afterChange?.();
  app.canvas.deselectAll?.();
  app.canvas.select ? app.canvas.select(node) : app.canvas.selectNode?.(node);
  if (!place.seen) app.canvas.centerOnNode?.(node);
  app.canvas.setDirty?.(true, true);
  return node;
}

const GAP = 40;
// A node's title is above its position.
const TITLE = 30;
// So many places are looked at in a row, and in a column.
const TRIED = 24;

// Where there is no room in sight, the place is at the right of all that is there.
function freePlace(graph, [width, height]) {
  const { scale, offset } = app.canvas.ds;
  const canvas = app.canvas.canvas.getBoundingClientRect();
  // The canvas goes on behind the sidebar; this panel is the part that is in sight.
  const panel = document.querySelector(".graph-canvas-panel")?.getBoundingClientRect();
  const area = panel?.width ? panel : canvas;
  const left = (area.left - canvas.left) / scale - offset[0];
  const top = (area.top - canvas.top) / scale - offset[1];
  const [wide, high] = [area.width / scale - width, area.height / scale - height];
  const isFree = ([x, y]) =>
    graph.nodes.every(
      ({ pos, size }) =>
        x > pos[0] + size[0] + GAP ||
        x + width + GAP < pos[0] ||
        y > pos[1] + size[1] + GAP + TITLE ||
        y + height + GAP + TITLE < pos[1],
    );
  const middle = [left + wide / 2, top + high / 2];
  const places = [middle];
  for (let column = 1; column < TRIED; column += 1) {
    for (let row = 1; row < TRIED; row += 1) {
      places.push([left + (wide * column) / TRIED, top + (high * row) / TRIED]);
    }
  }
  const far = ([x, y]) => Math.hypot(x - middle[0], y - middle[1]);
  const at = places.sort((one, other) => far(one) - far(other)).find(isFree);
  if (at) return { at, seen: true };
  const right = Math.max(...graph.nodes.map(({ pos, size }) => pos[0] + size[0]));
  return { at: [right + GAP, middle[1]], seen: false };
}
