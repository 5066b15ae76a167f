// The field for the API key. The server never tells the key; after saving, the page has it no more.

import { button, element } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { saveSettings, showSettings } from "./settings_store.mjs";

export function keyInput() {
  const input = element("input", {
    type: "password",
    className: "pika-input",
    autocomplete: "off",
    spellcheck: false,
    ariaLabel: t("settings.labels.api_key"),
  });
  // Or a password manager offers to keep it.
  input.setAttribute("data-1p-ignore", "");
  input.setAttribute("data-lpignore", "true");
  return input;
}

export function keyField() {
  const note = new Note();
  const input = keyInput();
  const save = button(t("common.save"), () => store(input.value.trim()), { look: "primary" });
  const clear = button(t("settings.key.clear"), () => store(null));
  const row = element("div", { className: "pika-row" }, input, save, clear);
  const root = element("div", { className: "pika-ui pika-field" }, row, note.root);
  let known = null;
  let busy = false;

  function enable() {
    const locked = busy || !known || known.api_key.source === "environment";
    input.disabled = locked;
    save.disabled = locked || !input.value.trim();
    clear.disabled = locked || (known.api_key.source !== "file" && !known.problem);
  }

  async function store(key) {
    busy = true;
    enable();
    try {
      await saveSettings({ api_key: key });
      input.value = "";
      note.flash("good", t(key ? "settings.key.saved" : "settings.key.cleared"));
    } catch (error) {
      note.set("bad", error.message);
    } finally {
      busy = false;
      enable();
      if (input.value) input.focus();
    }
  }

  input.oninput = enable;
  input.onkeydown = (event) => {
    if (event.key === "Enter" && !save.disabled) save.click();
  };
  showSettings(root, (settings, error) => {
    known = settings;
    input.placeholder = known?.api_key.set ? "••••••••" : t("settings.key.placeholder");
    note.set(...says(settings, error));
    enable();
  });
  enable();
  return root;
}

function says(settings, error) {
  if (error) return ["bad", t("settings.unread", { reason: error.message })];
  if (settings.problem) return ["bad", t("settings.problem", { reason: settings.problem })];
  const { set, hint, source } = settings.api_key;
  if (!set) return ["", t("settings.key.none")];
  const name = "PIKA_API_KEY";
  if (source === "environment") {
    return ["", t(hint ? "settings.key.environment" : "settings.key.environment_short", { name, hint })];
  }
  return ["good", hint ? t("settings.key.set", { hint }) : t("settings.key.set_short")];
}
