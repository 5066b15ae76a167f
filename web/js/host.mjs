// @ts-check
// What the pack uses of the editor's public interface. Anything that an older editor may lack is
// optional here; what is not public is in workarounds.mjs.

/** @import { NodePlan } from "./free_place.mjs" */
/** @import { Notice } from "./notices.mjs" */
/** @import { GraphNode, OutputFile } from "./types.mjs" */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { freePlace, groupPlaces } from "./free_place.mjs";
import { clickSettingsPage, isTabOpen, onToastClick, visibleArea } from "./workarounds.mjs";

/** The id of the pack's sidebar tab. */
export const TAB = "pika";

const TOAST_SHOWN_FOR_MS = 6000;
let clickableToasts = 0;

/**
 * What a run does, as far as it can change a task.
 * @type {Parameters<typeof api.addEventListener>[0][]}
 */
const RUN_EVENTS = [
  "execution_start",
  "executed",
  "execution_success",
  "execution_error",
  "execution_interrupted",
  "progress_text",
];

/**
 * The editor's language, such as "en" or "zh-TW".
 * @returns {string}
 */
export function locale() {
  return app.extensionManager?.setting?.get?.("Comfy.Locale") ?? navigator.language;
}

/**
 * @param {"info" | "warn" | "error"} severity
 * @param {string} summary
 * @param {string} [detail]
 */
export function showToast(severity, summary, detail = "") {
  app.extensionManager?.toast?.add?.({ severity, summary, detail, life: TOAST_SHOWN_FOR_MS });
}

/**
 * The toasts of newer editors (frontend 1.58), which the published types lack.
 * @typedef {{ description: string, action: { label: string, onClick: () => void } }} ToastOptions
 * @typedef {Record<Notice["kind"], (title: string, options: ToastOptions) => number>} ToastKinds
 * @typedef {ToastKinds & { dismiss(id: number): void }} NewerToasts
 */

/**
 * Shows a toast that can be clicked, and that stays until it is closed or removed.
 * @param {Notice} notice
 * @returns {() => void} removes it
 */
export function showNotice({ kind, title, text, label, open }) {
  const toasts = app.extensionManager?.toast;
  const newer = /** @type {Partial<NewerToasts> | undefined} */ (/** @type {unknown} */ (toasts));
  if (newer?.dismiss && newer[kind]) {
    const id = newer[kind](title, { description: text, action: { label, onClick: open } });
    return () => newer.dismiss?.(id);
  }
  clickableToasts += 1;
  const name = `pika-notice-${clickableToasts}`;
  const message = { severity: kind, summary: title, detail: `${text}\n${label}`, styleClass: `pika-notice ${name}` };
  toasts?.add?.(message);
  const stopListening = onToastClick(name, open);
  return () => {
    stopListening();
    toasts?.remove?.(message);
  };
}

/** Whether the user looks at the page, and not at another window, tab or program. */
export function isInFront() {
  return document.visibilityState === "visible" && document.hasFocus();
}

/**
 * Calls `onChange` when the page may have come to the front, for as long as the page is open.
 * @param {() => void} onChange
 */
export function watchFront(onChange) {
  window.addEventListener("focus", onChange);
  document.addEventListener("visibilitychange", onChange);
}

/**
 * Calls `onEnd` when a node of this page's prompts has waited for a task to its end.
 * @param {(event: { number: number, seconds: number }) => void} onEnd
 */
export function watchTaskEnds(onEnd) {
  // The editor's types know its own events only.
  const name = /** @type {"executed"} */ ("pika.task_ended");
  api.addEventListener(name, ({ detail }) => onEnd(/** @type {any} */ (detail)));
}

/**
 * Calls `action` at an event of a run, with what the server says about it.
 * @template Detail
 * @param {string} name
 * @param {(detail: Detail) => void} action
 */
export function onRunEvent(name, action) {
  const known = /** @type {"executed"} */ (name);
  api.addEventListener(known, ({ detail }) => action(/** @type {any} */ (detail)));
}

/** The workflow whose tab is in front; undefined where the editor does not say. */
export function activeWorkflow() {
  /** @type {{ workflow?: { activeWorkflow?: { path?: string } | null } }} */
  const manager = /** @type {object} */ (app.extensionManager);
  return manager?.workflow?.activeWorkflow?.path;
}

/**
 * A choice of the user in ComfyUI's settings; undefined where there is none.
 * @param {string} id
 * @returns {unknown}
 */
export function storedChoice(id) {
  // The editor's types know its own ids only.
  return app.extensionManager?.setting?.get?.(/** @type {"Comfy.Locale"} */ (id));
}

/**
 * Stores a choice in ComfyUI's settings, which every client can read.
 * @param {string} id
 * @param {boolean} value
 */
export function storeChoice(id, value) {
  app.extensionManager?.setting?.set?.(
    /** @type {"Comfy.Locale"} */ (id),
    /** @type {any} */ (value),
  );
}

/**
 * Has the browser save a file.
 * @param {Blob} content
 * @param {string} name
 */
export function saveFile(content, name) {
  const href = URL.createObjectURL(content);
  const link = Object.assign(document.createElement("a"), { href, download: name });
  link.click();
  // The browser has begun to save it then.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/** @param {string} command */
export async function runCommand(command) {
  await app.extensionManager?.command?.execute?.(command);
}

/** Opens the sidebar tab with the tasks, or leaves it open. */
export async function openTasks() {
  // The command toggles the tab.
  if (!isTabOpen(TAB)) await runCommand(`Workspace.ToggleSidebarTab.${TAB}`);
}

/** Opens the page Settings → Pika. */
export async function openSettings() {
  // The command opens the settings at their first page only.
  await runCommand("Comfy.ShowSettingsDialog");
  await clickSettingsPage("Pika");
}

/** @param {string} path */
export function serverUrl(path) {
  return api.apiURL(path);
}

/**
 * Where ComfyUI serves a file of its output folder.
 * @param {OutputFile} file
 */
export function fileUrl(file) {
  return serverUrl(`/view?${new URLSearchParams({ ...file })}`);
}

/**
 * Calls `onEvent` at every event of a run.
 * @param {() => void} onEvent
 * @returns {() => void} ends it
 */
export function watchRuns(onEvent) {
  for (const name of RUN_EVENTS) api.addEventListener(name, onEvent);
  return () => {
    for (const name of RUN_EVENTS) api.removeEventListener(name, onEvent);
  };
}

/**
 * Adds a node to the graph, near the middle of its visible part where it covers no other node, and
 * selects it. Where there is no such place, the node is put beside all others and scrolled to.
 * @param {string} type
 * @param {NodePlan["values"]} values of its widgets, by name
 */
export function addNode(type, values) {
  addNodes([{ type, values, column: 0 }]);
}

/**
 * Adds connected nodes in the same way, and selects the last one. The user undoes it in one step.
 * @param {readonly NodePlan[]} plans in the order of their columns
 */
export function addNodes(plans) {
  const created = plans.flatMap((plan) => {
    const node = createNode(plan);
    return node ? [{ ...plan, node, size: /** @type {[number, number]} */ ([node.size[0], node.size[1]]) }] : [];
  });
  const last = created.at(-1)?.node;
  if (!last) return;
  const { canvas } = app;
  const graph = canvas.graph ?? app.graph;
  const { places, size } = groupPlaces(created);
  const { position, isVisible } = freePlace(graph.nodes, visibleArea(canvas), size);
  graph.beforeChange?.();
  created.forEach(({ node }, index) => {
    const [x = 0, y = 0] = places[index] ?? [];
    node.pos = [position[0] + x, position[1] + y];
    graph.add(node);
  });
  for (const { node, to } of created) {
    const target = created.find(({ type }) => type === to?.type)?.node;
    if (target && to) node.connect(0, target, target.findInputSlot(to.input));
  }
  graph.afterChange?.();
  select(last);
  if (!isVisible) canvas.centerOnNode?.(last);
  canvas.setDirty?.(true, true);
}

/** @param {NodePlan} plan */
function createNode({ type, values }) {
  const node = window.LiteGraph?.createNode(type);
  for (const widget of node?.widgets ?? []) {
    if (widget.name in values) widget.value = values[widget.name];
  }
  return node;
}

/**
 * Opens a workflow in a new tab without a name, as a file that is dropped on the canvas: the workflow
 * that is open stays open, with what is not saved.
 * @param {object} workflow
 */
export async function openWorkflow(workflow) {
  await app.loadGraphData(/** @type {Parameters<typeof app.loadGraphData>[0]} */ (workflow));
}

/** @param {GraphNode} node */
function select(node) {
  const { canvas } = app;
  canvas.deselectAll?.();
  if (canvas.select) canvas.select(node);
  else canvas.selectNode?.(node);
}
