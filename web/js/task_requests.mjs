// @ts-check
// The requests to the server that are about tasks.

/** @import { RefreshedTask, SentRequest, Task, TaskPage, TotalsAnswer } from "./types.mjs" */

import { saveFile, serverUrl } from "./host.mjs";
import { get, getFile, post } from "./routes.mjs";

const PAGE_SIZE = 500;

/** @typedef {"collect" | "forget" | "settle"} TaskAction */

/**
 * The newest tasks, or those before a number.
 * @param {number} [before]
 * @returns {Promise<TaskPage>}
 */
export function readPage(before) {
  return get(`tasks?limit=${PAGE_SIZE}${before === undefined ? "" : `&before=${before}`}`);
}

/**
 * The newest tasks that match a filter, or those before a number.
 * @param {string} query see task_filter.mjs
 * @param {number} limit
 * @param {number} [before]
 * @returns {Promise<TaskPage>}
 */
export function readFiltered(query, limit, before) {
  return get(`tasks?${query}&limit=${limit}${before === undefined ? "" : `&before=${before}`}`);
}

/**
 * What was spent today and this month.
 * @returns {Promise<TotalsAnswer>}
 */
export function readTotals() {
  return get("totals");
}

/**
 * Has the browser save the paid tasks that match a filter.
 * @param {string} query see task_filter.mjs
 */
export async function exportTasks(query) {
  const file = await getFile(`ledger.csv${query && `?${query}`}`);
  const { 0: day } = new Date().toISOString().split("T");
  saveFile(file, `pika-tasks-${day}.csv`);
}

/**
 * One task; undefined where it is no longer in the list.
 * @param {number} number
 * @returns {Promise<Task | undefined>}
 */
export async function readTask(number) {
  /** @type {TaskPage} */
  const { tasks } = await get(`tasks?limit=1&before=${number + 1}`);
  return tasks.find((task) => task.number === number);
}

/**
 * What changed since an earlier answer, forgotten tasks too.
 * @param {number} cursor of that answer
 * @returns {Promise<TaskPage>}
 */
export function readChanges(cursor) {
  return get(`tasks?since=${cursor}`);
}

/**
 * Has the server ask the gateway for a task.
 * @param {number} number
 * @returns {Promise<RefreshedTask>}
 */
export function refresh(number) {
  return post(`tasks/${number}/refresh`);
}

/**
 * Has the server save a task's file, forget the task, or take over its id.
 * @param {number} number
 * @param {TaskAction} action
 * @param {object} [body] what the action needs to know
 * @returns {Promise<{ task: Task }>}
 */
export function act(number, action, body) {
  return post(`tasks/${number}/${action}`, body);
}

/**
 * The request that a task was created with.
 * @param {number} number
 * @returns {Promise<SentRequest>}
 */
export function readRequest(number) {
  return get(`tasks/${number}/request`);
}

/**
 * Where the server has a task's thumbnail. It may be another one in another state.
 * @param {Task} task
 */
export function thumbnailUrl(task) {
  return serverUrl(`/pika/tasks/${task.number}/poster?v=${task.state}`);
}
