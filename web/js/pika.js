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
    if (node.comfyClass === "PikaResult") showVideoInsteadOfPreview(node);
  },

  /**
   * A node of a workflow that was opened.
   * @param {GraphNode} node
   */
  loadedGraphNode(node) {
    warnOfRounding(node);
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
