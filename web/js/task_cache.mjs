// @ts-check
// The tasks that the page knows.

/** @import { KnownTask, RefreshedTask, Task } from "./types.mjs" */

import { isAtGateway } from "./task_states.mjs";

export class TaskCache {
  /** @type {Map<number, KnownTask>} by number */
  #tasks = new Map();
  /** @type {readonly KnownTask[] | null} */
  #sorted = null;

  /**
   * All tasks, the newest first.
   * @returns {readonly KnownTask[]}
   */
  get list() {
    this.#sorted ??= [...this.#tasks.values()].sort((one, other) => other.number - one.number);
    return this.#sorted;
  }

  /** @param {number} number */
  get(number) {
    return this.#tasks.get(number);
  }

  /**
   * Takes over tasks of the journal.
   * @param {readonly Task[]} tasks
   * @returns {number[]} the numbers of those that changed
   */
  put(tasks) {
    // The journal does not say which gateway is set now: that a task belongs to another one stays
    // true until the task is refreshed.
    return tasks.flatMap((task) => {
      const elsewhere = isAtGateway(task) && (this.get(task.number)?.elsewhere ?? false);
      return this.#set({ ...task, elsewhere });
    });
  }

  /**
   * Takes over a task that the gateway was to be asked for.
   * @param {RefreshedTask} refreshed
   * @returns {number[]} its number, if it changed
   */
  putRefreshed({ task, asked }) {
    return this.#set({ ...task, elsewhere: !asked && isAtGateway(task) });
  }

  /**
   * @param {KnownTask} task
   * @returns {number[]} its number, if it changed
   */
  #set(task) {
    const { number } = task;
    if (task.forgotten) {
      if (!this.#tasks.delete(number)) return [];
    } else {
      if (JSON.stringify(this.#tasks.get(number)) === JSON.stringify(task)) return [];
      this.#tasks.set(number, task);
    }
    this.#sorted = null;
    return [number];
  }
}
