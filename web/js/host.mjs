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

// A new node in the middle of what is seen of the graph, selected.
export function addNode(type, values) {
  const node = window.LiteGraph.createNode(type);
  for (const widget of node.widgets ?? []) {
    if (widget.name in values) widget.value = values[widget.name];
  }
  const graph = app.canvas.graph ?? app.graph;
  node.pos = freePlace(graph, node.size);
  graph.beforeChange?.();
  graph.add(node);
  graph.afterChange?.();
  app.canvas.deselectAll?.();
  app.canvas.select ? app.canvas.select(node) : app.canvas.selectNode?.(node);
  app.canvas.setDirty?.(true, true);
  return node;
}

function freePlace(graph, [width, height]) {
  const { scale, offset } = app.canvas.ds;
  const canvas = app.canvas.canvas.getBoundingClientRect();
  // The canvas goes on behind the sidebar; this panel is the part that is in sight.
  const seen = document.querySelector(".graph-canvas-panel")?.getBoundingClientRect();
  const area = seen?.width ? seen : canvas;
  let x = (area.left - canvas.left + area.width / 2) / scale - offset[0] - width / 2;
  let y = (area.top - canvas.top + area.height / 2) / scale - offset[1] - height / 2;
  const taken = () => graph.nodes.some(({ pos }) => Math.hypot(pos[0] - x, pos[1] - y) < 20);
  while (taken()) {
    x += 30;
    y += 30;
  }
  return [x, y];
}
