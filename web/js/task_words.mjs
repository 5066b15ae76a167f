// @ts-check
// The words for a task.

/** @import { KnownTask, Task } from "./types.mjs" */

import { has, t } from "./i18n.mjs";

/** @param {Task} task */
export function stateWord(task) {
  const word = t(`tasks.state.${task.state}`);
  return task.state === "running" && task.progress ? `${word} ${task.progress} %` : word;
}

/**
 * What the state means for the money and what to do next; empty where that is clear.
 * @param {Task} task
 */
export function explanation(task) {
  const key = `tasks.explain.${task.state}`;
  return has(key) ? t(key) : "";
}

/**
 * What went wrong, or why there is no news; empty where all is well.
 * @param {KnownTask} task
 */
export function problemOf(task) {
  return task.elsewhere ? t("tasks.elsewhere") : task.error;
}

/** @param {Task} task */
export function promptOf(task) {
  return task.prompt || t("tasks.no_prompt");
}

/** @param {Task} task */
export function shortId(task) {
  return task.task_id ? task.task_id.slice(0, 8) : `#${task.number}`;
}

/**
 * The tasks that contain every word of the search in their prompt, state or id.
 * @template {Task} Listed
 * @param {readonly Listed[]} tasks
 * @param {string} search
 */
export function matching(tasks, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return tasks;
  return tasks.filter((task) => {
    const state = t(`tasks.state.${task.state}`);
    const text = `${task.prompt} ${state} ${task.state} ${task.task_id ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/**
 * The take and the settings of a task, as one line. Empty for a server that was not restarted after an
 * update: it does not send them.
 * @param {Pick<Task, "take" | "settings">} task
 */
export function settingsText({ take, settings }) {
  if (take === undefined || !settings) return "";
  const { pikaffect, ratio, image, video, model } = settings;
  const media = [image && t("tasks.again.image"), video && t("tasks.again.video")];
  return [t("tasks.take", { take }), pikaffect, ratio, ...media, model].filter(Boolean).join(" · ");
}
