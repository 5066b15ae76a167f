// @ts-check
// When the page looks for changes: soon after an event, at intervals otherwise, and never while it is
// hidden.

/**
 * What polling needs of the browser. Times are in milliseconds.
 * @typedef {object} PollingHost
 * @property {() => number} now
 * @property {(action: () => void, delay: number) => unknown} setTimer returns the timer
 * @property {(timer: any) => void} clearTimer `any`: each host has its own kind of timer
 * @property {() => boolean} isHidden whether the page is hidden
 * @property {(onEvent: () => void, onVisibility: () => void) => () => void} watch calls the one at
 *   every event that may change a task, the other when the page is hidden or shown; returns what
 *   ends it
 */

/** After an event: many come at once, and need one look. */
const AFTER_EVENT_MS = 700;

export class Polling {
  #host;
  #look;
  #isRunning = false;
  /** @type {unknown} */
  #timer;
  #due = Infinity;
  #isLooking = false;
  /** Whether something happened during a look, which may have missed it. */
  #missed = false;
  #stopWatching = () => {};

  /**
   * @param {PollingHost} host
   * @param {() => Promise<number>} look looks for changes; resolves to the time until the next look
   */
  constructor(host, look) {
    this.#host = host;
    this.#look = look;
  }

  start() {
    this.#isRunning = true;
    this.#stopWatching = this.#host.watch(
      () => this.#schedule(AFTER_EVENT_MS),
      () => this.lookNow(),
    );
    this.lookNow();
  }

  stop() {
    this.#isRunning = false;
    this.#stopWatching();
    this.#host.clearTimer(this.#timer);
    this.#due = Infinity;
  }

  lookNow() {
    this.#schedule(0);
  }

  /**
   * Has the next look within this time.
   * @param {number} delay
   */
  #schedule(delay) {
    if (this.#isLooking) {
      this.#missed = true;
      return;
    }
    const due = this.#host.now() + delay;
    if (!this.#isRunning || due >= this.#due) return;
    this.#host.clearTimer(this.#timer);
    this.#due = due;
    this.#timer = this.#host.setTimer(() => this.#turn(), delay);
  }

  async #turn() {
    this.#due = Infinity;
    // The next look is when the page is visible again.
    if (this.#host.isHidden()) return;
    this.#isLooking = true;
    this.#missed = false;
    const delay = await this.#look();
    this.#isLooking = false;
    this.#schedule(this.#missed ? AFTER_EVENT_MS : delay);
  }
}
