// What can be done with a task of the list.

import { button, copyText, element, icon, spinner } from "./dom.mjs";
import { confirmed, openDialog, paragraphs } from "./dialogs.mjs";
import { addNode, fileAddress, toast } from "./host.mjs";
import { t } from "./i18n.mjs";
import { get } from "./routes.mjs";
import { tasks } from "./task_store.mjs";
import { explanation, hasFile, promptOf, stateWord, trouble } from "./task_words.mjs";

const COPIED_FOR = 1500;

export const actions = { open, add, copy, request, forget };

// The file where there is one or can be, else what is known.
function open(task) {
  return hasFile(task) ? openFile(task) : openDetails(task);
}

async function openFile(task) {
  const { dialog, body, foot } = openDialog(promptOf(task), { wide: true });
  const stage = element("div", { className: "pika-stage" });
  body.append(stage);
  async function show() {
    stage.replaceChildren(spinner(), element("span", { textContent: t("tasks.fetching") }));
    foot.replaceChildren();
    try {
      const { file, kind } = task.file ? task : await tasks.act(task.number, "collect");
      stage.replaceChildren(player(file, kind));
      foot.replaceChildren(idButton(task, dialog), newTab(file));
    } catch (error) {
      stage.replaceChildren(...failure(error.message, show));
      foot.replaceChildren(idButton(task, dialog));
    }
  }
  await show();
}

function player(file, kind) {
  const src = fileAddress(file);
  const shown =
    kind === "image"
      ? element("img", { src, alt: "" })
      : element("video", { src, controls: true, autoplay: true, loop: true });
  shown.onerror = () => shown.replaceWith(...failure(t("tasks.unplayable"), null));
  return shown;
}

function newTab(file) {
  const properties = { href: fileAddress(file), target: "_blank", rel: "noopener" };
  const text = element("span", { textContent: t("tasks.new_tab") });
  return element("a", { ...properties, className: "pika-button primary" }, icon("external-link"), text);
}

function failure(message, again) {
  const text = element("p", { className: "pika-error", role: "alert", textContent: message });
  return again ? [text, button(t("common.again"), again)] : [text];
}

// What is known of a task without a file; it goes on changing while it is looked at.
async function openDetails(task) {
  const { dialog, body, foot, closed } = openDialog(promptOf(task));
  const word = element("p", { className: "pika-state", ariaLive: "polite" });
  const texts = element("div");
  body.append(word, texts);
  function show() {
    const now = tasks.task(task.number) ?? task;
    word.dataset.state = now.state;
    word.textContent = stateWord(now);
    const error = trouble(now);
    const said = error ? [element("p", { className: "pika-error", textContent: error })] : [];
    texts.replaceChildren(...said, ...paragraphs(explanation(now)));
    foot.replaceChildren(idButton(now, dialog));
  }
  show();
  const stop = tasks.watch(show);
  await closed;
  stop();
}

function idButton(task, dialog) {
  if (!task.task_id) return element("span");
  return copyButton(t("tasks.do.copy"), task.task_id, dialog);
}

function copyButton(label, text, within) {
  const made = button(label, () => copyAndTell(text, made, within), { iconName: "copy" });
  return made;
}

// A tick in place of the button's icon says that it went well.
async function copyAndTell(text, where, within) {
  try {
    await copyText(text, within);
  } catch (error) {
    toast("error", t("common.not_copied"), error.message);
    return;
  }
  const mark = where.querySelector("i");
  const { className } = mark;
  mark.className = "pi pi-check";
  const said = element("span", { className: "pika-offscreen", role: "status", textContent: t("common.copied") });
  where.append(said);
  setTimeout(() => {
    mark.className = className;
    said.remove();
  }, COPIED_FOR);
}

function copy(task, where) {
  return copyAndTell(task.task_id, where);
}

function add(task) {
  addNode("PikaResult", { task_id: task.task_id });
}

async function request(task) {
  const { dialog, body, foot } = openDialog(t("tasks.do.request"), { wide: true });
  async function show() {
    body.replaceChildren(spinner());
    try {
      const { request: sent } = await get(`tasks/${task.number}/request`);
      const text = JSON.stringify(sent, null, 2);
      body.replaceChildren(
        ...paragraphs(t("tasks.request_note")),
        element("pre", { textContent: text, tabIndex: 0 }),
      );
      foot.replaceChildren(copyButton(t("common.copy"), text, dialog));
    } catch (error) {
      body.replaceChildren(...failure(error.message, show));
    }
  }
  await show();
}

async function forget(task) {
  const texts = [promptOf(task), t("tasks.forget.money"), task.task_id && t("tasks.forget.stays")];
  if (!(await confirmed(t("tasks.forget.title"), texts, t("tasks.do.forget")))) return;
  try {
    await tasks.act(task.number, "forget");
  } catch (error) {
    toast("error", t("tasks.forget.failed"), error.message);
  }
}
