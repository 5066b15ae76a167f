// @ts-check
// Everything that clicks or reads what is not part of the editor's public interface: elements of its
// page, and properties of its internals.
//
// Versions are those of comfyui-frontend-package. Each entry was compared with the code of 1.27.10,
// 1.32.9 (ComfyUI 0.3.75), 1.35.9, 1.45.21, 1.53.6 (ComfyUI of August 2026) and 1.58.1. Where a
// version lacks what an entry looks for, the entry does nothing; "otherwise" says what the user sees
// then.

/** @import { Area } from "./free_place.mjs" */
/** @import { GraphCanvas, GraphNode, NodeDefinition, NodeOutput, Widget } from "./types.mjs" */

import { app } from "../../../scripts/app.js";

/**
 * Properties of `app.extensionManager` that are not public.
 * @typedef {object} Internals
 * @property {{ activeSidebarTabId?: string | null }} [sidebarTab]
 * @property {{ _s?: Map<string, object> }} [_p] all stores of the editor, by their names
 */

/**
 * Properties of a node that the editor's types do not have.
 * @typedef {object} PreviewProperties
 * @property {unknown[]} [imgs]
 * @property {unknown} [images]
 * @property {HTMLElement} [videoContainer]
 * @property {"video" | "image"} [previewMediaType]
 * @property {(output?: NodeOutput, ...others: unknown[]) => unknown} [onExecuted]
 */

/**
 * What the editor calls on a widget around each run.
 * @typedef {object} ControlHooks
 * @property {(...values: unknown[]) => void} [beforeQueued]
 * @property {(...values: unknown[]) => void} [afterQueued]
 */

/**
 * How well a node fits to a search: the editor compares the first numbers, then the next ones. Lower is
 * better.
 * @typedef {number[]} Scores
 */

/**
 * What the editor's search knows about a node.
 * @typedef {object} SearchEntry
 * @property {(scores: Scores) => Scores} [postProcessSearchScores]
 */

/**
 * A link that the user drags.
 * @typedef {object} DraggedLink
 * @property {GraphNode} [node] where it begins
 * @property {{ type?: string | number }} fromSlot
 * @property {"input" | "output"} toType
 */

const CHECK_EVERY_MS = 50;
const CHECKS = 40;
const DRAWN_AFTER_MS = 100;
/** A preview that was still loading appears up to this long after the run. */
const CLEAN_UP_AFTER_MS = [300, 1000, 3000];
const CANVAS_PREVIEW_WIDGET = "$$canvas-image-preview";
/**
 * The name of the widget in which the editor shows a node's progress text.
 *
 * Versions: all. Why: the editor uses a widget that has this name already, so the pack's own one takes
 * its place: the editor's would show the same text a second time, and squeeze the node's other widgets.
 * Otherwise: both show the text.
 */
export const TEXT_WIDGET = "$$node-text-preview";
const VIDEO_WIDGET = "video-preview";
/** The CSS property with a node's height in Nodes 2.0. */
const NODE_HEIGHT = "--node-height";

/**
 * Chooses a page in the open settings dialog.
 *
 * Versions: all. Why: the editor has a command that opens the settings, and none that opens them at
 * an extension's page. Otherwise: the dialog stays at its first page, and the list of pages is visible.
 * @param {string} name
 */
export async function clickSettingsPage(name) {
  const page = await appearance(() => {
    /** @type {NodeListOf<HTMLElement>} */
    const items = document.querySelectorAll("[role=dialog] :is([role=option], nav *, li, button)");
    return [...items].find((item) => item.textContent?.trim() === name);
  });
  page?.click();
}

/**
 * Closes the dialog in which the editor shows a run's error, by its own button.
 *
 * Versions: all. 1.27 to 1.35 have the button with the class; the one of 1.45 and later has only a
 * label, and the dialog is there only where the user has turned the errors panel off (otherwise a
 * notice at the edge shows the error, which does not disturb). Why: the pack's own dialog shows the
 * same error and a way to correct it, and an extension cannot prevent the editor's dialog.
 * Otherwise: that dialog stays below the pack's.
 */
export async function closeErrorDialog() {
  const report = await appearance(() => document.querySelector("[role=dialog] .comfy-error-report"));
  const dialog = report?.closest("[role=dialog]");
  for (const selector of [".p-dialog-close-button", "button[type=button][aria-label]"]) {
    const close = dialog?.querySelector(selector);
    if (!(close instanceof HTMLElement)) continue;
    close.click();
    return;
  }
}

/**
 * Calls `action` when a toast is clicked, but for its close button.
 *
 * Versions: 1.27 to 1.53. Why: their toasts have no action of their own; newer ones have. Otherwise:
 * the toast is only a text, and the sidebar has the task.
 * @param {string} className of the toast
 * @param {() => void} action
 * @returns {() => void} ends it
 */
export function onToastClick(className, action) {
  /** @param {MouseEvent} event */
  const onClick = ({ target }) => {
    if (!(target instanceof Element) || target.closest("button")) return;
    if (target.closest(`.${className}`)) action();
  };
  document.addEventListener("click", onClick);
  return () => document.removeEventListener("click", onClick);
}

/**
 * Waits until `find` returns something. After two seconds without it: undefined.
 * @template Value
 * @param {() => Value | null | undefined} find
 */
async function appearance(find) {
  for (let check = 0; check < CHECKS; check += 1) {
    const value = find();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS));
  }
  return undefined;
}

/**
 * Whether a sidebar tab is open.
 *
 * Versions: all. Why: the only public way to open a tab is a command that toggles it. Otherwise: the
 * command closes a tab that is open.
 * @param {string} id
 */
export function isTabOpen(id) {
  const manager = /** @type {Internals} */ (app.extensionManager);
  return manager?.sidebarTab?.activeSidebarTabId === id;
}

/**
 * The part of the graph that the user sees, in the graph's units.
 *
 * Versions: all. Why: the canvas continues behind the sidebar, and only this panel of the page is
 * next to it. Otherwise: a new node may be partly behind the sidebar.
 * @param {GraphCanvas} graphCanvas
 * @returns {Area}
 */
export function visibleArea(graphCanvas) {
  const { scale, offset } = graphCanvas.ds;
  const canvas = graphCanvas.canvas.getBoundingClientRect();
  const panel = document.querySelector(".graph-canvas-panel")?.getBoundingClientRect();
  const area = panel?.width ? panel : canvas;
  return {
    left: (area.left - canvas.left) / scale - offset[0],
    top: (area.top - canvas.top) / scale - offset[1],
    width: area.width / scale,
    height: area.height / scale,
  };
}

/**
 * The choices of every LoadImage node: the editor's own list, which may be added to.
 *
 * Versions: all; newer servers send the choices as an option. Why: the editor reads the list once,
 * when the page loads, and marks a later file as missing. Otherwise: undefined.
 * @returns {string[] | undefined}
 */
export function loadImageChoices() {
  const definition = window.LiteGraph?.registered_node_types?.LoadImage?.nodeData;
  const [type, details] = definition?.input?.required?.image ?? [];
  return [type, details?.options].find((value) => Array.isArray(value));
}

/**
 * A node's definition, as the server sent it.
 *
 * Versions: all. Why: the editor's types and events give the class of a node, and not what the server
 * says about it. Otherwise: undefined.
 * @param {GraphNode} node
 * @returns {NodeDefinition | undefined}
 */
export function definitionOf(node) {
  /** @type {{ nodeData?: NodeDefinition }} */
  const { nodeData } = /** @type {object} */ (node.constructor);
  return nodeData;
}

/**
 * Changes the place of a node in the results of the editor's search.
 *
 * Versions: all. Why: an extension has no say in the order; nodes of a pack come last, and among
 * themselves by the length of their names. Otherwise: the editor's own order.
 * @param {string} name
 * @param {(scores: Scores) => Scores} change
 */
export function rankInSearch(name, change) {
  const entry = searchEntry(name);
  const original = entry?.postProcessSearchScores;
  // A property of this entry, which hides the method of its class.
  if (!entry || !original || Object.hasOwn(entry, "postProcessSearchScores")) return;
  entry.postProcessSearchScores = (scores) => change(original.call(entry, scores));
}

/**
 * @param {string} name
 * @returns {SearchEntry | undefined}
 */
function searchEntry(name) {
  const store = /** @type {Internals} */ (app.extensionManager)?._p?._s?.get("nodeDef");
  return /** @type {{ nodeDefsByName?: Record<string, SearchEntry> }} */ (store)?.nodeDefsByName?.[name];
}

/**
 * Lets the editor propose certain nodes first where a link from an output is dropped on the empty
 * canvas: in its search, and in its menu (with Shift, or the other way round).
 *
 * Versions: all. Why: the menu proposes nodes by the type of the link, and only those whose input is no
 * widget; the search lists every node with an input of that type. For a text those are hundreds.
 * Otherwise: the editor's own lists.
 * @param {(node: GraphNode | undefined) => readonly string[]} proposedFor the names for a link from a node
 */
export function onLinkDrop(proposedFor) {
  const connector = /** @type {{ renderLinks?: DraggedLink[], events?: EventTarget } | undefined} */ (
    /** @type {unknown} */ (app.canvas?.linkConnector)
  );
  /** @returns {{ link?: DraggedLink, names: readonly string[] }} */
  const proposals = () => {
    const link = connector?.renderLinks?.[0];
    return link?.toType === "input" ? { link, names: proposedFor(link.node) } : { names: [] };
  };
  // The link stays in the connector while the search is open.
  connector?.events?.addEventListener("dropped-on-canvas", () => {
    const { link, names } = proposals();
    for (const name of names) {
      rankInSearch(name, (scores) => (proposals().names.includes(name) ? [-1, ...scores] : scores));
    }
    if (names.length) proposeInMenu(String(link?.fromSlot.type), names);
  });
}

/**
 * Puts nodes at the top of the menu that the editor is about to open for a link of this type.
 * @param {string} type
 * @param {readonly string[]} names
 */
function proposeInMenu(type, names) {
  const menu = window.LiteGraph?.slot_types_default_out;
  if (!menu) return;
  const before = menu[type];
  const others = [before ?? []].flat().filter((other) => !names.includes(String(other)));
  menu[type] = [...names, ...others];
  // The menu is built in the same turn; links from other nodes have the editor's own list.
  queueMicrotask(() => {
    if (before === undefined) delete menu[type];
    else menu[type] = before;
  });
}

/**
 * Lets a new node keep its seed after a run.
 *
 * Versions: all. Why: the editor gives a new node another seed after every run unless its widget
 * "control after generate" says "fixed", and another seed is another paid task. A saved workflow keeps
 * its own choice: its values are set after this. Otherwise: the user has to choose "fixed".
 * @param {GraphNode} node
 */
export function fixSeed(node) {
  const seed = node.widgets?.find((widget) => widget.name === "seed");
  const control = seed?.linkedWidgets?.find((widget) => {
    const { values } = /** @type {{ values?: unknown }} */ (widget.options ?? {});
    return Array.isArray(values) && values.includes("fixed");
  });
  if (!seed || !control) return;
  control.value = "fixed";
  keepUnderFixed(seed, control);
}

/**
 * Keeps a seed under "fixed" as it is.
 *
 * Versions: 1.27 to 1.45. Why: before or after a run, the control sets every value over 2^50 to 2^50,
 * even under "fixed", and another seed is another paid task. Otherwise: the second run of an unchanged
 * workflow with such a seed is charged.
 * @param {Widget} seed
 * @param {Widget & ControlHooks} control
 */
function keepUnderFixed(seed, control) {
  for (const hook of /** @type {const} */ (["beforeQueued", "afterQueued"])) {
    const original = control[hook];
    if (!original) continue;
    control[hook] = (...values) => {
      const { value } = seed;
      original.apply(control, values);
      if (control.value === "fixed") seed.value = value;
    };
  }
}

/**
 * Lets a node show its video instead of the thumbnail that it showed during the run.
 *
 * Versions: all. Why: the editor continues to show the last preview of a run in place of the node's
 * output, and a preview that was still loading appears even later. Otherwise: the thumbnail stays
 * beside the video.
 * @param {GraphNode & PreviewProperties} node
 */
export function showVideoInsteadOfPreview(node) {
  const { onExecuted } = node;
  node.onExecuted = (output, ...others) => {
    setPreviewType(node, output);
    removePreview(node);
    if (output?.animated?.[0]) {
      for (const delay of CLEAN_UP_AFTER_MS) {
        setTimeout(() => {
          removePreview(node);
          growForVideo(node);
        }, delay);
      }
    }
    return onExecuted?.call(node, output, ...others);
  };
}

/**
 * Tells the editor whether a node's output is a video.
 *
 * Versions: 1.32 and 1.35 with Nodes 2.0; 1.45 and later read `animated` of the output themselves.
 * Why: these show every output as an image unless this property says otherwise. Otherwise: a broken
 * image in place of the video.
 * @param {GraphNode & PreviewProperties} node
 * @param {NodeOutput | undefined} output
 */
export function setPreviewType(node, output) {
  if (output?.images?.length) node.previewMediaType = output.animated?.[0] ? "video" : "image";
}

/**
 * Makes a node higher, or lower, than it is.
 *
 * Versions: 1.27 to 1.35, in Nodes 2.0. Why: there a node's element does not follow the size that is set,
 * but its own property. Otherwise: a line on a node makes the prompt box smaller.
 * @param {GraphNode} node
 * @param {number} difference in the graph's units
 */
export function changeHeight(node, difference) {
  /** @type {HTMLElement | null} */
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`);
  const before = drawn?.style.getPropertyValue(NODE_HEIGHT);
  const [width = 0, height = 0] = node.size;
  node.setSize([width, Math.max(height + difference, node.computeSize()[1])]);
  if (!drawn || !before) return;
  requestAnimationFrame(() => {
    if (drawn.style.getPropertyValue(NODE_HEIGHT) !== before) return;
    drawn.style.setProperty(NODE_HEIGHT, `${parseFloat(before) + difference}px`);
  });
}

/**
 * Draws a node that has got a widget with this element.
 *
 * Versions: 1.27 to 1.35, in Nodes 2.0. Why: once a widget's value has changed, they draw the node's
 * widgets from a copy, which lacks later ones; a node that is added is read anew. Otherwise: the line is
 * missing on the nodes in which the user has typed something.
 * @param {GraphNode} node
 * @param {HTMLElement} element
 */
export function redraw(node, element) {
  app.canvas?.setDirty?.(true, true);
  setTimeout(() => {
    const isDrawn = document.querySelector(`[data-node-id="${node.id}"]`);
    if (isDrawn && !element.isConnected) node.graph?.onNodeAdded?.(node);
  }, DRAWN_AFTER_MS);
}

/**
 * Removes what a node shows of an earlier run: its video or picture, and its preview.
 *
 * Versions: all. Why: the editor keeps a node's output until the next one. So the last video would stay
 * when a run fails or is stopped, and in Nodes 2.0 the new run's preview, a picture, would be loaded as
 * a video: "Video failed to load". Otherwise: the earlier video stays.
 * @param {GraphNode & PreviewProperties} node
 */
export function removeOutput(node) {
  removePreview(node);
  const key = outputKey(node);
  for (const outputs of [app.nodeOutputs, previewStore()?.nodeOutputs]) {
    if (outputs) delete outputs[key];
  }
  node.images = undefined;
  node.previewMediaType = undefined;
  const video = node.widgets?.find((widget) => widget.name === VIDEO_WIDGET);
  if (video) node.removeWidget?.(video);
  node.videoContainer = undefined;
  app.canvas?.setDirty?.(true, true);
}

/**
 * Removes the preview of a node in a subgraph from the subgraph's own node.
 *
 * Versions: 1.27 to 1.45. Why: they put a copy of the preview on the subgraph's node, where it stays
 * beside the pack's picture and video. Otherwise: a second picture is there.
 * @param {GraphNode & PreviewProperties} host
 */
export function removeHostPreview(host) {
  removePreview(host);
  setTimeout(() => removePreview(host)); // the editor's own handler of the same event may follow
}

/**
 * Leaves the line of a subgraph's node out of what is saved.
 *
 * Versions: 1.27 to 1.45. Why: they list all widgets of such a node in a property. Otherwise: a saved
 * workflow names a widget that it does not contain.
 * @param {{ properties?: Record<string, any> }} data the node, as it is saved
 */
export function forgetTextWidget(data) {
  const widgets = data.properties?.proxyWidgets;
  if (!Array.isArray(widgets)) return;
  const others = widgets.filter((entry) => entry?.[1] !== TEXT_WIDGET);
  data.properties = { ...data.properties, proxyWidgets: others };
}

/**
 * The key of a node's output in the editor.
 * @param {GraphNode} node
 */
function outputKey(node) {
  const { graph } = node;
  return graph && graph.isRootGraph === false ? `${graph.id}:${node.id}` : String(node.id);
}

/**
 * Removes a node's preview, in every place where the versions keep it: `imgs` and a widget in the
 * classic rendering, `app` and a store in Nodes 2.0. See `showVideoInsteadOfPreview`.
 * @param {GraphNode & PreviewProperties} node
 */
function removePreview(node) {
  const key = outputKey(node);
  for (const previews of [app.nodePreviewImages, previewStore()?.nodePreviewImages]) {
    if (previews) delete previews[key];
  }
  node.imgs = undefined;
  const preview = node.widgets?.find((widget) => widget.name === CANVAS_PREVIEW_WIDGET);
  if (preview) node.removeWidget?.(preview);
}

/**
 * The editor's store of previews, of which `app` has a copy. Versions from 2026 on draw from it.
 * @returns {{ nodePreviewImages?: Record<string, string[]>, nodeOutputs?: Record<string, unknown> } | undefined}
 */
function previewStore() {
  const manager = /** @type {Internals} */ (app.extensionManager);
  return manager?._p?._s?.get("nodeOutput");
}

/**
 * Makes a node large enough for its video.
 *
 * Versions: all, in the classic rendering. Why: the editor enlarges a node for its video only while
 * it draws the node, and shows that at the next drawing. Otherwise: the video extends beyond the
 * lower edge of a small node until the next drawing.
 * @param {GraphNode} node
 */
function growForVideo(node) {
  if (!node.widgets?.some((widget) => widget.name === VIDEO_WIDGET) || node.flags?.collapsed) return;
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  app.canvas?.setDirty?.(true, true);
}
