// @ts-check
// The field for the API key. The server never sends the key, and the page drops it after saving.

/** @import { Look } from "./note.mjs" */
/** @import { Settings } from "./types.mjs" */

import { siteOf } from "./addresses.mjs";
import { button, element, icon } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { saveSettings, watchSettings } from "./settings_store.mjs";
import { offerTyped, typedChanged } from "./typed_settings.mjs";

const VARIABLE = "PIKA_API_KEY";

export function keyInput() {
  const input = element("input", {
    type: "password",
    className: "pika-input",
    autocomplete: "off",
    spellcheck: false,
    ariaLabel: t("settings.labels.api_key"),
  });
  // Password managers would offer to store it.
  input.setAttribute("data-1p-ignore", "");
  input.setAttribute("data-lpignore", "true");
  return input;
}

/**
 * A link to the gateway's own site, where its users get their keys. Empty where there is none.
 * @param {string} address of the gateway
 */
export function siteLink(address) {
  const site = siteOf(address);
  if (!site) return [];
  const text = element("span", { textContent: t("settings.key.get", { host: site.host }) });
  const properties = { href: site.href, target: "_blank", rel: "noopener noreferrer" };
  return [element("a", { ...properties, className: "pika-link" }, text, icon("external-link"))];
}

export function keyField() {
  const note = new Note();
  const input = keyInput();
  const save = button(t("common.save"), () => store(input.value.trim()), { look: "primary" });
  const clear = button(t("settings.key.clear"), () => store(null));
  const row = element("div", { className: "pika-row" }, input, save, clear);
  const site = element("div");
  const root = element("div", { className: "pika-ui pika-field" }, row, site, note.root);
  /** @type {Settings | null} */
  let known = null;
  let isBusy = false;
  /** The key that was saved here, and the address that it was saved for. */
  let saved = { key: "", address: "" };

  function updateControls() {
    const { canSave, canClear } = isBusy ? NOTHING : allowed(known);
    input.disabled = !canSave;
    save.disabled = !canSave || !input.value.trim();
    clear.disabled = !canClear;
  }

  /** @param {string | null} key null removes the stored one */
  async function store(key) {
    isBusy = true;
    updateControls();
    try {
      saved = { key: key ?? "", address: known?.base_url.value ?? "" };
      await saveSettings({ api_key: key });
      input.value = "";
      typedChanged();
      note.flash("good", t(key ? "settings.key.saved" : "settings.key.cleared"));
    } catch (error) {
      saved.key = "";
      note.set("bad", messageOf(error));
    } finally {
      isBusy = false;
      updateControls();
      if (input.value) input.focus();
    }
  }

  /**
   * A change of the address removes the key on the server. The one that the user has just entered comes
   * back into the field, where one press saves it for the new address too.
   */
  function putBack() {
    if (!known || known.api_key.set || !saved.key || known.base_url.value === saved.address) return;
    const { key } = saved;
    saved.key = "";
    if (input.value) return;
    input.value = key;
    note.set("warn", t("settings.key.put_back", { address: known.base_url.value }));
  }

  input.oninput = () => {
    updateControls();
    typedChanged();
  };
  input.onkeydown = (event) => {
    if (event.key === "Enter" && !save.disabled) save.click();
  };
  watchSettings(root, (settings, error) => {
    known = settings;
    input.placeholder = known?.api_key.set ? "••••••••" : t("settings.key.placeholder");
    note.set(...keyState(settings, error));
    site.replaceChildren(...siteLink(known?.base_url.value ?? ""));
    putBack();
    updateControls();
  });
  updateControls();
  offerTyped(root, () => (input.value.trim() ? { api_key: input.value.trim() } : {}));
  return root;
}

const NOTHING = { canSave: false, canClear: false };

/**
 * What the user can do with the key.
 * @param {Settings | null} settings
 */
export function allowed(settings) {
  if (!settings || settings.api_key.source === "environment") return NOTHING;
  // With a problem, a key may be stored although the server does not report it.
  const canClear = settings.api_key.source === "file" || Boolean(settings.problem);
  return { canSave: true, canClear };
}

/**
 * What the note below the field says.
 * @param {Settings | null} settings
 * @param {Error | null} error
 * @returns {[Look, string]}
 */
export function keyState(settings, error) {
  if (error || !settings) return ["bad", t("settings.unread", { reason: error?.message ?? "" })];
  if (settings.problem) return ["bad", t("settings.problem", { reason: settings.problem })];
  const { set, hint, source } = settings.api_key;
  if (!set) return ["", t("settings.key.none")];
  if (source === "environment") {
    const key = hint ? "settings.key.environment" : "settings.key.environment_short";
    return ["", t(key, { name: VARIABLE, hint })];
  }
  return ["good", hint ? t("settings.key.set", { hint }) : t("settings.key.set_short")];
}
