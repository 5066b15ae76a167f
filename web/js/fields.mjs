// @ts-check
// The simple settings: an address, a choice, a number. Each saves itself when it is changed.

/** @import { Settings } from "./types.mjs" */

import { withScheme } from "./addresses.mjs";
import { button, element } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { has, t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { saveSettings, watchSettings } from "./settings_store.mjs";
import { offerTyped, typedChanged } from "./typed_settings.mjs";

/** @typedef {Exclude<keyof Settings, "api_key" | "problem">} FieldName */
/** @typedef {HTMLInputElement | HTMLSelectElement} Input */

/** @type {Record<FieldName, string>} */
const VARIABLES = {
  base_url: "PIKA_BASE_URL",
  base64_style: "PIKA_BASE64_STYLE",
  max_requests: "PIKA_MAX_REQUESTS",
  max_body_mb: "PIKA_MAX_BODY_MB",
  daily_limit: "PIKA_DAILY_LIMIT",
  run_limit: "PIKA_RUN_LIMIT",
  daily_cost_limit: "PIKA_DAILY_COST_LIMIT",
  min_balance: "PIKA_MIN_BALANCE",
  price: "PIKA_PRICE",
  currency: "PIKA_CURRENCY",
};

/**
 * Why a setting cannot be changed on the page, in words; empty where it can.
 * @param {Settings} settings
 * @param {FieldName} name
 */
export function lockText(settings, name) {
  const { source } = settings[name];
  const lock = name === "base_url" ? settings.base_url.locked : "";
  const reason = lock || (source === "environment" ? "environment" : "");
  return reason && t(`settings.locked.${reason}`, { name: VARIABLES[name] });
}

/**
 * The value that an input asks for; null for the default, where it is empty.
 * @template Value
 * @param {Pick<Input, "value" | "validity" | "validationMessage">} input
 * @param {(text: string) => Value} parse
 * @returns {Value | null}
 * @throws {Error} where the browser cannot read what was typed: its `value` is empty then
 */
export function requestedValue(input, parse) {
  if (input.validity.badInput) throw new Error(input.validationMessage);
  const text = input.value.trim();
  return text ? parse(text) : null;
}

/**
 * The text of an input: empty where the default applies, which is the placeholder.
 * @param {{ value: string | number | null, source: string }} setting
 */
function displayValue({ value, source }) {
  return source === "default" ? "" : String(value ?? "");
}

/**
 * A field with one input. An emptied input sets the default again.
 * @param {FieldName} name
 * @param {Input} input
 * @param {(settings: Settings) => void} show puts the server's value and limits into the input
 * @param {(text: string) => string | number} [parse]
 */
function field(name, input, show, parse = (text) => text) {
  const note = new Note();
  const root = element("div", { className: "pika-ui pika-field" }, input, note.root);
  input.disabled = true;
  input.ariaLabel = t(`settings.labels.${name}`);

  async function save() {
    try {
      const isKeyCleared = await saveSettings({ [name]: requestedValue(input, parse) });
      input.ariaInvalid = null;
      if (isKeyCleared) note.set("warn", t("settings.key_dropped"));
      else note.flash("good", t("common.saved"));
    } catch (error) {
      input.ariaInvalid = "true";
      note.set("bad", messageOf(error));
    }
  }

  // This event comes when Enter is pressed and when the input loses the focus.
  input.onchange = save;
  watchSettings(root, (settings, error) => {
    if (!settings) {
      note.set("bad", error?.message ?? "");
      return;
    }
    const lock = lockText(settings, name);
    input.disabled = Boolean(lock);
    if (document.activeElement !== input || input.ariaInvalid !== "true") show(settings);
    note.set("", lock);
  });
  return root;
}

export function addressField() {
  const input = element("input", { type: "url", className: "pika-input", spellcheck: false });
  const offer = element("div", { className: "pika-row", hidden: true });
  let saved = "";
  /** @param {Settings} settings */
  const show = ({ base_url: setting }) => {
    input.placeholder = setting.default;
    saved = displayValue(setting);
    input.value = saved;
  };
  const root = field("base_url", input, show, (text) => {
    const url = withScheme(text);
    if (!url) return text;
    offer.replaceChildren(button(t("settings.address.use", { url }), () => use(url)));
    offer.hidden = false;
    throw new Error(t("settings.address.no_scheme"));
  });
  /** @param {string} url */
  async function use(url) {
    input.value = url;
    changed();
    await input.onchange?.(new Event("change"));
  }
  function changed() {
    offer.hidden = true;
    typedChanged();
  }
  input.oninput = changed;
  root.insertBefore(offer, root.children[1] ?? null);
  offerTyped(root, () => {
    const text = input.value.trim();
    return input.disabled || text === saved ? {} : { base_url: text || null };
  });
  return root;
}

/** @param {"max_requests" | "max_body_mb" | "daily_limit" | "run_limit" | "daily_cost_limit" | "min_balance" | "price"} name */
export function numberField(name) {
  const input = element("input", { type: "number", className: "pika-input short", step: "any" });
  /** @param {Settings} settings */
  const show = ({ [name]: setting }) => {
    input.min = String(setting.min);
    input.max = String(setting.max);
    input.placeholder = setting.default === null ? t("settings.learned") : String(setting.default);
    input.value = displayValue(setting);
  };
  return field(name, input, show, Number);
}

/** @param {"currency"} name */
export function textField(name) {
  const input = element("input", { type: "text", className: "pika-input short", spellcheck: false });
  return field(name, input, ({ [name]: setting }) => {
    input.value = displayValue(setting);
  });
}

/** @param {"base64_style"} name */
export function choiceField(name) {
  const input = element("select", { className: "pika-input" });
  return field(name, input, ({ [name]: setting }) => {
    const options = setting.choices.map((choice) => {
      const key = `settings.choices.${choice}`;
      return element("option", { value: choice, textContent: has(key) ? t(key) : choice });
    });
    input.replaceChildren(...options);
    input.value = setting.value;
  });
}
