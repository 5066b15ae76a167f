// @ts-check
// What the user can do with a task of the list.

/** @import { KnownTask, OutputFile, Task } from "./types.mjs" */

import { loadWorkflow, useSettings } from "./again.mjs";
import { button, copyText, element, icon, spinner } from "./dom.mjs";
import { confirmed, openDialog, paragraphs } from "./dialogs.mjs";
import { messageOf } from "./errors.mjs";
import { addNode, fileUrl, locale, showToast } from "./host.mjs";
import { t } from "./i18n.mjs";
import { factsText, watchFacts } from "./media_facts.mjs";
import { askForTaskId } from "./settle_dialog.mjs";
import { readRequest } from "./task_requests.mjs";
import { hasFile, isUnknown } from "./task_states.mjs";
import { tasks } from "./task_store.mjs";
import { explanation, problemOf, promptOf, stateWord } from "./task_words.mjs";

const TICK_SHOWN_FOR_MS = 1500;

/** @typedef {"open" | "add" | "workflow" | "again" | "copy" | "settle" | "request" | "forget"} Action */

/** @typedef {Record<Action, (task: KnownTask, button: HTMLElement) => unknown>} Actions */

/** @type {Actions} */
export const actions = {
  open,
  add,
  workflow: loadWorkflow,
  again: useSettings,
  copy,
  settle: askForTaskId,
  request: showRequest,
  forget,
};

/**
 * Opens the file where there is one or can be one, and otherwise what is known about the task.
 * @param {KnownTask} task
 */
function open(task) {
  return hasFile(task) ? openFile(task) : openDetails(task);
}

/** @param {KnownTask} task */
async function openFile(task) {
  const { dialog, body, foot } = openDialog(promptOf(task), { wide: true });
  const stage = element("div", { className: "pika-stage" });
  body.append(stage);
  async function show() {
    stage.replaceChildren(spinner(), element("span", { textContent: t("tasks.fetching") }));
    foot.replaceChildren();
    try {
      const { file, kind } = task.file ? task : await tasks.act(task.number, "collect");
      // A saved file that is not in the output folder has no URL.
      if (!file) throw new Error(t("tasks.unplayable"));
      const facts = element("span", { className: "pika-facts", ariaLive: "polite" });
      stage.replaceChildren(player(file, kind, facts));
      foot.replaceChildren(facts, idButton(task, dialog), downloadLink(file), newTabLink(file));
    } catch (error) {
      stage.replaceChildren(...failure(messageOf(error), show));
      foot.replaceChildren(idButton(task, dialog));
    }
  }
  await show();
}

/**
 * @param {OutputFile} file
 * @param {Task["kind"]} kind
 * @param {HTMLElement} facts where its duration and size are shown
 */
function player(file, kind, facts) {
  const src = fileUrl(file);
  const media =
    kind === "image"
      ? element("img", { src, alt: "" })
      : element("video", { src, controls: true, autoplay: true, loop: true });
  watchFacts(media, src, (known) => {
    facts.textContent = factsText(known, locale());
  });
  media.onerror = () => media.replaceWith(...failure(t("tasks.unplayable"), null));
  return media;
}

/** @param {OutputFile} file */
function downloadLink(file) {
  const text = element("span", { textContent: t("tasks.download") });
  const properties = { href: fileUrl(file), download: file.filename, className: "pika-button" };
  return element("a", properties, icon("download"), text);
}

/** @param {OutputFile} file */
function newTabLink(file) {
  const properties = { href: fileUrl(file), target: "_blank", rel: "noopener" };
  const text = element("span", { textContent: t("tasks.new_tab") });
  return element("a", { ...properties, className: "pika-button primary" }, icon("external-link"), text);
}

/**
 * @param {string} message
 * @param {(() => unknown) | null} retry
 */
function failure(message, retry) {
  const text = element("p", { className: "pika-error", role: "alert", textContent: message });
  return retry ? [text, button(t("common.again"), retry)] : [text];
}

/**
 * Shows what is known about a task without a file, and keeps it up to date.
 * @param {KnownTask} task
 */
async function openDetails(task) {
  const { dialog, body, foot, close, closed } = openDialog(promptOf(task));
  const word = element("p", { className: "pika-state", ariaLive: "polite" });
  const texts = element("div");
  body.append(word, texts);
  /** The task in the dialog, as JSON. */
  let listed = "";
  function show() {
    const current = tasks.task(task.number) ?? task;
    // Built again only where something differs: a button may have the focus.
    const json = JSON.stringify(current);
    if (json === listed) return;
    listed = json;
    word.dataset.state = current.state;
    word.textContent = stateWord(current);
    const problem = problemOf(current);
    const error = problem ? [element("p", { className: "pika-error", textContent: problem })] : [];
    texts.replaceChildren(...error, ...paragraphs(explanation(current)));
    foot.replaceChildren(isUnknown(current) ? settleButton(current, close) : idButton(current, dialog));
  }
  show();
  const stop = tasks.watch(show);
  await closed;
  stop();
}

/**
 * @param {KnownTask} task
 * @param {() => void} close the dialog with the button: it has told everything then
 */
function settleButton(task, close) {
  async function settle() {
    if (await askForTaskId(task)) close();
  }
  return button(t("tasks.do.settle"), settle, { look: "primary" });
}

/**
 * @param {Task} task
 * @param {HTMLElement} dialog
 */
function idButton(task, dialog) {
  return task.task_id ? copyButton(t("tasks.do.copy"), task.task_id, dialog) : element("span");
}

/**
 * @param {string} label
 * @param {string} text
 * @param {HTMLElement} within
 */
function copyButton(label, text, within) {
  const created = button(label, () => copyWithTick(text, created, within), { iconName: "copy" });
  return created;
}

/**
 * Copies a text. A tick in place of the button's icon shows the success.
 * @param {string} text
 * @param {HTMLElement} where the button
 * @param {HTMLElement} [within] the open dialog
 */
async function copyWithTick(text, where, within) {
  try {
    await copyText(text, within);
  } catch (error) {
    showToast("error", t("common.not_copied"), messageOf(error));
    return;
  }
  const mark = where.querySelector("i");
  // A second click while the tick is there: the icon comes back after the first one's time.
  if (!mark || mark.classList.contains("pi-check")) return;
  const { className } = mark;
  mark.className = "pi pi-check";
  const status = element("span", { className: "pika-offscreen", role: "status", textContent: t("common.copied") });
  where.append(status);
  setTimeout(() => {
    mark.className = className;
    status.remove();
  }, TICK_SHOWN_FOR_MS);
}

/**
 * @param {KnownTask} task
 * @param {HTMLElement} where
 */
function copy(task, where) {
  return copyWithTick(task.task_id ?? "", where);
}

/** @param {KnownTask} task */
function add(task) {
  addNode("PikaResult", { task_id: task.task_id ?? "" });
}

/** @param {KnownTask} task */
async function showRequest(task) {
  const { dialog, body, foot } = openDialog(t("tasks.do.request"), { wide: true });
  async function show() {
    body.replaceChildren(spinner());
    try {
      const { request, answer } = await readRequest(task.number);
      const text = JSON.stringify(request, null, 2);
      body.replaceChildren(
        ...paragraphs(t("tasks.request_note")),
        element("pre", { textContent: text, tabIndex: 0 }),
        ...(answer ? answerParts(answer) : []),
      );
      foot.replaceChildren(copyButton(t("common.copy"), text, dialog));
    } catch (error) {
      body.replaceChildren(...failure(messageOf(error), show));
    }
  }
  await show();
}

/** @param {string} answer of the gateway */
function answerParts(answer) {
  const heading = element("h3", { textContent: t("tasks.answer.title") });
  return [
    heading,
    ...paragraphs(t("tasks.answer.note")),
    element("pre", { className: "answer", textContent: answer, tabIndex: 0 }),
  ];
}

/** @param {KnownTask} task */
async function forget(task) {
  const texts = [promptOf(task), t("tasks.forget.money"), task.task_id && t("tasks.forget.stays")];
  if (!(await confirmed(t("tasks.forget.title"), texts, t("tasks.do.forget")))) return;
  try {
    await tasks.act(task.number, "forget");
  } catch (error) {
    showToast("error", t("tasks.forget.failed"), messageOf(error));
  }
}
