// @ts-check
// A line at the first visit to the settings: limits exist, and are off. It is shown once.

/** @import { Settings } from "./types.mjs" */

import { element, icon, iconButton } from "./dom.mjs";
import { storedChoice, storeChoice } from "./host.mjs";
import { t } from "./i18n.mjs";
import { watchSettings } from "./settings_store.mjs";

/** The user's setting in ComfyUI that remembers it. */
export const OFFERED = "Pika.LimitsOffered";

/** What happens in this page: the line stays until the page is left, though it counts as shown. */
let isShownNow = false;
let isDismissed = false;

/**
 * Whether the user has set a limit.
 * @param {Settings} settings
 */
export function hasLimit({ daily_limit, run_limit, daily_cost_limit, min_balance }) {
  return [daily_limit, run_limit, daily_cost_limit, min_balance].some((limit) => Number(limit?.value));
}

/**
 * Puts the line above a field, where it is due.
 * @param {HTMLElement} field
 */
export function withOffer(field) {
  const close = iconButton("times", t("settings.offer.dismiss"), () => {
    isDismissed = true;
    line.remove();
  });
  const text = element("span", { textContent: t("settings.offer.text") });
  const line = element("div", { className: "pika-offer", hidden: true }, icon("info-circle"), text, close);
  watchSettings(line, (settings) => {
    const isDue = isShownNow || storedChoice(OFFERED) !== true;
    line.hidden = isDismissed || !settings || hasLimit(settings) || !isDue;
    if (line.hidden || isShownNow) return;
    isShownNow = true;
    storeChoice(OFFERED, true);
  });
  return element("div", { className: "pika-ui" }, line, field);
}
