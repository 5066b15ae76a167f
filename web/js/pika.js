// @ts-check
// How the pack's nodes behave in the graph.

/** @import { NodeOutput } from "./types.mjs" */

import { app } from "../../../scripts/app.js";
import { fixSeed, setPreviewType, showVideoInsteadOfPreview } from "./workarounds.mjs";

app.registerExtension({
  name: "pika.nodes",

  nodeCreated(node) {
    if (node.comfyClass === "PikaGenerate") fixSeed(node);
    if (node.comfyClass === "PikaResult") showVideoInsteadOfPreview(node);
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
