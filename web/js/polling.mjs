// @ts-check
// When the page polls the server: soon after an event, at intervals otherwise, and never while the page
// is hidden.

/**
 * What polling needs of the browser. Times are in milliseconds.
 * @typedef {object} PollingHost
 * @property {() => number} now
 * @property {(action: () => void, delay: number) => unknown} setTimer returns the timer
 * @property {(timer: unknown) => void} clearTimer
 * @property {() => boolean} isHidden whether the page is hidden
 * @property {(onEvent: () => void, onVisibility: () => void) => () => void} watch calls `onEvent` at
 *   every event that may change a task, and `onVisibility` when the page becomes hidden or visible;
 *   returns a function that ends it
 */

/** After an event: many come at once, and one poll is enough for them. */
const AFTER_EVENT_MS = 700;

export class Polling {
  #host;
  #poll;
  #isRunning = false;
  /** @type {unknown} */
  #timer;
  #due = Infinity;
  #isPolling = false;
  /** Whether something happened during a poll, which may have missed it. */
  #missed = false;
  #stopWatching = () => {};

  /**
   * @param {PollingHost} host
   * @param {() => Promise<number>} poll resolves to the time until the next poll
   */
  constructor(host, poll) {
    this.#host = host;
    this.#poll = poll;
  }

  start() {
    this.#isRunning = true;
    this.#stopWatching = this.#host.watch(
      () => this.#schedule(AFTER_EVENT_MS),
      () => this.pollNow(),
    );
    this.pollNow();
  }

  stop() {
    this.#isRunning = false;
    this.#stopWatching();
    this.#host.clearTimer(this.#timer);
    this.#due = Infinity;
  }

  pollNow() {
    this.#schedule(0);
  }

  /**
   * Polls within this time.
   * @param {number} delay
   */
  #schedule(delay) {
    if (this.#isPolling) {
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
    // The page polls when it is visible again.
    if (this.#host.isHidden()) return;
    this.#isPolling = true;
    this.#missed = false;
    const delay = await this.#poll();
    this.#isPolling = false;
    this.#schedule(this.#missed ? AFTER_EVENT_MS : delay);
  }
}
