// The simple settings: an address, a choice, a number. Each saves itself once it is changed.

import { button, element } from "./dom.mjs";
import { has, t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { post } from "./routes.mjs";
import { saveSettings, showSettings } from "./settings_store.mjs";

const VARIABLES = {
  base_url: "PIKA_BASE_URL",
  base64_style: "PIKA_BASE64_STYLE",
  max_requests: "PIKA_MAX_REQUESTS",
  max_body_mb: "PIKA_MAX_BODY_MB",
};

// A field with one input. `lay(setting)` puts the server's value and limits into the input; an
// emptied input takes the value back to its default.
function field(name, input, lay, read = (value) => value) {
  const note = new Note();
  const root = element("div", { className: "pika-ui pika-field" }, input, note.root);
  input.disabled = true;
  input.ariaLabel = t(`settings.labels.${name}`);

  async function store() {
    const value = input.value.trim();
    try {
      const keyCleared = await saveSettings({ [name]: value ? read(value) : null });
      input.ariaInvalid = null;
      if (keyCleared) note.set("warn", t("settings.key_dropped"));
      else note.flash("good", t("common.saved"));
    } catch (error) {
      input.ariaInvalid = "true";
      note.set("bad", error.message);
    }
  }

  input.onchange = store; // an input's change comes at Enter and when it is left
  showSettings(root, (settings, error) => {
    if (!settings) return note.set("bad", error.message);
    const setting = settings[name];
    const locked = setting.locked || (setting.source === "environment" ? "environment" : "");
    input.disabled = Boolean(locked);
    if (document.activeElement !== input || input.ariaInvalid !== "true") lay(setting);
    return note.set("", locked ? t(`settings.locked.${locked}`, { name: VARIABLES[name] }) : "");
  });
  return root;
}

export function addressField() {
  const input = element("input", { type: "url", className: "pika-input", spellcheck: false });
  return field("base_url", input, (setting) => {
    input.placeholder = setting.default;
    input.value = setting.source === "default" ? "" : setting.value;
  });
}

export function numberField(name) {
  const input = element("input", { type: "number", className: "pika-input short", step: "any" });
  const lay = (setting) => {
    input.min = setting.min;
    input.max = setting.max;
    input.placeholder = setting.default;
    input.value = setting.source === "default" ? "" : setting.value;
  };
  return field(name, input, lay, Number);
}

export function choiceField(name) {
  const input = element("select", { className: "pika-input" });
  return field(name, input, (setting) => {
    const options = setting.choices.map((choice) => {
      const key = `settings.choices.${choice}`;
      return element("option", { value: choice, textContent: has(key) ? t(key) : choice });
    });
    input.replaceChildren(...options);
    input.value = setting.value;
  });
}

const VERDICTS = { good: "good", trouble: "warn" };

// Asks the gateway something that costs nothing, and puts what came of it into a note.
export async function testConnection(note) {
  note.set("busy", t("settings.test.running"));
  try {
    const { verdict, message } = await post("connection");
    note.set(VERDICTS[verdict] ?? "bad", message);
    return verdict;
  } catch (error) {
    note.set("bad", error.message);
    return "trouble";
  }
}

export function connectionField() {
  const note = new Note();
  const test = button(t("settings.test.button"), async () => {
    test.disabled = true;
    await testConnection(note);
    test.disabled = false;
    test.focus();
  });
  return element("div", { className: "pika-ui pika-field" }, test, note.root);
}
