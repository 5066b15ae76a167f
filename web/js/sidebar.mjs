// @ts-check
// The sidebar tab: the list of tasks with its search, and what stands in its place while it is empty.

/** @import { TaskStore } from "./task_store.mjs" */
/** @import { BalanceAnswer, KnownTask, Settings, Task } from "./types.mjs" */

import { balances } from "./balance_store.mjs";
import { button, element, icon, iconButton, spinner } from "./dom.mjs";
import { filterBar } from "./filter_bar.mjs";
import { FilteredTasks } from "./filtered_tasks.mjs";
import { openSettings, runCommand } from "./host.mjs";
import { t } from "./i18n.mjs";
import { ROW_HEIGHT } from "./list_window.mjs";
import { balanceTexts } from "./money.mjs";
import { watchSettings } from "./settings_store.mjs";
import { actions } from "./task_actions.mjs";
import { TaskList } from "./task_list.mjs";
import { exportTasks, readFiltered, readTotals } from "./task_requests.mjs";
import { tasks } from "./task_store.mjs";
import { matching } from "./task_words.mjs";
import { TotalsView } from "./totals.mjs";

/** The server counts up to this number. */
const MAX_COUNT = 10_000;
/** The server searches once nothing was typed for so long. */
const AFTER_TYPING_MS = 250;
const UPDATE_AGES_EVERY_MS = 20_000;
/** Rows below the visible part of the list, before further ones are read. */
const ROWS_AHEAD = 10;

const browser = {
  now: () => performance.now(),
  /** @type {(action: () => void, delay: number) => unknown} */
  setTimer: (action, delay) => setTimeout(action, delay),
  /** @type {(timer: unknown) => void} */
  clearTimer: (timer) => clearTimeout(/** @type {number} */ (timer)),
  isHidden: () => document.hidden,
};

/**
 * Builds the page.
 * @param {HTMLElement} container
 * @returns {() => void} removes it
 */
export function fillSidebar(container) {
  const list = new TaskList(actions);
  const search = element("input", {
    type: "search",
    className: "pika-input",
    placeholder: t("tasks.search"),
    ariaLabel: t("tasks.search"),
  });
  const count = element("span", { className: "pika-count", ariaLive: "polite" });
  const title = element("span", { className: "pika-title", textContent: t("tasks.title") });
  const settingsButton = iconButton("cog", t("settings.open"), openSettings);
  const balance = element("span", { className: "pika-balance", hidden: true });
  const header = element("header", {}, title, count, balance, settingsButton);
  const banner = element("div", { className: "pika-banner", role: "status" });
  const blank = element("div", { className: "pika-blank" });
  const tools = element("div", { className: "pika-tools" }, search);
  const filters = filterBar(applyFilters, exportTasks);
  const filtered = new FilteredTasks(browser, readFiltered, () => show());
  const totals = new TotalsView(browser, readTotals);
  const page = element("section", { className: "pika-ui pika-sidebar", ariaLabel: t("tasks.title") });
  const top = element("div", {}, totals.root, tools, filters.root);
  page.append(header, top, banner, list.root, blank);
  container.replaceChildren(page);

  let hasKey = true;
  /** @type {BlankKind | "none"} */
  let currentBlank = "none";
  let newest = Infinity;
  let account = "";
  let before = tasks.list;

  function show() {
    if (tasks.list !== before) {
      before = tasks.list;
      filtered.changed();
      totals.changed();
    }
    const some = filtered.isOn ? filtered.list.map(known) : tasks.shown;
    const matches = searchesServer() ? some : matching(some, search.value);
    list.show(matches);
    list.root.hidden = !matches.length;
    top.hidden = tools.hidden = !tasks.list.length;
    const isCounted = filtered.isOn && (searchesServer() || !search.value.trim());
    const found = isCounted ? filtered.count : matches.length;
    count.textContent = countText(found, tasks.shown.length, tasks.complete);
    showBanner(banner);
    readAhead();
    // Built again only for another kind: a button in it may have the focus.
    const emptyKind = filtered.isOn ? filteredBlankKind(filtered) : blankKind(tasks, hasKey);
    const kind = matches.length ? "none" : emptyKind;
    if (kind !== currentBlank) blank.replaceChildren(...(kind === "none" ? [] : BLANKS[kind]()));
    currentBlank = kind;
    blank.hidden = kind === "none";
    const submitted = newestSubmitted(tasks.list);
    if (submitted > newest) balances.submitted();
    if (tasks.ready) newest = submitted;
  }

  function applyFilters() {
    list.scrollToTop();
    filtered.set(query());
  }

  /** Whether the server searches: the page does not have all tasks. */
  function searchesServer() {
    return !tasks.complete && search.value.trim() !== "";
  }

  function query() {
    return searchesServer() ? withSearch(filters.query(), search.value.trim()) : filters.query();
  }

  /** Reads further tasks of the filter where the end of the list is near, or the search looks for more. */
  function readAhead() {
    const { scrollTop, clientHeight, scrollHeight } = list.root;
    const isNearEnd = scrollTop + clientHeight + ROWS_AHEAD * ROW_HEIGHT > scrollHeight;
    if (filtered.isOn && (isNearEnd || search.value.trim())) filtered.readMore();
    else if (isNearEnd && !filtered.isOn) tasks.readOlder();
  }

  list.root.addEventListener("scroll", readAhead);
  /** @type {unknown} */
  let typing;
  search.oninput = () => {
    list.scrollToTop();
    browser.clearTimer(typing);
    if (tasks.complete) show();
    else typing = browser.setTimer(() => filtered.set(query()), AFTER_TYPING_MS);
  };
  search.onkeydown = (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    list.focus();
  };
  const stop = tasks.watch(show);
  const stopBalance = balances.open(() => showBalance(balance, balances.answer));
  const timer = setInterval(() => {
    list.updateAges();
    filtered.set(query()); // "today" is another day after midnight
  }, UPDATE_AGES_EVERY_MS);
  show();
  watchSettings(page, (settings) => {
    // Where the settings cannot be read, the tasks cannot either, and the banner says so.
    if (!settings) return;
    hasKey = settings.api_key.set;
    const earlier = account;
    account = accountOf(settings);
    if (earlier && account !== earlier) {
      balances.refresh();
      totals.changed();
    }
    list.updateAges(); // the cards have the currency
    show();
  });
  return () => {
    stop();
    stopBalance();
    totals.close();
    clearInterval(timer);
    browser.clearTimer(typing);
    page.remove();
  };
}

/**
 * @param {number} matches of the search
 * @param {number} all those that are known
 * @param {boolean} [complete] whether there are no others
 */
export function countText(matches, all, complete = true) {
  if (!all) return "";
  const total = complete ? String(all) : `${all}+`;
  if (matches === all) return total;
  return t("tasks.found", { found: matches < MAX_COUNT ? matches : `${MAX_COUNT}+`, all: total });
}

/**
 * The query of a filter with a search.
 * @param {string} query
 * @param {string} words
 */
export function withSearch(query, words) {
  const parameters = new URLSearchParams(query);
  parameters.set("search", words);
  return parameters.toString();
}

/**
 * The number of the newest task that the gateway has accepted; 0 if there is none.
 * @param {readonly Pick<KnownTask, "number" | "task_id">[]} list
 */
export function newestSubmitted(list) {
  return list.find((task) => task.task_id)?.number ?? 0;
}

/**
 * What the balance depends on.
 * @param {Settings} settings
 */
function accountOf({ api_key: key, base_url: address, currency }) {
  return JSON.stringify([key, address.value, currency?.value]);
}

/**
 * Shows the balance, where the gateway reports one.
 * @param {HTMLElement} place
 * @param {BalanceAnswer | null} answer
 */
export function showBalance(place, answer) {
  place.hidden = !answer?.balance;
  if (!answer?.balance) return;
  const { text, details } = balanceTexts(answer.balance, answer.currency);
  place.textContent = text;
  place.title = [details, answer.problem].filter(Boolean).join("\n");
  place.classList.toggle("old", Boolean(answer.problem));
}

/**
 * What the banner says: why the list is not up to date. Empty where it is.
 * @param {Pick<TaskStore, "error" | "gatewayError" | "list">} store
 */
export function bannerText({ error, gatewayError, list }) {
  if (error && list.length) return t("tasks.stale", { reason: error.message });
  return gatewayError ? t("tasks.not_asked", { reason: gatewayError.message }) : "";
}

/** @param {HTMLElement} banner */
function showBanner(banner) {
  const text = bannerText(tasks);
  // Built again only for another text: its button may have the focus.
  if (banner.dataset.text === text) return;
  banner.dataset.text = text;
  const again = button(t("common.again"), () => tasks.retry());
  const message = element("span", { textContent: text });
  banner.replaceChildren(...(text ? [icon("exclamation-triangle"), message, again] : []));
}

/**
 * A task of the filter, as the page knows it: the store may have a newer state of it.
 * @param {Task} task
 * @returns {KnownTask}
 */
function known(task) {
  return tasks.task(task.number) ?? { ...task, elsewhere: false };
}

/** @typedef {"unmatched" | "unfiltered" | "error" | "loading" | "empty" | "keyless"} BlankKind */

/**
 * Why the list of a filter is empty.
 * @param {Pick<FilteredTasks, "error" | "ready"> & { more?: boolean }} filtered
 * @returns {BlankKind}
 */
export function filteredBlankKind({ error, ready, more = false }) {
  if (error) return "unfiltered";
  return ready && !more ? "unmatched" : "loading";
}

/**
 * Why the list is empty.
 * @param {Pick<TaskStore, "error" | "ready"> & { list: readonly unknown[] }} store
 * @param {boolean} hasKey
 * @returns {BlankKind}
 */
export function blankKind({ list, error, ready }, hasKey) {
  if (list.length) return "unmatched";
  if (error) return "error";
  if (!ready) return "loading";
  return hasKey ? "empty" : "keyless";
}

/** @type {Record<BlankKind, () => Node[]>} */
const BLANKS = {
  loading: () => [spinner(), element("p", { textContent: t("common.loading") })],
  unfiltered: () => blank("exclamation-circle", t("tasks.blank.error"), t("tasks.blank.unfiltered_text")),
  unmatched: () => blank("search", t("tasks.blank.unmatched"), t("tasks.blank.unmatched_text")),
  error: () => {
    const again = button(t("common.again"), () => tasks.retry());
    return blank("exclamation-circle", t("tasks.blank.error"), tasks.error?.message ?? "", again);
  },
  empty: () => blank("video", t("tasks.blank.empty"), t("tasks.blank.empty_text"), templates("primary")),
  keyless: () => {
    const setKey = button(t("settings.set_key"), openSettings, { look: "primary" });
    return blank("key", t("tasks.blank.keyless"), t("tasks.blank.keyless_text"), setKey, templates(""));
  },
};

/**
 * @param {string} iconName
 * @param {string} title
 * @param {string} text
 * @param {...HTMLElement} buttons
 */
function blank(iconName, title, text, ...buttons) {
  const heading = element("h3", { textContent: title });
  return [icon(iconName), heading, element("p", { textContent: text }), ...buttons];
}

/** @param {"" | "primary"} look */
function templates(look) {
  return button(t("tasks.templates"), () => runCommand("Comfy.BrowseTemplates"), { look });
}
