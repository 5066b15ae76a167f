// The filters of the list, the sums, the export, and the line that offers limits.

import assert from "node:assert/strict";
import { test } from "node:test";

import { app, load, settings, task, withAnswer, json } from "./host.mjs";
import "./page.mjs";

const { queryOf, NO_FILTER, STATE_CHOICES } = await load("task_filter.mjs");
const { FilteredTasks } = await load("filtered_tasks.mjs");
const { TotalsView, totalTexts } = await load("totals.mjs");
const { STATES } = await load("task_states.mjs");
const { loadStrings } = await load("i18n.mjs");
await loadStrings();

/** A host with timers that the test fires. */
function manual() {
  const timers = [];
  return {
    time: 0,
    timers,
    hidden: false,
    now() {
      return this.time;
    },
    setTimer(action, delay) {
      const timer = { action, due: this.time + delay };
      timers.push(timer);
      return timer;
    },
    clearTimer(timer) {
      const index = timers.indexOf(timer);
      if (index > -1) timers.splice(index, 1);
    },
    isHidden() {
      return this.hidden;
    },
    /** Lets time pass. */
    async pass(milliseconds) {
      this.time += milliseconds;
      for (const timer of timers.filter(({ due }) => due <= this.time)) {
        this.clearTimer(timer);
        timer.action();
      }
      await new Promise(setImmediate);
    },
  };
}

test("a filter asks for states and for days of the browser; without one nothing is asked", () => {
  const now = new Date(2026, 10, 28, 10, 30);
  const seconds = (...day) => String(new Date(...day).getTime() / 1000);
  const query = (changes) => Object.fromEntries(new URLSearchParams(queryOf({ ...NO_FILTER, ...changes }, now)));
  assert.equal(queryOf(NO_FILTER, now), "");
  assert.deepEqual(query({ states: "done" }), { state: "finished,saved" });
  assert.deepEqual(query({ period: "today" }), { from: seconds(2026, 10, 28) });
  assert.deepEqual(query({ period: "week" }), { from: seconds(2026, 10, 22) });
  assert.deepEqual(query({ period: "month" }), { from: seconds(2026, 10, 1) });
  const days = { from: "2026-11-01", to: "2026-11-30" };
  assert.deepEqual(query(days), {}, "days count for their own period only");
  const custom = { period: "custom", ...days };
  assert.deepEqual(query(custom), { from: seconds(2026, 10, 1), to: seconds(2026, 11, 1) });
  for (const from of ["", "0001-01-01", "1969-01-01", "9999-01-01"]) {
    assert.deepEqual(query({ period: "custom", from }), {});
  }
});

test("the choices of states have every state once", () => {
  assert.deepEqual(Object.values(STATE_CHOICES).flat().sort(), [...STATES].sort());
});

test("the list of a filter is read in parts, and its beginning again after a change", async () => {
  const host = manual();
  const all = [9, 8, 7, 5, 4, 2];
  const calls = [];
  const read = async (query, limit, before = Infinity) => {
    calls.push([query, limit, before]);
    const numbers = all.filter((number) => number < before);
    const page = { tasks: numbers.slice(0, limit).map((number) => task(number)), more: numbers.length > limit };
    return before === Infinity ? { ...page, count: all.length } : page;
  };
  let changes = 0;
  const list = new FilteredTasks(host, read, () => (changes += 1), 2);
  const numbers = () => list.list.map(({ number }) => number);
  list.changed();
  assert.deepEqual([list.isOn, host.timers], [false, []]);
  list.set("state=saved");
  await host.pass(0);
  assert.deepEqual([numbers(), list.count, list.ready], [[9, 8], 6, true]);
  await Promise.all([list.readMore(), list.readMore()]);
  assert.deepEqual(calls.slice(1), [["state=saved", 2, 8]], "one request at a time");
  assert.deepEqual(numbers(), [9, 8, 7, 5]);
  all.splice(1, 1); // 8 has another state now
  all.unshift(10);
  list.changed();
  list.changed();
  await host.pass(1999);
  assert.equal(calls.length, 2, "not more often than every two seconds");
  await host.pass(1);
  assert.deepEqual(calls.slice(2), [["state=saved", 4, Infinity]]);
  assert.deepEqual(numbers(), [10, 9, 7, 5]);
  await list.readMore();
  await list.readMore();
  assert.deepEqual(numbers(), [10, 9, 7, 5, 4, 2]);
  assert.equal(calls.length, 4, "there is no more");
  list.set("");
  assert.deepEqual([numbers(), list.isOn], [[], false]);
  assert.ok(changes > 4);
});

test("a search goes on where the server stopped, also after a page with nothing", async () => {
  const host = manual();
  const pages = [
    { tasks: [task(90)], more: true, before: 80 },
    { tasks: [], more: true, before: 40 },
    { tasks: [task(7)], more: false, before: null },
  ];
  const asked = [];
  const read = async (query, limit, before) => {
    asked.push(before);
    return pages[asked.length - 1];
  };
  const list = new FilteredTasks(host, read, () => {});
  list.set("search=lighthouse");
  await host.pass(0);
  assert.deepEqual([list.more, list.count], [true, 1]);
  await list.readMore();
  await list.readMore();
  assert.deepEqual(asked, [undefined, 80, 40]);
  assert.deepEqual([list.list.map(({ number }) => number), list.more, list.count], [[90, 7], false, 2]);
  await list.readMore();
  assert.equal(asked.length, 3);
});

test("an answer to an earlier filter is not shown, and an error is told and gone with the next answer", async () => {
  const host = manual();
  const answers = [];
  const read = () => new Promise((resolve, reject) => answers.push({ resolve, reject }));
  const list = new FilteredTasks(host, read, () => {});
  list.set("state=saved");
  list.set("state=failed");
  answers[0].resolve({ tasks: [task(1)], more: false, count: 1 });
  await host.pass(0);
  assert.deepEqual([list.list, list.ready], [[], false]);
  answers[1].reject(new Error("no"));
  await host.pass(0);
  assert.equal(list.error.message, "no");
  list.changed();
  await host.pass(2000);
  answers[2].resolve({ tasks: [task(3)], more: false, count: 1 });
  await host.pass(0);
  assert.deepEqual([list.error, list.list[0].number], [null, 3]);
});

test("a sum has the number of tasks, their cost, and what is not in it", () => {
  const texts = (totals, currency = "") =>
    totalTexts({ count: 0, amount: 0, unpriced: 0, elsewhere: 0, ...totals }, currency);
  assert.equal(texts({}).text, "0 tasks");
  assert.equal(texts({ count: 1, amount: 0.25 }).text, "1 task · 0.25");
  assert.equal(texts({ count: 1, amount: 0.25 }).note, "");
  const some = texts({ count: 4, amount: 0.5, unpriced: 1, elsewhere: 1 }, "CNY");
  assert.deepEqual([some.text, some.note], ["4 tasks · 0.50\u00a0CNY", "2 not in the sum"]);
  assert.match(some.details, /Without a known price: 1/);
  assert.match(some.details, /another gateway.*: 1/);
  const none = texts({ count: 3, unpriced: 3 });
  assert.deepEqual([none.text, none.note], ["3 tasks", "Price unknown"]);
  assert.equal(texts({ count: 2, amount: 0 }).text, "2 tasks · 0.00", "a price of zero is known");
});

test("the sums are read after a change and once a minute, but not too often and not while hidden", async () => {
  const host = manual();
  let reads = 0;
  const sum = { count: 1, amount: 0.25, unpriced: 0, elsewhere: 0 };
  const view = new TotalsView(host, async () => {
    reads += 1;
    return { today: sum, month: sum, currency: "" };
  });
  view.changed();
  await host.pass(0);
  assert.deepEqual([reads, view.root.hidden], [0, true], "the list of tasks is read first");
  await host.pass(400);
  assert.deepEqual([reads, view.root.hidden], [1, false]);
  assert.match(view.root.textContent, /Today1 task · 0.25This month1 task · 0.25/);
  for (let change = 0; change < 9; change += 1) view.changed();
  await host.pass(2999);
  assert.equal(reads, 1);
  await host.pass(1);
  assert.equal(reads, 2);
  await host.pass(60_000);
  assert.equal(reads, 3);
  host.hidden = true;
  await host.pass(60_000);
  assert.equal(reads, 3);
  view.close();
  view.changed();
  assert.deepEqual(host.timers, []);
});

test("the file of the export has the filters, and an error of the server is one of the export", async () => {
  const { exportTasks } = await load("task_requests.mjs");
  const saved = [];
  const { createObjectURL, revokeObjectURL } = URL;
  const create = document.createElement;
  URL.createObjectURL = (blob) => `blob:${blob.size}`;
  document.createElement = (tag) =>
    tag === "a" ? { click() { saved.push([this.href, this.download]); } } : create.call(document, tag); // prettier-ignore
  const { setTimeout: later } = globalThis;
  globalThis.setTimeout = (action, delay) => (delay > 10_000 ? undefined : later(action, delay));
  try {
    const answer = () => ({ ok: true, status: 200, headers: new Headers(), blob: async () => new Blob(["abc"]) });
    const requests = await withAnswer(answer, () => exportTasks("state=saved"));
    assert.match(JSON.stringify(requests), /ledger\.csv\?state=saved/);
    assert.equal(saved[0][0], "blob:3");
    assert.match(saved[0][1], /^pika-tasks-\d{4}-\d\d-\d\d\.csv$/);
    await withAnswer(
      () => json({ error: "The journal is broken." }, 503),
      () => assert.rejects(exportTasks(""), /The journal is broken/),
    );
    assert.equal(saved.length, 1);
  } finally {
    globalThis.setTimeout = later;
    document.createElement = create;
    Object.assign(URL, { createObjectURL, revokeObjectURL });
  }
});

test("limits are offered at the first visit only, and not to those who have one", async () => {
  const { withOffer, OFFERED, hasLimit } = await load("limits_offer.mjs");
  const limited = (name) => settings({ [name]: { value: 2, default: 0, source: "file", min: 0, max: 9 } });
  assert.equal(hasLimit(settings()), false);
  for (const name of ["daily_limit", "run_limit", "daily_cost_limit", "min_balance"]) {
    assert.equal(hasLimit(limited(name)), true);
  }
  const stored = new Map();
  app.extensionManager.setting.set = (id, value) => stored.set(id, value);
  const { get } = app.extensionManager.setting;
  app.extensionManager.setting.get = (id) => stored.get(id) ?? get(id);
  let current = limited("run_limit");
  const { loadSettings } = await load("settings_store.mjs");
  const visit = async () => {
    const root = withOffer(document.createElement("div"));
    document.body.append(root);
    await loadSettings();
    return root.children[0];
  };
  await withAnswer(
    () => json(current),
    async () => {
      assert.equal((await visit()).hidden, true);
      assert.equal(stored.size, 0, "it was not shown");
      current = settings();
      const line = await visit();
      assert.equal(line.hidden, false);
      assert.equal(stored.get(OFFERED), true);
      assert.equal((await visit()).hidden, false, "the page may build its controls again");
      line.children.at(-1).onclick();
      assert.equal((await visit()).hidden, true);
    },
  );
});
