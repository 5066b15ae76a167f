// The sidebar's page of tasks.

import { button, element, icon, iconButton, spinner } from "./dom.mjs";
import { openSettings, run } from "./host.mjs";
import { t } from "./i18n.mjs";
import { loadSettings } from "./settings_store.mjs";
import { actions } from "./task_actions.mjs";
import { TaskList } from "./task_list.mjs";
import { tasks } from "./task_store.mjs";
import { matching } from "./task_words.mjs";

const AGES_EVERY = 20_000;

// Builds the page into `place`. Returns what ends it.
export function fillSidebar(place) {
  const list = new TaskList(actions);
  const search = element("input", {
    type: "search",
    className: "pika-input",
    placeholder: t("tasks.search"),
    ariaLabel: t("tasks.search"),
  });
  const count = element("span", { className: "pika-count", ariaLive: "polite" });
  const title = element("span", { className: "pika-title", textContent: t("tasks.title") });
  const gear = iconButton("cog", t("settings.open"), openSettings);
  const header = element("header", {}, title, count, gear);
  const banner = element("div", { className: "pika-banner", role: "status" });
  const blank = element("div", { className: "pika-blank" });
  const tools = element("div", { className: "pika-tools" }, search);
  const page = element("section", { className: "pika-ui pika-sidebar", ariaLabel: t("tasks.title") });
  page.append(header, tools, banner, list.root, blank);
  place.replaceChildren(page);

  let hasKey = true;
  let said = "";

  function show() {
    const found = matching(tasks.list, search.value);
    list.show(found);
    list.root.hidden = !found.length;
    tools.hidden = !tasks.list.length;
    count.textContent = counted(found.length, tasks.list.length);
    showBanner(banner);
    // Built again only where it says something else: a button in it may have the focus.
    const next = found.length ? "" : blankKind(hasKey);
    if (next !== said) blank.replaceChildren(...BLANKS[next]());
    said = next;
    blank.hidden = !next;
  }

  search.oninput = () => {
    list.toTop();
    show();
  };
  search.onkeydown = (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    list.focus();
  };
  const stop = tasks.watch(show);
  const ages = setInterval(() => list.age(), AGES_EVERY);
  show();
  loadSettings().then(
    (settings) => {
      hasKey = settings.api_key.set;
      show();
    },
    () => {}, // where the settings cannot be read, the tasks cannot either: the banner says so
  );
  return () => {
    stop();
    clearInterval(ages);
    page.remove();
  };
}

function counted(found, all) {
  if (!all) return "";
  return found === all ? String(all) : t("tasks.found", { found, all });
}

function showBanner(banner) {
  const { error, gatewayError, list } = tasks;
  const text = error && list.length ? t("tasks.stale", { reason: error.message }) : "";
  const told = text || (gatewayError ? t("tasks.not_asked", { reason: gatewayError.message }) : "");
  if (banner.dataset.told === told) return;
  banner.dataset.told = told;
  const again = button(t("common.again"), () => tasks.retry());
  banner.replaceChildren(...(told ? [icon("exclamation-triangle"), element("span", { textContent: told }), again] : []));
}

function blankKind(hasKey) {
  if (tasks.list.length) return "unmatched";
  if (tasks.error) return "error";
  if (!tasks.ready) return "loading";
  return hasKey ? "empty" : "keyless";
}

function blank(iconName, title, text, ...buttons) {
  return [
    icon(iconName),
    element("h3", { textContent: title }),
    element("p", { textContent: text }),
    ...buttons,
  ];
}

const BLANKS = {
  "": () => [],
  loading: () => [spinner(), element("p", { textContent: t("common.loading") })],
  unmatched: () => blank("search", t("tasks.blank.unmatched"), t("tasks.blank.unmatched_text")),
  error: () =>
    blank(
      "exclamation-circle",
      t("tasks.blank.error"),
      tasks.error.message,
      button(t("common.again"), () => tasks.retry()),
    ),
  empty: () => blank("video", t("tasks.blank.empty"), t("tasks.blank.empty_text"), templates("primary")),
  keyless: () =>
    blank(
      "key",
      t("tasks.blank.keyless"),
      t("tasks.blank.keyless_text"),
      button(t("settings.set_key"), openSettings, { look: "primary" }),
      templates(""),
    ),
};

function templates(look) {
  return button(t("tasks.templates"), () => run("Comfy.BrowseTemplates"), { look });
}
