import assert from "node:assert/strict";
import { test } from "node:test";

import { buttonOf } from "./page.mjs";
import { settled, until } from "./clock.mjs";
import { app, json, load, settings, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { bannerText, blankKind, countText, fillSidebar, withSearch } = await load("sidebar.mjs");
const { saveSettings } = await load("settings_store.mjs");
const { tasks } = await load("task_store.mjs");
const { statusText } = await load("choose_task.mjs");
await load("tasks.js");

const error = new Error("ComfyUI does not answer.");
const store = (changes = {}) => ({ list: [], error: null, gatewayError: null, ready: true, ...changes });

test("the count has the number of matches and of all tasks", () => {
  assert.equal(countText(0, 0), "");
  assert.equal(countText(2000, 2000), "2000");
  assert.equal(countText(0, 2000), t("tasks.found", { found: 0, all: 2000 }));
});

test("each reason for an empty list has a message of its own", () => {
  assert.equal(blankKind(store(), true), "empty");
  assert.equal(blankKind(store(), false), "keyless");
  assert.equal(blankKind(store({ ready: false }), true), "loading");
  assert.equal(blankKind(store({ ready: false, error }), true), "error");
  assert.equal(blankKind(store({ list: [task(1)], error }), false), "unmatched");
});

test("the banner says that the list is not up to date, rather than that the gateway cannot be asked", () => {
  const gatewayError = new Error("The gateway refuses the key.");
  const list = [task(1)];
  assert.equal(bannerText(store({ list })), "");
  assert.equal(bannerText(store({ list, error, gatewayError })), t("tasks.stale", { reason: error.message }));
  assert.equal(bannerText(store({ list, gatewayError })), t("tasks.not_asked", { reason: gatewayError.message }));
  // Without tasks, the error stands in the place of the list.
  assert.equal(bannerText(store({ error })), "");
});

test("the dialog for choosing a task says below its rows why there are no more", () => {
  assert.equal(statusText(store(), 5, 5), "");
  assert.equal(statusText(store({ error }), 5, 5), t("tasks.stale", { reason: error.message }));
  assert.equal(statusText(store({ ready: false }), 0, 0), t("common.loading"));
  assert.equal(statusText(store(), 0, 0), t("tasks.blank.empty_text"));
  assert.equal(statusText(store(), 5, 0), t("tasks.blank.unmatched"));
  assert.equal(statusText(store(), 900, 200), "");
  assert.equal(statusText(store(), 900, 201), t("choose.more", { shown: 200, found: 201 }));
});

test("the commands and the menu lead to the tasks and the settings", async () => {
  const { commands, menuCommands } = app.extensions["pika.tasks"];
  assert.deepEqual(commands.map(({ id }) => id), menuCommands[0].commands);
  for (const { label } of commands) assert.doesNotMatch(label, /^commands\./);
  const executed = [];
  app.extensionManager.command = { execute: (command) => executed.push(command) };
  app.extensionManager.sidebarTab = { activeSidebarTabId: "queue" };
  await commands[0].function();
  assert.deepEqual(executed, ["Workspace.ToggleSidebarTab.pika"]);
  // The command would close a tab that is open.
  app.extensionManager.sidebarTab.activeSidebarTabId = "pika";
  await commands[0].function();
  assert.equal(executed.length, 1);
});

test("the tab is registered, and an editor without tabs causes no error", () => {
  let tab;
  app.extensionManager.registerSidebarTab = (registered) => (tab = registered);
  app.extensions["pika.tasks"].setup();
  assert.equal(tab.id, "pika");
  assert.equal(tab.type, "custom");
  app.extensionManager.registerSidebarTab = undefined;
  app.extensions["pika.tasks"].setup();
});

const KEYLESS = settings({ api_key: { set: false, hint: "", source: "none" } });

/** Opens the sidebar with a server, and runs an action there. */
async function withSidebar(server, action) {
  const container = document.createElement("div");
  await withAnswer(server, async () => {
    const close = fillSidebar(container);
    try {
      await action(container);
    } finally {
      close();
    }
  });
  assert.deepEqual(container.children, []);
}

/** The element below another one that has this class. */
const byClass = (root, name) => root.all.find(({ classList }) => classList.contains(name));

test("the sidebar is loading until the first answer; an error takes the place of the list", async () => {
  let answer;
  const server = (path) => {
    if (path.includes("/settings")) return json(settings());
    return new Promise((resolve) => (answer = resolve));
  };
  await withSidebar(server, async (container) => {
    const blank = byClass(container, "pika-blank");
    assert.equal(blank.hidden, false);
    assert.equal(blank.textContent, t("common.loading"));
    assert.equal(byClass(container, "pika-scroll").hidden, true);
    assert.equal(byClass(container, "pika-tools").hidden, true);
    await until(() => answer, "the request");
    answer(json({ error: "The journal cannot be opened." }, 503));
    await until(() => blank.textContent.includes("The journal cannot be opened."), "the error");
    buttonOf(blank, t("common.again"));
  });
});

test("without a key the empty sidebar leads to the settings; once a key is set, only to the templates", async () => {
  let known = KEYLESS;
  const server = (path) => json(path.includes("/settings") ? known : { tasks: [], cursor: 0, more: false });
  await withSidebar(server, async (container) => {
    await until(() => container.textContent.includes(t("tasks.blank.keyless")), "the welcome");
    buttonOf(container, t("settings.set_key"));
    known = settings();
    await saveSettings({ api_key: "a-key" });
    assert.ok(container.textContent.includes(t("tasks.blank.empty")));
    assert.ok(!container.textContent.includes(t("tasks.blank.keyless")));
    buttonOf(container, t("tasks.templates"));
  });
});

test("the sidebar lists the matches of the search, and says so where there are none", async () => {
  const tasks = [task(2, { prompt: "A quince" }), task(1, { prompt: "A pear" })];
  const server = (path) => json(path.includes("/settings") ? settings() : { tasks, cursor: 0, more: false });
  await withSidebar(server, async (container) => {
    const search = container.querySelector("input");
    const prompts = () => container.all.filter(({ className }) => className === "prompt").map(({ textContent }) => textContent);
    await until(() => prompts().length, "the tasks");
    assert.deepEqual(prompts(), ["A quince", "A pear"]);
    assert.equal(byClass(container, "pika-blank").hidden, true);
    assert.equal(byClass(container, "pika-scroll").hidden, false);
    assert.equal(byClass(container, "pika-tools").hidden, false);
    search.value = "pear";
    search.oninput();
    assert.deepEqual(prompts(), ["A pear"]);
    assert.ok(container.textContent.includes(t("tasks.found", { found: 1, all: 2 })));
    search.value = "plum";
    search.oninput();
    assert.deepEqual(prompts(), []);
    assert.ok(container.textContent.includes(t("tasks.blank.unmatched")));
    assert.equal(byClass(container, "pika-scroll").hidden, true);
    assert.equal(byClass(container, "pika-tools").hidden, false);
    search.value = "";
    search.oninput();
    let isPrevented = false;
    search.onkeydown({ key: "ArrowDown", preventDefault: () => (isPrevented = true) });
    assert.ok(isPrevented);
    assert.equal(document.activeElement.dataset.number, "2");
    search.onkeydown({ key: "ArrowUp", preventDefault: () => assert.fail("a key of the field") });
    await settled();
  });
});

test("the banner with its button is not built again while its text stays", async () => {
  let answer = () => json({ tasks: [task(1)], cursor: 0, more: false });
  const server = (path) => (path.includes("/settings") ? json(settings()) : answer());
  await withSidebar(server, async (container) => {
    const banner = byClass(container, "pika-banner");
    await until(() => tasks.list.length, "the task");
    assert.equal(banner.textContent, "");
    answer = () => json({ error: "The journal cannot be opened." }, 503);
    tasks.retry();
    await until(() => banner.textContent.includes("The journal cannot be opened."), "the error");
    const again = buttonOf(banner, t("common.again"));
    let polls = 0;
    const stop = tasks.watch(() => (polls += 1));
    again.click();
    await until(() => polls, "the next poll");
    stop();
    assert.equal(buttonOf(banner, t("common.again")), again);
    answer = () => json({ tasks: [], cursor: 0, more: false });
    again.click();
    await until(() => banner.textContent === "", "the end of the error");
  });
});

test("a journal that is not known to its end says so in the count, and the server counts up to a limit", () => {
  assert.equal(countText(2000, 2000, false), "2000+");
  assert.match(countText(3, 2000, false), /3.*2000\+/);
  assert.match(countText(10_000, 20_000), /10000\+.*20000/);
});

test("a search is a part of the query of the filter", () => {
  assert.equal(withSearch("", "a & b"), "search=a+%26+b");
  assert.equal(withSearch("state=saved", "x"), "state=saved&search=x");
});
