// @ts-check
// When the gateway is asked for which task. The journal has most changes already: nodes that wait for
// a task write them there. So only a task without a change is asked for, and ever less often.

/** @import { KnownTask } from "./types.mjs" */

import { isAtGateway } from "./task_states.mjs";

const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 300_000;
const AT_ONCE = 3;

export class RefreshSchedule {
  /** @type {Map<number, { time: number, wait: number }>} by the task's number, in milliseconds */
  #next = new Map();

  /**
   * The tasks to ask for now, the newest first.
   * @param {readonly KnownTask[]} tasks
   * @param {number} now milliseconds, as for every method
   */
  due(tasks, now) {
    /** @type {KnownTask[]} */
    const due = [];
    for (const task of tasks) {
      if (!isAtGateway(task)) continue;
      const next = this.#next.get(task.number) ?? { time: now + FIRST_WAIT_MS, wait: FIRST_WAIT_MS };
      this.#next.set(task.number, next);
      if (next.time <= now && due.length < AT_ONCE) due.push(task);
    }
    return due;
  }

  /**
   * The tasks were asked for: the next time is after twice as long a wait.
   * @param {readonly KnownTask[]} tasks
   * @param {number} now
   */
  postpone(tasks, now) {
    for (const { number } of tasks) {
      const next = this.#next.get(number);
      if (!next) continue; // its wait began again in the meantime
      const wait = Math.min(2 * next.wait, LONGEST_WAIT_MS);
      this.#next.set(number, { time: now + wait, wait });
    }
  }

  /**
   * The tasks changed: their waits begin again.
   * @param {readonly number[]} numbers
   */
  restart(numbers) {
    for (const number of numbers) this.#next.delete(number);
  }

  /** Every wait begins again. */
  restartAll() {
    this.#next.clear();
  }
}
