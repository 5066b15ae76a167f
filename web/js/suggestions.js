// @ts-check
// What the editor proposes first: for a link from a task id, the nodes that take one; among the pack's
// nodes, the one that a workflow begins with.

import { app } from "../../../scripts/app.js";
import { onLinkDrop, rankInSearch } from "./workarounds.mjs";

/** The outputs with a task id, by the class of their node. */
const TASK_IDS = new Set(["PikaGenerate", "PikaHistory"]);
const TAKE_TASK_IDS = ["PikaResult", "PikaStatus"];
/** Before the other nodes of the pack, and not before any that is used more. */
const SLIGHTLY_EARLIER = 0.5;

app.registerExtension({
  name: "pika.suggestions",

  // Before the editor's own listener is there.
  setup() {
    rankInSearch("PikaGenerate", ([match = 0, use = 0, ...others]) => [match, use - SLIGHTLY_EARLIER, ...others]);
    onLinkDrop((node) => (TASK_IDS.has(node?.comfyClass ?? "") ? TAKE_TASK_IDS : []));
  },
});
