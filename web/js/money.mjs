// @ts-check
// Amounts as the gateway reports them. They have no currency, unless the user has set one.

/** @import { Balance, KnownTask, TaskState } from "./types.mjs" */

import { t } from "./i18n.mjs";

/** Nothing was charged yet, or nobody but the gateway knows whether something was. */
/** @type {ReadonlySet<TaskState>} */
const WITHOUT_COST = new Set(["intended", "refused", "unknown", "failed"]);

/**
 * An amount for people: "12.40", "0.125", "12.40 CNY". As `format_amount` in pika_api writes it.
 * @param {number} value
 * @param {string} currency empty where it is not known
 */
export function amount(value, currency) {
  const size = Math.abs(value);
  let text = value.toFixed(2);
  if (size < 1 && Number(text) !== Number(value.toFixed(6))) text = value.toFixed(6).replace(/0+$/, "");
  else if (size >= 10_000 && Number.isInteger(value)) text = value.toFixed(0);
  return currency ? `${text} ${currency}` : text;
}

/**
 * What a task has cost, or is expected to, and what that means; both empty where neither is known.
 * @param {Pick<KnownTask, "state" | "price" | "estimate">} task
 * @param {string} currency
 */
export function costOf({ state, price, estimate }, currency) {
  const value = price ?? estimate ?? null;
  if (value === null || WITHOUT_COST.has(state)) return { cost: "", meaning: "" };
  const text = amount(value, currency);
  return typeof price === "number"
    ? { cost: text, meaning: t("balance.exact", { amount: text }) }
    : { cost: `≈ ${text}`, meaning: t("balance.estimate", { amount: text }) };
}

/**
 * What is left of the balance, and the other numbers of it.
 * @param {Balance} balance
 * @param {string} currency
 * @returns {{ text: string, details: string }}
 */
export function balanceTexts({ quota, used, left }, currency) {
  const values = { used: amount(used, currency) };
  if (quota === null || left === null) {
    return { text: t("balance.unlimited"), details: t("balance.details_unlimited", values) };
  }
  return {
    text: t("balance.left", { amount: amount(left, currency) }),
    details: t("balance.details", { ...values, quota: amount(quota, currency) }),
  };
}
