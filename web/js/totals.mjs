// @ts-check
// What was spent today and this month, as the server sums it up.

/** @import { Totals, TotalsAnswer } from "./types.mjs" */

import { element } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { amount } from "./money.mjs";

/** The list of tasks is read first. */
const FIRST_MS = 400;
/** Another page, or the next day, changes the sums too. */
const INTERVAL_MS = 60_000;
const BETWEEN_READS_MS = 3000;

/**
 * What the sums need of the browser. Times are in milliseconds.
 * @typedef {object} TotalsHost
 * @property {() => number} now
 * @property {(action: () => void, delay: number) => unknown} setTimer returns the timer
 * @property {(timer: unknown) => void} clearTimer
 * @property {() => boolean} isHidden whether the page is hidden
 */

export class TotalsView {
  #host;
  #read;
  #isOpen = true;
  /** @type {unknown} */
  #timer;
  #due = Infinity;
  #earliest;

  /**
   * Reads the sums from now on, and shows them in `root`.
   * @param {TotalsHost} host
   * @param {() => Promise<TotalsAnswer>} read
   */
  constructor(host, read) {
    this.#host = host;
    this.#read = read;
    this.#earliest = host.now() + FIRST_MS;
    this.root = element("div", { className: "pika-totals", hidden: true });
    this.#readIn(FIRST_MS);
  }

  /** The journal or the settings have changed. */
  changed() {
    this.#readIn(Math.max(this.#earliest - this.#host.now(), 0));
  }

  close() {
    this.#isOpen = false;
    this.#host.clearTimer(this.#timer);
  }

  /** @param {number} delay */
  #readIn(delay) {
    const due = this.#host.now() + delay;
    if (!this.#isOpen || due >= this.#due) return;
    this.#host.clearTimer(this.#timer);
    this.#due = due;
    this.#timer = this.#host.setTimer(() => this.#turn(), delay);
  }

  async #turn() {
    this.#due = Infinity;
    this.#earliest = this.#host.now() + BETWEEN_READS_MS;
    this.#readIn(INTERVAL_MS);
    if (this.#host.isHidden()) return;
    /** @type {TotalsAnswer | null} */
    let answer = null;
    try {
      answer = await this.#read();
    } catch {
      // The list of tasks says that the server does not answer. A server that was not restarted after
      // an update has no such route.
    }
    if (this.#isOpen) this.#show(answer);
  }

  /** @param {TotalsAnswer | null} answer */
  #show(answer) {
    this.root.hidden = !answer?.today;
    if (!answer?.today) return;
    const { today, month, currency } = answer;
    this.root.replaceChildren(total("today", today, currency), total("month", month, currency));
  }
}

/**
 * @param {"today" | "month"} period
 * @param {Totals} totals
 * @param {string} currency
 */
function total(period, totals, currency) {
  const { text, note, details } = totalTexts(totals, currency);
  const label = element("span", { className: "label", textContent: t(`totals.${period}`) });
  const value = element("span", { className: "value", textContent: text });
  const parts = note ? [label, value, element("span", { className: "note", textContent: note })] : [label, value];
  return element("div", { className: "total", title: details }, ...parts);
}

/**
 * The number of tasks and what they have cost; what is not in the sum; and all of it in words.
 * @param {Totals} totals
 * @param {string} currency
 * @returns {{ text: string, note: string, details: string }}
 */
export function totalTexts({ count, amount: sum, unpriced, elsewhere }, currency) {
  const tasks = count === 1 ? t("totals.task") : t("totals.tasks", { count });
  const isPriced = count > unpriced + elsewhere;
  const missing = unpriced + elsewhere;
  const details = [
    t("totals.counted"),
    unpriced ? t("totals.unpriced", { count: unpriced }) : "",
    elsewhere ? t("totals.elsewhere", { count: elsewhere }) : "",
  ];
  return {
    // An amount stays on one line with its currency.
    text: isPriced ? `${tasks} · ${amount(sum, currency).replaceAll(" ", "\u00a0")}` : tasks,
    note: !missing ? "" : isPriced ? t("totals.not_in_sum", { count: missing }) : t("totals.unknown"),
    details: details.filter(Boolean).join("\n"),
  };
}
