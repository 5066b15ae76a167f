// @ts-check
// Asks for the id of the task that a request with an unknown outcome has at the gateway.

/** @import { OpenDialog } from "./dialogs.mjs" */
/** @import { KnownTask, Task } from "./types.mjs" */

import { openDialog, paragraphs } from "./dialogs.mjs";
import { button, element } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { showToast } from "./host.mjs";
import { moment, t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { tasks } from "./task_store.mjs";
import { explanation, promptOf } from "./task_words.mjs";

/**
 * @param {KnownTask} task
 * @returns {Promise<boolean>} whether the request has its task now
 */
export async function askForTaskId(task) {
  /** @type {OpenDialog<boolean>} */
  const { body, foot, close, closed } = openDialog(t("tasks.settle.title"));
  const note = new Note();
  const input = idInput();
  const row = element("div", { className: "pika-row" }, input);
  const use = button(t("tasks.settle.use"), settle, { look: "primary" });
  let isOpen = true;
  use.disabled = true;

  /** @param {boolean} isBusy */
  function setBusy(isBusy) {
    // Not disabled, which would move the focus out of the dialog.
    input.readOnly = isBusy;
    use.disabled = isBusy || !input.value.trim();
  }

  async function settle() {
    setBusy(true);
    input.ariaInvalid = null;
    note.set("busy", t("tasks.settle.checking"));
    try {
      report(await tasks.act(task.number, "settle", { task_id: input.value.trim() }));
    } catch (error) {
      if (!isOpen) showToast("error", t("tasks.settle.failed"), messageOf(error));
      note.set("bad", messageOf(error));
      input.ariaInvalid = "true";
      setBusy(false);
      input.focus();
      return;
    }
    // Another entry of this task, if there was one, is removed from the list.
    tasks.retry();
    close(true);
  }

  input.oninput = () => setBusy(false);
  input.onkeydown = (event) => {
    // Enter also ends the input of a word with an input method.
    if (event.key === "Enter" && !event.isComposing && !use.disabled) use.click();
  };
  body.append(...paragraphs(t("tasks.settle.text")), sentRequest(task), row, note.root);
  foot.append(
    button(t("common.cancel"), () => close(false)),
    use,
  );
  input.focus();
  const isSettled = await closed;
  isOpen = false;
  return isSettled === true;
}

function idInput() {
  return element("input", {
    type: "text",
    className: "pika-input",
    placeholder: t("tasks.settle.placeholder"),
    ariaLabel: t("tasks.settle.placeholder"),
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
  });
}

/**
 * What to compare with the gateway's list.
 * @param {Task} task
 */
function sentRequest(task) {
  const time = element("p", {
    className: "pika-quiet",
    textContent: t("tasks.settle.sent", { time: moment(task.created_at) }),
  });
  return element("blockquote", {}, element("p", { textContent: promptOf(task) }), time);
}

/**
 * Says what the next run does. It does not use a task that failed.
 * @param {Task} task afterwards
 */
function report(task) {
  const id = task.task_id ?? "";
  const text = task.state === "failed" ? explanation(task) : t("tasks.settle.reused", { id });
  showToast("info", t("tasks.settle.done"), text);
}
