// @ts-check
// One notice for each long task that has ended, while the user looks elsewhere.
//
// The server sends an event when a node has waited for a task to its end (nodes/notices.py), and
// only to the page that queued the prompt: no polling is needed, and several open tabs do not show
// the same notice.

/** @import { Task } from "./types.mjs" */

import { t } from "./i18n.mjs";
import { hasFile } from "./task_states.mjs";
import { promptOf } from "./task_words.mjs";

/**
 * What a notice says. All texts are plain texts.
 * @typedef {object} Notice
 * @property {string} key the same for the same task
 * @property {"success" | "error" | "info"} kind
 * @property {string} title
 * @property {string} text
 * @property {string} label says what a click on the notice does
 * @property {() => void} open
 */

/**
 * What the notices need of the editor and the browser.
 * @typedef {object} NoticeHost
 * @property {() => boolean} isInFront whether the user looks at the page
 * @property {(number: number) => Promise<Task | undefined>} readTask
 * @property {(notice: Notice) => () => void} showToast returns a function that removes it
 * @property {(notice: Notice) => () => void} notify returns a function that removes it
 * @property {(action: () => void, delay: number) => unknown} setTimer milliseconds
 * @property {(task: Task) => unknown} openTask
 * @property {() => unknown} openTasks
 */

/** So many tasks have notices of their own; more share one. */
const SEPARATE = 3;
/** How long toasts stay after the user has come back. */
const READ_WITHIN_MS = 10_000;
/** Characters. */
const LONGEST_PROMPT = 100;
const LONGEST_ERROR = 200;

export class Notices {
  /** A task for which a node waited less has no notice. */
  minimumSeconds;

  #host;
  /** @type {Set<string>} */
  #announced = new Set();
  /**
   * The tasks that ended since the user looked at the page.
   * @type {Task[]}
   */
  #ended = [];
  /** @type {(() => void)[]} */
  #toasts = [];
  /** @type {(() => void)[]} */
  #notifications = [];

  /**
   * @param {NoticeHost} host
   * @param {{ minimumSeconds: number }} options
   */
  constructor(host, { minimumSeconds }) {
    this.#host = host;
    this.minimumSeconds = minimumSeconds;
  }

  /**
   * A node has waited for a task to its end.
   * @param {{ number: number, seconds: number }} event
   */
  async taskEnded({ number, seconds }) {
    if (!(seconds >= this.minimumSeconds) || this.#host.isInFront()) return;
    const task = await this.#host.readTask(number);
    if (!task || this.#host.isInFront()) return;
    const key = `${number} ${task.state}`;
    if (this.#announced.has(key)) return;
    this.#announced.add(key);
    this.#ended.push(task);
    if (this.#ended.length > SEPARATE) {
      this.#clear();
      this.#show(this.#summary());
    } else {
      this.#show(this.#noticeOf(task, key));
    }
  }

  /** The page became visible, or got the focus. */
  pageChanged() {
    if (!this.#host.isInFront()) return;
    this.#ended = [];
    for (const remove of this.#notifications.splice(0)) remove();
    const toasts = this.#toasts.splice(0);
    if (toasts.length) this.#host.setTimer(() => toasts.forEach((remove) => remove()), READ_WITHIN_MS);
  }

  #clear() {
    for (const remove of [...this.#toasts.splice(0), ...this.#notifications.splice(0)]) remove();
  }

  /** @param {Notice} notice */
  #show(notice) {
    /** @type {(() => void)[]} */
    const removals = [];
    const open = () => {
      for (const remove of removals) remove();
      notice.open();
    };
    const toast = this.#host.showToast({ ...notice, open });
    const notification = this.#host.notify({ ...notice, open });
    removals.push(toast, notification);
    this.#toasts.push(toast);
    this.#notifications.push(notification);
  }

  /**
   * @param {Task} task
   * @param {string} key
   * @returns {Notice}
   */
  #noticeOf(task, key) {
    const prompt = cut(promptOf(task), LONGEST_PROMPT);
    if (task.state === "saved") {
      const open = () => this.#host.openTask(task);
      return { key, kind: "success", title: t("notices.saved"), text: prompt, label: t("notices.open"), open };
    }
    const title = t(hasFile(task) ? "notices.unsaved" : "notices.failed");
    const text = [prompt, cut(task.error, LONGEST_ERROR)].filter(Boolean).join("\n");
    return { key, kind: "error", title, text, label: t("notices.list"), open: this.#host.openTasks };
  }

  /** @returns {Notice} */
  #summary() {
    const count = this.#ended.length;
    const saved = this.#ended.filter(({ state }) => state === "saved").length;
    const title = t("notices.several", { count });
    const text = t("notices.several_text", { saved, failed: count - saved });
    const kind = saved === count ? "success" : "error";
    return { key: "several", kind, title, text, label: t("notices.list"), open: this.#host.openTasks };
  }
}

/**
 * @param {string} text
 * @param {number} longest
 */
function cut(text, longest) {
  const characters = [...text.replace(/\s+/g, " ").trim()];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : characters.join("");
}
