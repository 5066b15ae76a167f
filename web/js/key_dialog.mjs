// Asks for the key right where it is missed, tries it, and offers to run again.

import { openDialog, paragraphs } from "./dialogs.mjs";
import { button, element } from "./dom.mjs";
import { testConnection } from "./fields.mjs";
import { closeErrorDialog, openSettings, run } from "./host.mjs";
import { t } from "./i18n.mjs";
import { keyInput } from "./key_field.mjs";
import { Note } from "./note.mjs";
import { loadSettings, saveSettings } from "./settings_store.mjs";

let isOpen = false;

// Tells what is wrong with the settings, and takes a key where that is what is missing. Many nodes
// may miss it at once; one dialog is enough.
export async function askForKey(message) {
  if (isOpen) return;
  isOpen = true;
  try {
    const settings = await loadSettings();
    closeErrorDialog();
    await (settings.api_key.set ? tell(message) : takeKey(settings));
  } finally {
    isOpen = false;
  }
}

function toSettings(close) {
  return button(t("settings.open"), () => {
    close();
    openSettings();
  });
}

function tell(message) {
  const { body, foot, close, closed } = openDialog(t("key.problem"));
  body.append(...paragraphs(...message.split("\n")));
  foot.append(toSettings(close));
  return closed;
}

function takeKey(settings) {
  const { body, foot, close, closed } = openDialog(t("key.title"));
  const note = new Note();
  note.set("warn", settings.problem);
  const input = keyInput();
  input.placeholder = t("settings.key.placeholder");
  const where = element("div", { className: "pika-row" }, input);
  const save = button(t("key.save"), store, { look: "primary" });
  const again = button(t("key.run_again"), () => {
    close();
    run("Comfy.QueuePrompt");
  });
  save.disabled = true;
  again.hidden = true;

  async function store() {
    save.disabled = input.disabled = true;
    try {
      await saveSettings({ api_key: input.value.trim() });
    } catch (error) {
      note.set("bad", error.message);
      input.disabled = false;
      input.focus();
      return;
    }
    input.value = "";
    const verdict = await testConnection(note);
    // A key that the gateway refuses wants another; with any other verdict the run is the user's to try.
    again.hidden = verdict === "bad_key";
    again.classList.toggle("primary", verdict === "good");
    save.hidden = where.hidden = verdict === "good";
    input.disabled = false;
    (verdict === "good" ? again : input).focus();
  }

  input.oninput = () => {
    save.disabled = !input.value.trim();
  };
  input.onkeydown = (event) => {
    if (event.key === "Enter" && !save.disabled) save.click();
  };
  body.append(...paragraphs(t("key.text", { address: settings.base_url.value })), where, note.root);
  body.append(element("p", { className: "pika-quiet", textContent: t("key.kept") }));
  foot.append(toSettings(close), save, again);
  input.focus();
  return closed;
}
