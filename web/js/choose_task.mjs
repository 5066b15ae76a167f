// @ts-check
// A dialog with the journal's tasks, the newest first, to choose one.

/** @import { OpenDialog } from "./dialogs.mjs" */
/** @import { TaskStore } from "./task_store.mjs" */
/** @import { KnownTask } from "./types.mjs" */

import { openDialog } from "./dialogs.mjs";
import { element } from "./dom.mjs";
import { ago, t } from "./i18n.mjs";
import { thumbnailUrl } from "./task_requests.mjs";
import { hasFile } from "./task_states.mjs";
import { tasks } from "./task_store.mjs";
import { matching, promptOf, stateWord } from "./task_words.mjs";

/** Rows in the page; the search covers all tasks. */
const MOST_ROWS = 200;

/** @returns {Promise<string | null>} the chosen task's id; null where none was chosen */
export async function chooseTask() {
  /** @type {OpenDialog<string>} */
  const { body, close, closed } = openDialog(t("choose.title"), { wide: true });
  const search = element("input", {
    type: "search",
    className: "pika-input",
    placeholder: t("tasks.search"),
    ariaLabel: t("tasks.search"),
  });
  const rows = element("ul", { className: "pika-choices" });
  const status = element("p", { ariaLive: "polite" });
  body.append(search, rows, status);
  /** The tasks in the rows, as JSON. */
  let listed = "";

  function show() {
    const withId = tasks.list.filter((task) => task.task_id);
    const matches = matching(withId, search.value);
    const first = matches.slice(0, MOST_ROWS);
    status.textContent = statusText(tasks, withId.length, matches.length);
    // Built again only where something differs: a row may have the focus.
    const json = JSON.stringify(first);
    if (json === listed) return;
    listed = json;
    const focused = document.activeElement?.getAttribute("data-number");
    rows.replaceChildren(...first.map((task) => row(task, close)));
    /** @type {HTMLElement | null} */
    const again = focused ? rows.querySelector(`[data-number="${focused}"]`) : null;
    again?.focus();
  }

  search.oninput = show;
  search.focus();
  const stop = tasks.watch(show);
  show();
  const chosen = await closed;
  stop();
  return chosen;
}

/**
 * What the line below the rows says.
 * @param {Pick<TaskStore, "error" | "ready">} store
 * @param {number} all
 * @param {number} matches of the search
 */
export function statusText({ error, ready }, all, matches) {
  if (error) return t("tasks.stale", { reason: error.message });
  if (!ready) return t("common.loading");
  if (!all) return t("tasks.blank.empty_text");
  if (!matches) return t("tasks.blank.unmatched");
  return matches > MOST_ROWS ? t("choose.more", { shown: MOST_ROWS, found: matches }) : "";
}

/** @param {KnownTask} task */
function picture(task) {
  const place = element("span", { className: "picture" });
  if (!hasFile(task)) return place;
  const image = element("img", { alt: "", decoding: "async", loading: "lazy", draggable: false });
  image.onerror = () => image.remove();
  image.src = thumbnailUrl(task);
  place.append(image);
  return place;
}

/**
 * @param {KnownTask} task
 * @param {(taskId: string | null) => void} close
 */
function row(task, close) {
  const state = element("span", { className: "state", textContent: stateWord(task) });
  state.dataset.state = task.state;
  const choice = element(
    "button",
    { type: "button", onclick: () => close(task.task_id) },
    picture(task),
    state,
    element("span", { className: "prompt", textContent: promptOf(task) }),
    element("span", { className: "age", textContent: ago(task.created_at) }),
    element("span", { className: "id", textContent: task.task_id ?? "" }),
  );
  choice.dataset.number = String(task.number);
  return element("li", {}, choice);
}
