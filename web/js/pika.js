// @ts-check
// How the pack's nodes behave in the graph.

/** @import { GraphNode, NodeOutput } from "./types.mjs" */

import { app } from "../../../scripts/app.js";
import { showToast } from "./host.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { fixSeed, setPreviewType, showVideoInsteadOfPreview } from "./workarounds.mjs";

await loadStrings();

/**
 * The input with the seed, by the class of the node.
 * @type {Record<string, string>}
 */
const SEEDS = { PikaGenerate: "seed", PikaPrompts: "first_seed" };

/**
 * The text field with the prompt, by the class of the node.
 * @type {Record<string, string>}
 */
const PROMPTS = { PikaGenerate: "prompt_text", PikaPrompts: "prompts" };
/** Of four lines, with the editor's larger font and the label of Nodes 2.0. In the graph's units. */
const PROMPT_HEIGHT = 76;
const ROOM_FOR_LABEL = 28;

/** @param {GraphNode} node */
function promptOptions(node) {
  const widget = node.widgets?.find(({ name }) => name === PROMPTS[node.comfyClass ?? ""]);
  return /** @type {{ getMinHeight?: () => number } | undefined} */ (widget?.options);
}

/**
 * Gives a new node's prompt room for four lines, and keeps it: whatever is shown on the node later makes
 * the node larger.
 * @param {GraphNode} node
 */
function makeRoomForPrompt(node) {
  const options = promptOptions(node);
  if (!options) return;
  options.getMinHeight = () => PROMPT_HEIGHT;
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1]) + ROOM_FOR_LABEL]);
}

/**
 * Leaves a saved node as small as it was saved: a larger one could cover its neighbours.
 * @param {GraphNode} node
 */
function keepSavedHeight(node) {
  const options = promptOptions(node);
  if (options && node.size[1] < node.computeSize()[1]) delete options.getMinHeight;
}

/** @param {GraphNode} node */
function seedWidget(node) {
  const name = SEEDS[node.comfyClass ?? ""];
  return name ? node.widgets?.find((widget) => widget.name === name) : undefined;
}

/**
 * Warns that the editor may have rounded a node's seed: another seed is another paid task.
 * @param {GraphNode} node
 */
function warnOfRounding(node) {
  const seed = seedWidget(node);
  const isLinked = node.inputs?.some((input) => input.widget?.name === seed?.name && input.link != null);
  if (!seed || isLinked || !(Number(seed.value) > Number.MAX_SAFE_INTEGER)) return;
  const values = { seed: String(seed.value), max: Number.MAX_SAFE_INTEGER };
  showToast("warn", t("seed.title"), t("seed.rounded", values));
}

/** @param {GraphNode} node */
function watchSeed(node) {
  const seed = seedWidget(node);
  if (!seed) return;
  const { callback } = seed;
  seed.callback = (...values) => {
    callback?.apply(seed, values);
    warnOfRounding(node);
  };
}

app.registerExtension({
  name: "pika.nodes",

  nodeCreated(node) {
    if (node.comfyClass === "PikaGenerate") fixSeed(node);
    watchSeed(node);
    makeRoomForPrompt(node);
    if (node.comfyClass === "PikaResult") showVideoInsteadOfPreview(node);
  },

  /**
   * A node of a workflow that was opened.
   * @param {GraphNode} node
   */
  loadedGraphNode(node) {
    warnOfRounding(node);
    keepSavedHeight(node);
  },

  /**
   * The outputs of earlier runs, which come back when the user returns to a workflow's tab.
   * @param {Record<string, NodeOutput> | undefined} outputs by the node's id
   */
  onNodeOutputsUpdated(outputs) {
    for (const node of app.graph?.nodes ?? []) {
      if (node.comfyClass === "PikaResult") setPreviewType(node, outputs?.[node.id]);
    }
  },
});
