// @ts-check
// The journal's tasks for everything in the page that shows them. While something does, the store
// polls the server for changes.

/** @import { PollingHost } from "./polling.mjs" */
/** @import { TaskAction } from "./task_requests.mjs" */
/** @import { KnownTask, TaskPage } from "./types.mjs" */

import { asError } from "./errors.mjs";
import { watchRuns } from "./host.mjs";
import { Polling } from "./polling.mjs";
import { RefreshSchedule } from "./refresh_schedule.mjs";
import { TaskCache } from "./task_cache.mjs";
import * as requests from "./task_requests.mjs";
import { isAtGateway, isUnderWay } from "./task_states.mjs";

/** How many pages are read at the beginning: a journal may have a million tasks. */
const MOST_PAGES = 4;
const UNDER_WAY = "state=intended,sent,submitted,running";
const MOST_UNDER_WAY = 1000;
const INTERVAL_MS = 10_000;
const INTERVAL_UNDER_WAY_MS = 1500;

export class TaskStore {
  /**
   * Why the last poll failed; null after one that did not.
   * @type {Error | null}
   */
  error = null;
  /**
   * Why the gateway could not be asked; null where it could.
   * @type {Error | null}
   */
  gatewayError = null;
  /** Whether the newest tasks are known. */
  ready = false;

  #host;
  #requests;
  #polling;
  #cache = new TaskCache();
  #refreshes = new RefreshSchedule();
  /** @type {number | null} null until the newest tasks were read */
  #cursor = null;
  /** All tasks from this number on are known; 0 where all of the journal are. */
  #oldest = 0;
  #isReadingOlder = false;
  /** @type {readonly KnownTask[]} */
  #shown = [];
  /** @type {readonly KnownTask[] | null} the list that `#shown` is a part of */
  #shownOf = null;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /**
   * @param {PollingHost} host
   * @param {Pick<typeof import("./task_requests.mjs"), "readPage" | "readFiltered" | "readChanges" | "refresh" | "act">} requests
   */
  constructor(host, requests) {
    this.#host = host;
    this.#requests = requests;
    this.#polling = new Polling(host, () => this.#poll());
  }

  /**
   * Calls `onChange` at every change. As long as there is a watcher, the store polls the server.
   * @param {() => void} onChange
   * @returns {() => void} ends it
   */
  watch(onChange) {
    this.#listeners.add(onChange);
    if (this.#listeners.size === 1) this.#polling.start();
    return () => {
      if (this.#listeners.delete(onChange) && !this.#listeners.size) this.#polling.stop();
    };
  }

  /**
   * All known tasks, the newest first.
   * @returns {readonly KnownTask[]}
   */
  get list() {
    return this.#cache.list;
  }

  /** Whether all tasks of the journal are known. */
  get complete() {
    return this.#oldest === 0;
  }

  /**
   * The newest tasks without a gap, the newest first.
   * @returns {readonly KnownTask[]}
   */
  get shown() {
    if (this.#shownOf !== this.list) {
      this.#shownOf = this.list;
      this.#shown = this.complete ? this.list : this.list.filter(({ number }) => number >= this.#oldest);
    }
    return this.#shown;
  }

  /** Reads the next older tasks, where there are some. */
  async readOlder() {
    if (this.complete || this.#isReadingOlder) return;
    this.#isReadingOlder = true;
    try {
      this.#putPage(await this.#requests.readPage(this.#oldest));
    } catch (error) {
      this.error = asError(error);
    }
    this.#isReadingOlder = false;
    this.#notify();
  }

  /** @param {number} number */
  task(number) {
    return this.#cache.get(number);
  }

  /** Polls the server at once. */
  retry() {
    this.#polling.pollNow();
  }

  /** Asks the gateway for every task before long: it may be another gateway from now on. */
  refreshSoon() {
    this.#refreshes.restartAll();
  }

  /**
   * Has the server do something to a task, and takes over the result.
   * @param {number} number
   * @param {TaskAction} action
   * @param {object} [body] what the action needs to know
   * @returns the task afterwards; rejected with RequestError
   */
  async act(number, action, body) {
    const { task } = await this.#requests.act(number, action, body);
    this.#put([task]);
    this.#notify();
    return task;
  }

  /** @returns {Promise<number>} milliseconds until the next poll */
  async #poll() {
    try {
      await (this.#cursor === null ? this.#readNewest() : this.#readChanges(this.#cursor));
      this.error = null;
      await this.#askGateway();
    } catch (error) {
      this.error = asError(error);
    }
    this.#notify();
    return !this.error && this.list.some(isUnderWay) ? INTERVAL_UNDER_WAY_MS : INTERVAL_MS;
  }

  async #readNewest() {
    let page = await this.#requests.readPage();
    // A change during the reading of the older pages comes after this cursor.
    const { cursor } = page;
    this.#putPage(page);
    this.ready = true;
    this.#notify();
    for (let pages = 1; page.more && page.tasks.length && pages < MOST_PAGES; pages += 1) {
      if (!this.#listeners.size) return;
      page = await this.#requests.readPage(this.#oldest);
      this.#putPage(page);
    }
    if (!this.complete) {
      const { tasks: underWay } = await this.#requests.readFiltered(UNDER_WAY, MOST_UNDER_WAY);
      this.#put(underWay);
    }
    this.#cursor = cursor;
  }

  /** @param {TaskPage} page the one after the tasks that are known */
  #putPage({ tasks: older, more }) {
    this.#put(older);
    this.#oldest = (more && older.at(-1)?.number) || 0;
    this.#shownOf = null;
  }

  /** @param {number} cursor */
  async #readChanges(cursor) {
    let page;
    do {
      page = await this.#requests.readChanges(cursor);
      this.#put(page.tasks);
      cursor = page.cursor;
      this.#cursor = cursor;
    } while (page.more);
  }

  async #askGateway() {
    const due = this.#refreshes.due(this.list, this.#host.now());
    const answers = await Promise.allSettled(due.map(({ number }) => this.#requests.refresh(number)));
    this.#refreshes.postpone(due, this.#host.now());
    /** @type {Error | null} */
    let failure = null;
    let isAnswered = false;
    for (const answer of answers) {
      if (answer.status === "rejected") {
        failure ??= asError(answer.reason);
      } else {
        this.#refreshes.restart(this.#cache.putRefreshed(answer.value));
        // A task of another gateway is not asked for, and says nothing about this one.
        isAnswered ||= answer.value.asked;
      }
    }
    if (failure || isAnswered) this.gatewayError = failure;
    if (!this.list.some(isAtGateway)) this.gatewayError = null;
  }

  /** @param {Parameters<TaskCache["put"]>[0]} tasks */
  #put(tasks) {
    this.#refreshes.restart(this.#cache.put(tasks));
  }

  #notify() {
    for (const onChange of this.#listeners) {
      try {
        onChange();
      } catch (error) {
        // One part of the page must not end the updates of the others.
        console.error(error);
      }
    }
  }
}

/** @type {PollingHost} */
const page = {
  now: () => performance.now(),
  setTimer: (action, delay) => setTimeout(action, delay),
  clearTimer: (timer) => clearTimeout(/** @type {number} */ (timer)),
  isHidden: () => document.hidden,
  watch(onEvent, onVisibility) {
    const stopWatchingRuns = watchRuns(onEvent);
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      stopWatchingRuns();
      document.removeEventListener("visibilitychange", onVisibility);
    };
  },
};

export const tasks = new TaskStore(page, requests);
