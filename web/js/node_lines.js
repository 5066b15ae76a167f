// @ts-check
// What the pack's nodes say while they run and after it, in every editor.

/** @import { NodeOutput } from "./types.mjs" */

import { app } from "../../../scripts/app.js";
import { loadStyle } from "./dom.mjs";
import { nodeAt, nodesBehind } from "./graph_walk.mjs";
import { activeWorkflow, onRunEvent } from "./host.mjs";
import { loadStrings } from "./i18n.mjs";
import { showLine } from "./node_line.mjs";
import { RunLines } from "./run_lines.mjs";
import { definitionOf, removeHostPreview, removeOutput } from "./workarounds.mjs";

/** Of the pack's nodes. */
const CATEGORY = "Pika";

loadStyle();
await loadStrings();

/** @param {string} id */
const at = (id) => nodeAt(app.graph, id);

const lines = new RunLines({
  isOurs(id) {
    const node = at(id);
    return node !== undefined && definitionOf(node)?.category === CATEGORY;
  },

  isGenerate: (id) => at(id)?.comfyClass === "PikaGenerate",
  nodesBehind: (id) => nodesBehind(app.graph, id),

  show(id, line) {
    const node = at(id);
    if (node) showLine(node, line, { withMedia: false });
  },

  showOnSubgraph(id, line) {
    const node = at(id);
    if (!node) return;
    removeHostPreview(node);
    showLine(node, line, { withMedia: true });
  },

  removeOutput(id) {
    const node = at(id);
    if (node) removeOutput(node);
  },
});

/** The workflow that the lines are about. @type {unknown} */
let workflow;

function isSameWorkflow() {
  return activeWorkflow() === workflow;
}

/** Newer editors remove the text widgets of a run's nodes when it ends, after this event. */
function afterRun() {
  setTimeout(() => {
    if (isSameWorkflow()) lines.again();
  });
}

/**
 * @template Detail
 * @param {string} name
 * @param {(detail: Detail) => void} action
 */
function on(name, action) {
  onRunEvent(name, (/** @type {Detail} */ detail) => {
    if (isSameWorkflow()) action(detail);
  });
}

/**
 * The outputs of earlier runs, which come back when the user returns to a workflow's tab.
 * @param {Record<string, NodeOutput> | undefined} outputs
 */
function restore(outputs) {
  if (!isSameWorkflow()) {
    workflow = activeWorkflow();
    lines.clear();
  }
  for (const [key, output] of Object.entries(outputs ?? {})) {
    for (const id of idsOf(key)) lines.restored(id, output);
  }
}

/**
 * The ids of a node that the editor names "4", or "<id of the subgraph>:4".
 * @param {string} key
 */
function idsOf(key) {
  const [graph, inner] = key.split(":");
  if (!inner) return [key];
  /** @type {import("./graph_walk.mjs").AnyNode[]} */
  const nodes = app.graph?.nodes ?? [];
  return nodes.filter(({ subgraph }) => subgraph?.id === graph).map(({ id }) => `${id}:${inner}`);
}

app.registerExtension({
  name: "pika.node_lines",

  setup() {
    onRunEvent("execution_start", () => {
      if (!isSameWorkflow()) lines.clear();
      workflow = activeWorkflow();
      lines.start();
    });
    on("execution_cached", (/** @type {{ nodes: string[] }} */ { nodes }) => lines.cached(nodes));
    on("progress_text", (/** @type {{ nodeId: string | number, text: string }} */ { nodeId, text }) => {
      lines.text(String(nodeId), text);
    });
    on("b_preview_with_metadata", (/** @type {{ nodeId: string, blob: Blob }} */ { nodeId, blob }) => {
      lines.poster(String(nodeId), blob);
    });
    on("executed", (/** @type {{ node: string, output?: NodeOutput }} */ { node, output }) => {
      lines.executed(String(node), output);
    });
    on("execution_error", (/** @type {{ node_id: string }} */ { node_id }) => {
      lines.failed(String(node_id));
      afterRun();
    });
    on("execution_interrupted", () => {
      lines.stopped();
      afterRun();
    });
    on("execution_success", afterRun);
    on("executing", afterRun);
  },

  onNodeOutputsUpdated: restore,
});
