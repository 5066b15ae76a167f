// A dialog with the journal's tasks, newest first, of which one is chosen.

import { openDialog } from "./dialogs.mjs";
import { element } from "./dom.mjs";
import { ago, t } from "./i18n.mjs";
import { tasks } from "./task_store.mjs";
import { matching, promptOf, stateWord } from "./task_words.mjs";

// Enough to look through; the search goes over all.
const SHOWN = 200;

// Resolves to the chosen task's id, or to null where none was chosen.
export async function chooseTask() {
  const { body, close, closed } = openDialog(t("choose.title"), { wide: true });
  const search = element("input", {
    type: "search",
    className: "pika-input",
    placeholder: t("tasks.search"),
    ariaLabel: t("tasks.search"),
  });
  const rows = element("ul", { className: "pika-choices" });
  const word = element("p", { ariaLive: "polite" });
  body.append(search, rows, word);
  let shown = "";

  function show() {
    const withId = tasks.list.filter((task) => task.task_id);
    const found = matching(withId, search.value);
    const first = found.slice(0, SHOWN);
    word.textContent = said(withId.length, found.length);
    // Built again only where something is different: a row may have the focus.
    const text = JSON.stringify(first);
    if (text === shown) return;
    shown = text;
    const focused = document.activeElement?.dataset?.number;
    rows.replaceChildren(...first.map((task) => row(task, close)));
    if (focused) rows.querySelector(`[data-number="${focused}"]`)?.focus();
  }

  search.oninput = show;
  search.focus();
  const stop = tasks.watch(show);
  show();
  const chosen = await closed;
  stop();
  return chosen;
}

function said(all, found) {
  if (tasks.error) return t("tasks.stale", { reason: tasks.error.message });
  if (!tasks.ready) return t("common.loading");
  if (!all) return t("tasks.blank.empty_text");
  if (!found) return t("tasks.blank.unmatched");
  return found > SHOWN ? t("choose.more", { shown: SHOWN, found }) : "";
}

function row(task, close) {
  const state = element("span", { className: "state", textContent: stateWord(task) });
  state.dataset.state = task.state;
  const choice = element(
    "button",
    { type: "button", onclick: () => close(task.task_id) },
    state,
    element("span", { className: "prompt", textContent: promptOf(task) }),
    element("span", { className: "age", textContent: ago(task.created_at) }),
    element("span", { className: "id", textContent: task.task_id }),
  );
  choice.dataset.number = task.number;
  return element("li", {}, choice);
}
