// @ts-check
// The page Settings → Pika. The values go to the pack's own routes, and not into ComfyUI's settings,
// which every client can read.

import { app } from "../../../scripts/app.js";
import { connectionField } from "./connection_field.mjs";
import { diagnosticsField } from "./diagnostics_field.mjs";
import { loadStyle } from "./dom.mjs";
import { addressField, choiceField, numberField, textField } from "./fields.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { keyField } from "./key_field.mjs";
import { OFFERED, withOffer } from "./limits_offer.mjs";
import { notificationField } from "./notification_field.mjs";

loadStyle();
// The names are translated here, and not by a settings.json in locales/: see node_texts.js.
await loadStrings();

/**
 * @param {string} id
 * @param {string} name of its texts in locales/
 * @param {string} group
 * @param {number} sortOrder higher ones come first
 * @param {() => HTMLElement} type builds the control
 */
function setting(id, name, group, sortOrder, type) {
  const category = ["Pika", t(`settings.groups.${group}`), id];
  const texts = { name: t(`settings.labels.${name}`), tooltip: t(`settings.tips.${name}`) };
  // The editor's types know its own ids only.
  const key = /** @type {"Comfy.Locale"} */ (`Pika.${id}`);
  return { id: key, ...texts, category, sortOrder, type, defaultValue: undefined };
}

app.registerExtension({
  name: "pika.settings",
  settings: [
    setting("BaseUrl", "base_url", "gateway", 120, addressField),
    setting("ApiKey", "api_key", "gateway", 110, keyField),
    setting("Connection", "connection", "gateway", 100, connectionField),
    setting("DailyLimit", "daily_limit", "cost", 60, () => withOffer(numberField("daily_limit"))),
    setting("RunLimit", "run_limit", "cost", 58, () => numberField("run_limit")),
    setting("DailyCostLimit", "daily_cost_limit", "cost", 56, () => numberField("daily_cost_limit")),
    setting("MinBalance", "min_balance", "cost", 54, () => numberField("min_balance")),
    setting("Price", "price", "cost", 48, () => numberField("price")),
    setting("Currency", "currency", "cost", 46, () => textField("currency")),
    setting("Base64Style", "base64_style", "requests", 30, () => choiceField("base64_style")),
    setting("MaxRequests", "max_requests", "requests", 20, () => numberField("max_requests")),
    setting("MaxBodyMb", "max_body_mb", "requests", 10, () => numberField("max_body_mb")),
    setting("Notifications", "notifications", "notices", 5, notificationField),
    setting("Diagnostics", "diagnostics", "help", 0, diagnosticsField),
    // Not on the page: it remembers that the line about limits was shown.
    { id: /** @type {any} */ (OFFERED), name: OFFERED, type: "hidden", defaultValue: false },
  ],
});
