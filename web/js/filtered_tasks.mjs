// @ts-check
// The tasks that match the filters. The server filters: the page has only the part that was scrolled to.

/** @import { Task, TaskPage } from "./types.mjs" */

import { asError } from "./errors.mjs";

const PAGE_SIZE = 100;
/** As the server. */
const MAX_PAGE_SIZE = 1000;
/** The list may change several times in a second. */
const BETWEEN_REFRESHES_MS = 2000;

/**
 * What the list needs of the browser. Times are in milliseconds.
 * @typedef {object} FilterHost
 * @property {() => number} now
 * @property {(action: () => void, delay: number) => unknown} setTimer
 */

export class FilteredTasks {
  /**
   * The newest matching tasks, as many as were read.
   * @type {readonly Task[]}
   */
  list = [];
  /** How many tasks match. */
  count = 0;
  /** Whether the newest ones were read. */
  ready = false;
  /**
   * Why the last reading failed; null after one that did not.
   * @type {Error | null}
   */
  error = null;

  #host;
  #read;
  #onChange;
  #pageSize;
  #query = "";
  /** Whether there are, or may be, further matching tasks. */
  more = false;
  /** Where the next page begins. */
  #before = 0;
  #isReadingMore = false;
  /** Answers to an earlier query do not count. */
  #epoch = 0;
  #next = 0;
  #isDue = false;

  /**
   * @param {FilterHost} host
   * @param {(query: string, limit: number, before?: number) => Promise<TaskPage>} read
   * @param {() => void} onChange
   * @param {number} [pageSize]
   */
  constructor(host, read, onChange, pageSize = PAGE_SIZE) {
    this.#host = host;
    this.#read = read;
    this.#onChange = onChange;
    this.#pageSize = pageSize;
  }

  /** Whether there is a filter. */
  get isOn() {
    return this.#query !== "";
  }

  /**
   * Shows the tasks of another query; all tasks where it is empty.
   * @param {string} query
   */
  set(query) {
    if (query === this.#query) return;
    this.#query = query;
    this.#epoch += 1;
    Object.assign(this, { list: [], count: 0, ready: false, error: null });
    this.more = this.#isReadingMore = false;
    this.#onChange();
    if (query) this.refresh();
  }

  /** Something in the journal has changed: reads the newest matching tasks again, soon. */
  changed() {
    if (!this.isOn || this.#isDue) return;
    this.#isDue = true;
    const delay = Math.max(this.#next - this.#host.now(), 0);
    this.#host.setTimer(() => this.refresh(), delay);
  }

  /** Reads the newest matching tasks, as many as there were: any of them may not match any more. */
  async refresh() {
    this.#isDue = false;
    this.#next = this.#host.now() + BETWEEN_REFRESHES_MS;
    const limit = Math.min(Math.max(this.list.length, this.#pageSize), MAX_PAGE_SIZE);
    await this.#readPage(limit, undefined, (page) => {
      const before = nextOf(page);
      const older = before === null ? [] : this.list.filter(({ number }) => number < before);
      this.list = [...page.tasks, ...older];
      this.count = page.count ?? this.list.length;
      if (!older.length) this.#continueAt(before);
      this.ready = true;
    });
  }

  /** Reads the next part, where there is one. */
  async readMore() {
    if (!this.more || this.#isReadingMore) return;
    this.#isReadingMore = true;
    await this.#readPage(this.#pageSize, this.#before, (page) => {
      const end = this.list.at(-1)?.number ?? Infinity;
      const isCounted = this.count > this.list.length;
      this.list = [...this.list, ...page.tasks.filter(({ number }) => number < end)];
      if (!isCounted) this.count = this.list.length;
      this.#continueAt(nextOf(page));
      this.#isReadingMore = false;
    });
  }

  /** @param {number | null} before where the next page begins; null for none */
  #continueAt(before) {
    this.more = before !== null;
    this.#before = before ?? 0;
  }

  /**
   * @param {number} limit
   * @param {number | undefined} before
   * @param {(page: TaskPage) => void} take
   */
  async #readPage(limit, before, take) {
    if (!this.isOn) return;
    const epoch = this.#epoch;
    try {
      const page = await this.#read(this.#query, limit, before);
      if (epoch !== this.#epoch) return;
      take(page);
      this.error = null;
    } catch (error) {
      if (epoch !== this.#epoch) return;
      this.#isReadingMore = false;
      this.error = asError(error);
    }
    this.#onChange();
  }
}

/**
 * Where the next page begins; null where there is none. A server that was not restarted after an update
 * does not say it.
 * @param {TaskPage} page
 */
function nextOf({ tasks, more, before }) {
  return more ? (before ?? tasks.at(-1)?.number ?? null) : null;
}
