// @ts-check
// Using a task again: the workflow that it comes from, and new nodes with its settings.

/** @import { NodePlan } from "./free_place.mjs" */
/** @import { KnownTask, TaskNodes } from "./types.mjs" */

import { messageOf } from "./errors.mjs";
import { addNodes, openWorkflow, showToast } from "./host.mjs";
import { t } from "./i18n.mjs";
import { get } from "./routes.mjs";

/**
 * The nodes that can be added, from left to right, each with the input that its output belongs to.
 * @type {readonly { type: string, column: number, to?: { type: string, input: string } }[]}
 */
const LAYOUT = [
  { type: "PikaParameters", column: 0, to: { type: "PikaOptions", input: "parameters" } },
  { type: "PikaCamera", column: 0, to: { type: "PikaOptions", input: "camera" } },
  { type: "PikaOptions", column: 1, to: { type: "PikaGenerate", input: "options" } },
  { type: "PikaGenerate", column: 2 },
];

/**
 * The nodes to add for the settings of a task.
 * @param {TaskNodes["nodes"]} nodes
 * @returns {NodePlan[]}
 */
export function planOf(nodes) {
  return LAYOUT.flatMap((place) => {
    const inputs = nodes[place.type];
    if (!inputs) return [];
    const { seed, ...others } = inputs;
    return [{ ...place, values: seed === undefined ? others : { ...others, seed: Number(seed) } }];
  });
}

/**
 * Adds a Pika Generate with the settings of a task. Run unchanged, it reuses the task.
 * @param {KnownTask} task
 */
export async function useSettings(task) {
  try {
    /** @type {TaskNodes} */
    const { nodes, media } = await get(`tasks/${task.number}/nodes`);
    addNodes(planOf(nodes));
    const names = media.map((name) => t(`tasks.again.${name}`)).join(", ");
    if (names) showToast("info", t("tasks.again.media"), t("tasks.again.media_text", { names }));
    const seed = String(nodes.PikaGenerate?.seed ?? "0");
    if (Number(seed) > Number.MAX_SAFE_INTEGER) {
      showToast("warn", t("seed.title"), t("seed.rounded", { seed, max: Number.MAX_SAFE_INTEGER }));
    }
  } catch (error) {
    showToast("error", t("tasks.again.failed"), messageOf(error));
  }
}

/**
 * Opens the workflow of a task in a tab of its own, so that it replaces nothing.
 * @param {KnownTask} task
 */
export async function loadWorkflow(task) {
  try {
    /** @type {{ workflow: object | null, reason: string }} */
    const { workflow, reason } = await get(`tasks/${task.number}/workflow`);
    if (!workflow) throw new Error(reason);
    await openWorkflow(workflow);
  } catch (error) {
    showToast("error", t("tasks.again.no_workflow"), messageOf(error));
  }
}
