// @ts-check
// What the states of a task mean for the page.

/** @import { Task, TaskState } from "./types.mjs" */

/**
 * Every state, as `State` in pika_api names them.
 * @type {readonly TaskState[]}
 */
export const STATES = [
  "intended",
  "sent",
  "submitted",
  "running",
  "finished",
  "saved",
  "failed",
  "refused",
  "unknown",
];
/** @type {ReadonlySet<TaskState>} */
const AT_GATEWAY = new Set(["submitted", "running"]);
/** @type {ReadonlySet<TaskState>} */
const UNDER_WAY = new Set(["intended", "sent", ...AT_GATEWAY]);
/** @type {ReadonlySet<TaskState>} */
const WITH_FILE = new Set(["finished", "saved"]);

/**
 * Whether the gateway works on the task, or is about to.
 * @param {Pick<Task, "state">} task
 */
export function isAtGateway(task) {
  return AT_GATEWAY.has(task.state);
}

/**
 * Whether the task can still change by itself.
 * @param {Pick<Task, "state">} task
 */
export function isUnderWay(task) {
  return UNDER_WAY.has(task.state);
}

/**
 * Whether the user can give the request its task's id: it was sent, and no clear answer came back.
 * @param {Pick<Task, "state">} task
 */
export function isUnknown(task) {
  return task.state === "unknown";
}

/**
 * Whether there is a file, saved or still at the gateway.
 * @param {Pick<Task, "state">} task
 */
export function hasFile(task) {
  return WITH_FILE.has(task.state);
}
