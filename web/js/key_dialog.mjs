// @ts-check
// Asks for the key where a run missed it, tests it, and offers to run again.

/** @import { Settings } from "./types.mjs" */

import { testConnection } from "./connection_field.mjs";
import { openDialog, paragraphs } from "./dialogs.mjs";
import { button, element } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { openSettings, runCommand } from "./host.mjs";
import { t } from "./i18n.mjs";
import { keyInput, siteLink } from "./key_field.mjs";
import { Note } from "./note.mjs";
import { loadSettings, saveSettings } from "./settings_store.mjs";
import { closeErrorDialog } from "./workarounds.mjs";

let isOpen = false;

/**
 * Shows what is wrong with the settings, and asks for the key where that is missing. Several nodes
 * of a run may fail for the same reason: one dialog is enough.
 * @param {string} message the error of the run
 */
export async function askForKey(message) {
  if (isOpen) return;
  isOpen = true;
  try {
    const settings = await loadSettings();
    closeErrorDialog();
    await (settings.api_key.set ? showProblem(message) : askForMissingKey(settings));
  } finally {
    isOpen = false;
  }
}

/** @param {() => void} close */
function settingsButton(close) {
  return button(t("settings.open"), () => {
    close();
    openSettings();
  });
}

/** @param {string} message */
function showProblem(message) {
  const { body, foot, close, closed } = openDialog(t("key.problem"));
  body.append(...paragraphs(...message.split("\n")));
  foot.append(settingsButton(close));
  return closed;
}

/** @param {Settings} settings */
function askForMissingKey(settings) {
  const { body, foot, close, closed } = openDialog(t("key.title"));
  const note = new Note();
  note.set("warn", settings.problem);
  const input = keyInput();
  input.placeholder = t("settings.key.placeholder");
  const row = element("div", { className: "pika-row" }, input);
  const save = button(t("key.save"), store, { look: "primary" });
  const runAgain = button(t("key.run_again"), () => {
    close();
    runCommand("Comfy.QueuePrompt");
  });
  save.disabled = true;
  runAgain.hidden = true;

  async function store() {
    save.disabled = input.disabled = true;
    try {
      await saveSettings({ api_key: input.value.trim() });
    } catch (error) {
      note.set("bad", messageOf(error));
      input.disabled = false;
      input.focus();
      return;
    }
    input.value = "";
    const verdict = await testConnection(note);
    const isGood = verdict === "good";
    // A key that the gateway refuses must be replaced. With any other result the user may try the run.
    runAgain.hidden = verdict === "bad_key";
    runAgain.classList.toggle("primary", isGood);
    save.hidden = row.hidden = isGood;
    input.disabled = false;
    (isGood ? runAgain : input).focus();
  }

  input.oninput = () => {
    save.disabled = !input.value.trim();
  };
  input.onkeydown = (event) => {
    if (event.key === "Enter" && !save.disabled) save.click();
  };
  body.append(...paragraphs(t("key.text", { address: settings.base_url.value })));
  body.append(...siteLink(settings.base_url.value), row, note.root);
  body.append(element("p", { className: "pika-quiet", textContent: t("key.kept") }));
  foot.append(settingsButton(close), save, runAgain);
  input.focus();
  return closed;
}
