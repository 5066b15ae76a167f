// @ts-check
// The balance of the key, for the sidebar's head. While the sidebar is open, the server is asked once a
// minute and after a submit. The server asks the gateway no more often than that.

/** @import { BalanceAnswer } from "./types.mjs" */

import { get } from "./routes.mjs";

/** The list of tasks is read first. */
const FIRST_MS = 300;
const INTERVAL_MS = 60_000;
/** The server reads the balance a few seconds after a submit. */
const AFTER_SUBMIT_MS = 6_000;

/**
 * What the store needs of the browser. Times are in milliseconds.
 * @typedef {object} BalanceHost
 * @property {(action: () => void, delay: number) => unknown} setTimer returns the timer
 * @property {(timer: unknown) => void} clearTimer
 * @property {() => boolean} isHidden whether the page is hidden
 */

export class BalanceStore {
  /**
   * The last answer; null before the first one.
   * @type {BalanceAnswer | null}
   */
  answer = null;

  #host;
  #read;
  #onChange = () => {};
  #isOpen = false;
  /** @type {unknown} */
  #timer;
  /** Answers of earlier requests are not shown any more. */
  #latest = 0;

  /**
   * @param {BalanceHost} host
   * @param {() => Promise<BalanceAnswer>} read
   */
  constructor(host, read) {
    this.#host = host;
    this.#read = read;
  }

  /**
   * Asks from now on, and calls `onChange` at every answer.
   * @param {() => void} onChange
   * @returns {() => void} ends it
   */
  open(onChange) {
    this.#onChange = onChange;
    this.#isOpen = true;
    this.#askIn(FIRST_MS);
    return () => {
      this.#isOpen = false;
      this.#latest += 1;
      this.#host.clearTimer(this.#timer);
    };
  }

  /** Asks at once: another gateway or key may be set. */
  refresh() {
    if (this.#isOpen) this.#ask();
  }

  /** Something was submitted: asks when the server knows the new balance. */
  submitted() {
    if (this.#isOpen) this.#askIn(AFTER_SUBMIT_MS);
  }

  /** @param {number} delay */
  #askIn(delay) {
    this.#host.clearTimer(this.#timer);
    this.#timer = this.#host.setTimer(() => this.#ask(), delay);
  }

  async #ask() {
    this.#askIn(INTERVAL_MS);
    if (this.#host.isHidden()) return;
    this.#latest += 1;
    const own = this.#latest;
    /** @type {BalanceAnswer | null} */
    let answer = null;
    try {
      answer = await this.#read();
    } catch {
      // The list of tasks says that the server does not answer. A server that was not restarted after
      // an update has no such route.
    }
    if (own !== this.#latest) return;
    this.answer = answer;
    this.#onChange();
  }
}

/** @type {BalanceHost} */
const page = {
  setTimer: (action, delay) => setTimeout(action, delay),
  clearTimer: (timer) => clearTimeout(/** @type {number} */ (timer)),
  isHidden: () => document.hidden,
};

export const balances = new BalanceStore(page, () => get("balance"));
