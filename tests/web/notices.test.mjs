import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { until } from "./clock.mjs";
import { api, app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings } = await load("i18n.mjs");
await loadStrings();
const { Notices } = await load("notices.mjs");
const { showNotice } = await load("host.mjs");
const { readTask } = await load("task_requests.mjs");

/** An editor and a browser in which the user looks elsewhere, and what notices do there. */
class Desk {
  inFront = false;
  tasks = new Map();
  reads = 0;
  /** The notices that are visible, in the editor and in the browser. */
  toasts = [];
  notifications = [];
  /** Every toast that there ever was. */
  all = [];
  timers = [];
  opened = [];

  isInFront = () => this.inFront;
  readTask = async (number) => {
    this.reads += 1;
    return this.tasks.get(number);
  };
  showToast = (notice) => {
    this.all.push(notice);
    return this.#add(this.toasts, notice);
  };
  notify = (notice) => this.#add(this.notifications, notice);
  setTimer = (action, delay) => this.timers.push({ action, delay });
  openTask = ({ number }) => this.opened.push(number);
  openTasks = () => this.opened.push("list");

  #add(list, notice) {
    list.push(notice);
    return () => {
      if (list.includes(notice)) list.splice(list.indexOf(notice), 1);
    };
  }
}

let desk, notices;

beforeEach(() => {
  speak("en");
  desk = new Desk();
  notices = new Notices(desk, { minimumSeconds: 60 });
});

/** A task ends, as the server announces it. */
async function end(number, changes = {}, seconds = 75) {
  desk.tasks.set(number, task(number, changes));
  await notices.taskEnded({ number, seconds });
}

test("a long task has one toast and one notification, which name its prompt and open it", async () => {
  await end(1);
  assert.equal(desk.toasts.length, 1);
  assert.equal(desk.notifications.length, 1);
  const [{ kind, title, text, open }] = desk.toasts;
  assert.deepEqual([kind, title, text], ["success", "Pika: the result is ready", "Prompt 1"]);
  open();
  assert.deepEqual(desk.opened, [1]);
  assert.deepEqual([desk.toasts, desk.notifications], [[], []], "both are removed by a click on one");
});

test("a failed task, and one without a file, says so with its error and opens the list", async () => {
  await end(1, { state: "failed", error: "Moderation" });
  await end(2, { state: "finished", error: "HTTP 404" });
  const seen = desk.toasts.map(({ kind, title, text }) => [kind, title, text]);
  assert.deepEqual(seen, [
    ["error", "Pika: the task failed", "Prompt 1\nModeration"],
    ["error", "Pika: the task is finished, its file is not saved", "Prompt 2\nHTTP 404"],
  ]);
  desk.notifications[0].open();
  assert.deepEqual(desk.opened, ["list"]);
});

test("a short task has none, and a strange event neither", async () => {
  await end(1, {}, 59.9);
  for (const seconds of [NaN, -1, "x", null]) await end(1, {}, seconds);
  assert.equal(desk.reads, 0);
  await end(1, {}, 60);
  assert.equal(desk.toasts.length, 1);
});

test("while the page is in front it is quiet, also if it comes there during the request", async () => {
  desk.inFront = true;
  await end(1);
  assert.equal(desk.reads, 0);
  desk.inFront = false;
  desk.readTask = async () => {
    desk.inFront = true;
    return task(1);
  };
  await end(1);
  assert.deepEqual(desk.all, []);
});

test("one notice per task, also if two nodes wait for it or the event comes again", async () => {
  await Promise.all([end(1), end(1)]);
  await end(1);
  assert.equal(desk.all.length, 1);
});

test("a task that is no longer in the list has none", async () => {
  await notices.taskEnded({ number: 5, seconds: 100 });
  assert.deepEqual(desk.all, []);
});

test("many tasks share a notice", async () => {
  for (const number of [1, 2, 3]) await end(number);
  assert.equal(desk.toasts.length, 3);
  await end(4, { state: "failed" });
  for (let number = 5; number <= 100; number += 1) await end(number);
  assert.equal(desk.toasts.length, 1);
  assert.equal(desk.notifications.length, 1);
  const [{ kind, title, text, open }] = desk.toasts;
  assert.deepEqual([kind, title, text], ["error", "Pika: 100 tasks ended", "99 saved, 1 not"]);
  open();
  assert.deepEqual(desk.opened, ["list"]);
});

test("when the user is back, notifications go at once, and toasts after a while", async () => {
  await end(1);
  notices.pageChanged();
  assert.equal(desk.toasts.length, 1, "the page is not in front yet");
  desk.inFront = true;
  notices.pageChanged();
  notices.pageChanged();
  assert.deepEqual(desk.notifications, []);
  assert.equal(desk.toasts.length, 1);
  assert.deepEqual(desk.timers.map(({ delay }) => delay), [10_000]);
  desk.inFront = false;
  for (const number of [2, 3, 4]) await end(number);
  desk.timers[0].action();
  assert.deepEqual(desk.toasts.map(({ text }) => text), ["Prompt 2", "Prompt 3", "Prompt 4"], "the count began again");
});

test("long texts are cut, between characters", async () => {
  await end(1, { prompt: "🦊\n".repeat(400), state: "failed", error: "e".repeat(5000) });
  const [{ text }] = desk.toasts;
  const [prompt, error] = text.split("\n");
  assert.equal([...prompt].length, 100);
  assert.match(prompt, /^(🦊 )+.?…$/u);
  assert.equal(error.length, 200);
});

test("an older editor gets a toast that is removed with the same object, and a newer one an action", () => {
  const notice = { key: "1", kind: "error", title: "Title", text: "<b>Text</b>", label: "Show", open: () => desk.opened.push("x") };
  const added = [];
  const removed = [];
  app.extensionManager.toast = { add: (toast) => added.push(toast), remove: (toast) => removed.push(toast) };
  showNotice(notice)();
  assert.deepEqual(added, removed);
  const [{ severity, summary, detail, life }] = added;
  assert.deepEqual([severity, summary, detail, life], ["error", "Title", "<b>Text</b>\nShow", undefined]);
  const calls = [];
  const error = (...values) => (calls.push(values), 7);
  app.extensionManager.toast = { add() {}, error, dismiss: (id) => calls.push(id) };
  const remove = showNotice(notice);
  const [[title, { description, action }]] = calls;
  assert.deepEqual([title, description, action.label], ["Title", "<b>Text</b>", "Show"]);
  action.onClick();
  remove();
  assert.deepEqual([desk.opened, calls[1]], [["x"], 7]);
  app.extensionManager.toast = undefined;
  showNotice(notice)();
});

test("a task is read by its number, and is not another one", async () => {
  const requests = await withAnswer(
    () => json({ tasks: [task(6)], cursor: 0, more: true }),
    async () => {
      assert.equal((await readTask(6)).number, 6);
      assert.equal(await readTask(7), undefined);
    },
  );
  assert.deepEqual(requests.map(({ path }) => path), ["/pika/tasks?limit=1&before=7", "/pika/tasks?limit=1&before=8"]);
});

test("the server's event reaches the notices, and an error in them reaches nobody", async () => {
  globalThis.addEventListener ??= () => {};
  document.visibilityState = "hidden";
  document.hasFocus = () => false;
  const { notices: own } = await load("notices.js");
  app.extensions["pika.notices"].setup();
  const toasts = [];
  app.extensionManager.toast = { add: (toast) => toasts.push(toast), remove() {} };
  assert.equal(own.minimumSeconds, 60);
  const announce = (detail) => api.dispatchEvent(new CustomEvent("pika.task_ended", { detail }));
  await withAnswer(
    (path) => (path.endsWith("before=4") ? json({ tasks: [task(3)], cursor: 0, more: false }) : json({}, 500)),
    async () => {
      announce({ number: 3, seconds: 90 });
      announce({ number: 8, seconds: 90 });
      announce(null);
      await until(() => toasts.length && api.requests.length === 2);
    },
  );
  assert.deepEqual(toasts.map(({ detail }) => detail), ["Prompt 3\nOpen it"]);
});
