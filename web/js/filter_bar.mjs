// @ts-check
// The filters above the list, and the export of what they select.

/** @import { Filter } from "./task_filter.mjs" */

import { element, iconButton } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { showToast } from "./host.mjs";
import { t } from "./i18n.mjs";
import { NO_FILTER, PERIODS, queryOf, STATE_CHOICES } from "./task_filter.mjs";

/**
 * Builds the filters.
 * @param {() => void} onChange
 * @param {(query: string) => Promise<void>} download saves the CSV file for a query
 */
export function filterBar(onChange, download) {
  const states = choices("state", Object.keys(STATE_CHOICES));
  const period = choices("period", PERIODS);
  const from = day("from");
  const to = day("to");
  const dates = element("div", { className: "dates", hidden: true }, from, to);
  const save = iconButton("download", t("export.button"), async () => {
    save.disabled = true;
    try {
      await download(query());
    } catch (error) {
      showToast("error", t("export.failed"), messageOf(error));
    }
    save.disabled = false;
    save.focus();
  });
  const root = element("div", { className: "pika-filters" }, states, period, save, dates);

  /** @type {Filter} */
  let filter = { ...NO_FILTER };
  const query = () => queryOf(filter, new Date());

  for (const control of [states, period, from, to]) {
    control.onchange = () => {
      const values = { states: states.value, period: period.value, from: from.value, to: to.value };
      filter = /** @type {Filter} */ (values);
      dates.hidden = filter.period !== "custom";
      states.classList.toggle("on", filter.states !== NO_FILTER.states);
      period.classList.toggle("on", filter.period !== NO_FILTER.period);
      onChange();
    };
  }
  return { root, query };
}

/**
 * @param {"state" | "period"} name
 * @param {readonly string[]} values the first one is the default
 */
function choices(name, values) {
  const options = values.map((value) =>
    element("option", { value, textContent: t(`tasks.filter.${name}.${value}`) }),
  );
  const label = t(`tasks.filter.${name}.label`);
  return element("select", { className: "pika-input", title: label, ariaLabel: label }, ...options);
}

/** @param {"from" | "to"} name */
function day(name) {
  const label = t(`tasks.filter.${name}`);
  return element("input", { type: "date", className: "pika-input", title: label, ariaLabel: label });
}
