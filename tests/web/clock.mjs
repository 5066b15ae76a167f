// A browser for the poller and the store, with time under the test's control.

export class FakeHost {
  time = 0;
  hidden = false;
  watched = false;
  #timers = new Map();
  #last = 0;
  #onEvent = () => {};
  #onVisibility = () => {};

  now = () => this.time;
  isHidden = () => this.hidden;
  setTimer = (action, delay) => {
    this.#last += 1;
    this.#timers.set(this.#last, { action, at: this.time + delay });
    return this.#last;
  };
  clearTimer = (timer) => this.#timers.delete(timer);
  watch = (onEvent, onVisibility) => {
    this.watched = true;
    this.#onEvent = onEvent;
    this.#onVisibility = onVisibility;
    return () => {
      this.watched = false;
      this.#onEvent = this.#onVisibility = () => {};
    };
  };

  /** An event of a run. */
  event() {
    this.#onEvent();
  }

  /** The page is hidden or shown. */
  setHidden(hidden) {
    this.hidden = hidden;
    this.#onVisibility();
  }

  get timers() {
    return this.#timers.size;
  }

  /** Lets time pass; each timer runs at its moment, with what follows from it. */
  async pass(milliseconds) {
    const end = this.time + milliseconds;
    await settled();
    for (;;) {
      const next = [...this.#timers].sort(([, one], [, other]) => one.at - other.at)[0];
      if (!next || next[1].at > end) break;
      this.#timers.delete(next[0]);
      this.time = Math.max(this.time, next[1].at);
      next[1].action();
      await settled();
    }
    this.time = end;
  }
}

/** Every promise that can go on has gone on. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits, in real time, until a condition holds. */
export async function until(condition, what) {
  const end = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within 20 seconds`);
    await settled();
  }
}

/**
 * Takes the place of setTimeout until the test is over. Returns a function that lets milliseconds
 * pass.
 */
export function fakeTimeouts(context) {
  const { setTimeout: real } = globalThis;
  const host = new FakeHost();
  globalThis.setTimeout = host.setTimer;
  context.after(() => {
    globalThis.setTimeout = real;
  });
  return (milliseconds) => host.pass(milliseconds);
}
