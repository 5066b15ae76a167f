// @ts-check
// The filters of the list: what they ask the server for.

/** @import { TaskState } from "./types.mjs" */

/** @typedef {"all" | "under_way" | "done" | "failed" | "refused" | "unknown"} StateChoice */
/** @typedef {"any" | "today" | "week" | "month" | "custom"} Period */

/**
 * `from` and `to` are days such as "2026-11-28", both included; empty for no limit. They count for the
 * period "custom" only.
 * @typedef {{ states: StateChoice, period: Period, from: string, to: string }} Filter
 */

/** @type {Record<StateChoice, readonly TaskState[]>} */
export const STATE_CHOICES = {
  all: [],
  under_way: ["intended", "sent", "submitted", "running"],
  done: ["finished", "saved"],
  failed: ["failed"],
  refused: ["refused"],
  unknown: ["unknown"],
};

/** @type {readonly Period[]} */
export const PERIODS = ["any", "today", "week", "month", "custom"];

/** @type {Readonly<Filter>} */
export const NO_FILTER = { states: "all", period: "any", from: "", to: "" };

/**
 * The parameters for the server; empty where nothing is filtered. Days are those of the browser.
 * @param {Readonly<Filter>} filter
 * @param {Date} now
 */
export function queryOf(filter, now) {
  const query = new URLSearchParams();
  const states = STATE_CHOICES[filter.states];
  if (states.length) query.set("state", states.join(","));
  const [from, to] = range(filter, now);
  if (from) query.set("from", String(from.getTime() / 1000));
  if (to) query.set("to", String(to.getTime() / 1000));
  return query.toString();
}

/**
 * @param {Readonly<Filter>} filter
 * @param {Date} now
 * @returns {[from: Date | null, to: Date | null]} `to` is not part of the range
 */
function range({ period, from, to }, now) {
  const [year, month, day] = [now.getFullYear(), now.getMonth(), now.getDate()];
  if (period === "today") return [new Date(year, month, day), null];
  if (period === "week") return [new Date(year, month, day - 6), null];
  if (period === "month") return [new Date(year, month, 1), null];
  return period === "custom" ? [midnight(from, 0), midnight(to, 1)] : [null, null];
}

/**
 * The beginning of a day, or of a later one; null where the text is no day since 1970.
 * @param {string} text
 * @param {number} daysLater
 */
function midnight(text, daysLater) {
  const [year = 0, month = 0, day = 0] = text.split("-").map(Number);
  const date = new Date(year, month - 1, day + daysLater);
  return year >= 1970 && year < 5000 && date.getTime() >= 0 ? date : null;
}
