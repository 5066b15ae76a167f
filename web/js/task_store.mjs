// The journal's tasks as the page knows them. It asks while somebody looks, and only for what changed.

import { api } from "../../../scripts/api.js";
import { get, post } from "./routes.mjs";

const PAGE = 500;
const QUICK = 1500;
const SLOW = 10_000;
// An event of a run makes it look again, but not at once for each of many.
const SOON = 700;
// A task that has not changed for this long is asked for at the gateway, each time after twice as
// long; nodes that wait for it have asked already where it changed.
const STALE = 10_000;
const STALEST = 300_000;
const ASKED_AT_ONCE = 3;
const EVENTS = [
  "execution_start",
  "executed",
  "execution_success",
  "execution_error",
  "execution_interrupted",
  "progress_text",
];

export const AT_WORK = new Set(["submitted", "running"]);
const UNDER_WAY = new Set(["intended", "sent", ...AT_WORK]);

export function isUnderWay(task) {
  return UNDER_WAY.has(task.state);
}

// A task that could be asked for, and was not, was made at another gateway: its card says so.
function told({ task, asked }) {
  return { ...task, elsewhere: (!asked && AT_WORK.has(task.state)) || undefined };
}

// As it is known now: what the journal says, and what was found out of it before.
function merged(task, before) {
  if ("elsewhere" in task || !before?.elsewhere || !AT_WORK.has(task.state)) return task;
  return { ...task, elsewhere: true };
}

class TaskStore {
  // Where the last look failed, its error; null once one goes well.
  error = null;
  // Where the gateway could not be asked for a task, why.
  gatewayError = null;
  // Whether the newest tasks are known.
  ready = false;

  #tasks = new Map();
  #list = null;
  #cursor = null;
  #watchers = new Set();
  #timer;
  #due = Infinity;
  #busy = false;
  // Whether something happened during a look, which may not have seen it.
  #missed = false;
  // Of tasks at work, by number: when to ask the gateway next, and after how long again.
  #asking = new Map();
  #onEvent = () => this.#schedule(SOON);
  #onVisibility = () => this.#schedule(0);

  // Calls `changed()` at every change until the returned function is called.
  watch(changed) {
    this.#watchers.add(changed);
    if (this.#watchers.size === 1) this.#start();
    return () => {
      this.#watchers.delete(changed);
      if (!this.#watchers.size) this.#stop();
    };
  }

  // All that are known, the newest first.
  get list() {
    this.#list ??= [...this.#tasks.values()].sort((one, other) => other.number - one.number);
    return this.#list;
  }

  task(number) {
    return this.#tasks.get(number);
  }

  // Looks now, whatever the clock says.
  retry() {
    this.#schedule(0);
  }

  // Asks for all of them anew before long: the gateway may be another one from now on.
  forgetAnswers() {
    this.#asking.clear();
  }

  // Does something to a task by the route of that name, and takes up what comes back.
  async act(number, action) {
    const { task } = await post(`tasks/${number}/${action}`);
    this.#take([task]);
    this.#tell();
    return task;
  }

  #start() {
    for (const name of EVENTS) api.addEventListener(name, this.#onEvent);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#schedule(0);
  }

  #stop() {
    for (const name of EVENTS) api.removeEventListener(name, this.#onEvent);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  // Has the next look within this time, unless it is nearer already.
  #schedule(delay) {
    const due = performance.now() + delay;
    this.#missed = this.#busy;
    if (!this.#watchers.size || this.#busy || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#turn(), delay);
  }

  async #turn() {
    this.#due = Infinity;
    if (document.hidden) return; // the next look is when the page is seen again
    this.#busy = true;
    try {
      await (this.#cursor === null ? this.#readAll() : this.#readChanges());
      this.error = null;
      await this.#askGateway();
    } catch (error) {
      this.error = error;
    } finally {
      this.#busy = false;
      this.#tell();
    }
    if (this.#missed) this.#schedule(SOON);
    else this.#schedule(!this.error && this.list.some(isUnderWay) ? QUICK : SLOW);
  }

  async #readAll() {
    let page = await get(`tasks?limit=${PAGE}`);
    // What changes while older pages come is seen by the first look for changes.
    const { cursor } = page;
    this.#take(page.tasks);
    this.ready = true;
    this.#tell();
    while (page.more && this.#watchers.size) {
      page = await get(`tasks?limit=${PAGE}&before=${page.tasks.at(-1).number}`);
      this.#take(page.tasks);
    }
    if (!page.more) this.#cursor = cursor;
  }

  async #readChanges() {
    let page;
    do {
      page = await get(`tasks?since=${this.#cursor}`);
      this.#take(page.tasks);
      this.#cursor = page.cursor;
    } while (page.more);
  }

  #take(tasks) {
    for (const read of tasks) {
      const before = this.#tasks.get(read.number);
      const task = merged(read, before);
      if (task.forgotten) this.#tasks.delete(task.number);
      else if (JSON.stringify(before) !== JSON.stringify(task)) this.#tasks.set(task.number, task);
      else continue;
      this.#asking.delete(task.number);
      this.#list = null;
    }
  }

  async #askGateway() {
    const now = performance.now();
    const due = [];
    for (const task of this.list) {
      if (!AT_WORK.has(task.state)) continue;
      const asking = this.#asking.get(task.number) ?? { next: now + STALE, wait: STALE };
      this.#asking.set(task.number, asking);
      if (asking.next <= now && due.length < ASKED_AT_ONCE) due.push([task, asking]);
    }
    const answers = await Promise.allSettled(due.map(([task]) => post(`tasks/${task.number}/refresh`)));
    for (const [, asking] of due) {
      asking.wait = Math.min(2 * asking.wait, STALEST);
      asking.next = performance.now() + asking.wait;
    }
    const failed = answers.find(({ reason }) => reason);
    // What was made at another gateway is not asked for, and tells nothing of this one.
    if (failed || answers.some(({ value }) => value.asked)) this.gatewayError = failed?.reason ?? null;
    this.#take(answers.flatMap(({ value }) => (value ? told(value) : [])));
    if (!this.list.some((task) => AT_WORK.has(task.state))) this.gatewayError = null;
  }

  #tell() {
    for (const changed of this.#watchers) changed();
  }
}

export const tasks = new TaskStore();
