import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeHost, settled } from "./clock.mjs";
import { load, task } from "./host.mjs";

const { TaskStore } = await load("task_store.mjs");

const INTERVAL = 10_000;
const INTERVAL_UNDER_WAY = 1500;

/** A server with a journal, which notes what it is asked. */
class Server {
  journal = new Map();
  changed = new Map();
  pageSize = 500;
  moment = 0;
  calls = [];
  asked = true;
  down = null;
  gatewayDown = null;

  set(...tasks) {
    for (const entry of tasks) {
      this.moment += 1;
      this.journal.set(entry.number, entry);
      this.changed.set(entry.number, this.moment);
    }
  }

  readPage = async (before = Infinity) => {
    this.#note(`page ${before}`);
    return this.#page(this.#entries().filter((entry) => entry.number < before && !entry.forgotten));
  };

  readChanges = async (cursor) => {
    this.#note(`changes ${cursor}`);
    return this.#page(this.#entries().filter((entry) => this.changed.get(entry.number) > cursor));
  };

  refresh = async (number) => {
    this.#note(`refresh ${number}`);
    if (this.gatewayDown) throw this.gatewayDown;
    return { task: this.journal.get(number), asked: this.asked };
  };

  act = async (number, action) => {
    this.#note(`${action} ${number}`);
    const changes = action === "forget" ? { forgotten: true } : { state: "saved" };
    this.set({ ...this.journal.get(number), ...changes });
    return { task: this.journal.get(number) };
  };

  #note(call) {
    this.calls.push(call);
    if (this.down) throw this.down;
  }

  #entries() {
    return [...this.journal.values()].sort((one, other) => other.number - one.number);
  }

  #page(entries) {
    const tasks = entries.slice(0, this.pageSize);
    const more = entries.length > tasks.length;
    const cursor = more ? Math.max(0, ...tasks.map(({ number }) => this.changed.get(number))) : this.moment;
    return { tasks, cursor, more };
  }
}

function set(...tasks) {
  const host = new FakeHost();
  const server = new Server();
  server.set(...tasks);
  const store = new TaskStore(host, server);
  return { host, server, store };
}

const numbers = (store) => store.list.map(({ number }) => number);

test("without a watcher nothing is asked", async () => {
  const { host, server, store } = set(task(1));
  await host.pass(60_000);
  assert.deepEqual(server.calls, []);
  assert.equal(store.ready, false);
});

test("all tasks are read first, then only what changed", async () => {
  const { host, server, store } = set(task(1), task(2));
  let changes = 0;
  store.watch(() => (changes += 1));
  await host.pass(0);
  assert.deepEqual(numbers(store), [2, 1]);
  assert.equal(store.ready, true);
  assert.ok(changes > 0);
  server.set(task(3), task(1, { state: "failed", error: "Moderation" }));
  await host.pass(INTERVAL);
  assert.deepEqual(server.calls, ["page Infinity", "changes 2"]);
  assert.deepEqual(numbers(store), [3, 2, 1]);
  assert.equal(store.task(1).error, "Moderation");
});

test("older pages follow until all tasks are known, and the first page is there before", async () => {
  const { host, server, store } = set(...[1, 2, 3, 4, 5].map((number) => task(number)));
  server.pageSize = 2;
  const seen = [];
  store.watch(() => seen.push(numbers(store).length));
  await host.pass(0);
  assert.deepEqual(server.calls, ["page Infinity", "page 4", "page 2"]);
  assert.deepEqual(numbers(store), [5, 4, 3, 2, 1]);
  assert.equal(seen[0], 2);
});

test("of a long journal the newest pages are read, what is under way, and more where it is scrolled to", async () => {
  const all = Array.from({ length: 12 }, (_, index) => task(index + 1));
  all[0] = task(1, { state: "running" });
  const { host, server, store } = set(...all);
  server.pageSize = 2;
  server.readFiltered = async (query) => {
    server.calls.push(query);
    return { tasks: [server.journal.get(1)], cursor: 0, more: false };
  };
  store.watch(() => {});
  await host.pass(0);
  const underWay = "state=intended,sent,submitted,running";
  assert.deepEqual(server.calls.slice(0, 5), ["page Infinity", "page 11", "page 9", "page 7", underWay]);
  const shown = () => store.shown.map(({ number }) => number);
  assert.deepEqual(shown(), [12, 11, 10, 9, 8, 7, 6, 5]);
  assert.deepEqual([store.complete, store.task(1).state], [false, "running"]);
  server.set(task(2, { error: "an older one changes" }), task(13));
  await host.pass(INTERVAL_UNDER_WAY);
  assert.deepEqual(shown(), [13, 12, 11, 10, 9, 8, 7, 6, 5], "there is no gap in what is shown");
  await Promise.all([store.readOlder(), store.readOlder()]);
  assert.deepEqual(shown(), [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
  server.down = new Error("down");
  await store.readOlder();
  assert.equal(store.error, server.down);
  server.down = null;
  await store.readOlder();
  assert.deepEqual([shown().at(-1), store.complete], [1, true]);
  const { length } = server.calls;
  await store.readOlder();
  assert.equal(server.calls.length, length);
});

test("a change while older pages are read is not missed", async () => {
  const { host, server, store } = set(...[1, 2, 3, 4].map((number) => task(number)));
  server.pageSize = 2;
  const { readPage } = server;
  server.readPage = async (before) => {
    const page = await readPage(before);
    if (before === undefined) server.set(task(4, { state: "failed" }), task(5));
    return page;
  };
  store.watch(() => {});
  await host.pass(INTERVAL);
  assert.equal(store.task(4).state, "failed");
  assert.deepEqual(numbers(store), [5, 4, 3, 2, 1]);
});

test("reading ends when the last watcher leaves, and begins again with the next one", async () => {
  const { host, server, store } = set(...[1, 2, 3, 4].map((number) => task(number)));
  server.pageSize = 1;
  const stop = store.watch(() => {
    if (store.list.length === 1) stop();
  });
  await host.pass(60_000);
  assert.deepEqual(server.calls, ["page Infinity"]);
  store.watch(() => {});
  await host.pass(0);
  assert.deepEqual(numbers(store), [4, 3, 2, 1]);
});

test("many changes come in several answers", async () => {
  const { host, server, store } = set(task(1));
  store.watch(() => {});
  await host.pass(0);
  const { readChanges } = server;
  server.readChanges = async (cursor) => {
    await readChanges(cursor);
    if (cursor === 1) return { tasks: [task(2)], cursor: 50, more: true };
    return { tasks: [task(3)], cursor: 60, more: false };
  };
  await host.pass(INTERVAL);
  assert.deepEqual(server.calls.slice(1), ["changes 1", "changes 50"]);
  assert.deepEqual(numbers(store), [3, 2, 1]);
});

test("the store polls every 1.5 seconds while a task is under way, otherwise every 10", async () => {
  const { host, server, store } = set(task(1, { state: "sent" }));
  store.watch(() => {});
  await host.pass(2 * INTERVAL_UNDER_WAY);
  assert.equal(server.calls.length, 3);
  server.set(task(1, { state: "saved" }));
  await host.pass(INTERVAL_UNDER_WAY);
  assert.equal(server.calls.length, 4);
  await host.pass(INTERVAL - 1);
  assert.equal(server.calls.length, 4);
  await host.pass(1);
  assert.equal(server.calls.length, 5);
});

test("an error is kept until a poll succeeds, and the tasks stay", async () => {
  const { host, server, store } = set(task(1));
  store.watch(() => {});
  await host.pass(0);
  server.down = new Error("ComfyUI does not answer.");
  await host.pass(INTERVAL);
  assert.equal(store.error, server.down);
  assert.deepEqual(numbers(store), [1]);
  server.down = null;
  store.retry();
  await host.pass(0);
  assert.equal(store.error, null);
});

test("after an error the store waits 10 seconds, even with a task under way", async () => {
  const { host, server, store } = set(task(1, { state: "sent" }));
  store.watch(() => {});
  await host.pass(0);
  server.down = new Error("down");
  await host.pass(INTERVAL_UNDER_WAY);
  const { length } = server.calls;
  await host.pass(INTERVAL - 1);
  assert.equal(server.calls.length, length);
});

test("before the first answer the store is not ready; an error does not change that", async () => {
  const { host, server, store } = set();
  server.down = new Error("down");
  store.watch(() => {});
  await host.pass(0);
  assert.equal(store.ready, false);
  assert.equal(store.error, server.down);
  server.down = null;
  await host.pass(INTERVAL);
  assert.equal(store.ready, true);
  assert.deepEqual(store.list, []);
});

test("the gateway is asked for a task that has not changed for ten seconds", async () => {
  const { host, server, store } = set(task(1, { state: "running" }));
  store.watch(() => {});
  await host.pass(9000);
  const refreshes = () => server.calls.filter((call) => call.startsWith("refresh"));
  assert.deepEqual(refreshes(), []);
  server.journal.set(1, task(1, { state: "finished" }));
  await host.pass(2 * INTERVAL_UNDER_WAY);
  assert.deepEqual(refreshes(), ["refresh 1"]);
  assert.equal(store.task(1).state, "finished");
});

test("a change in the journal makes asking the gateway unnecessary", async () => {
  const { host, server, store } = set(task(1, { state: "running" }));
  store.watch(() => {});
  for (let progress = 10; progress <= 90; progress += 10) {
    server.set(task(1, { state: "running", progress }));
    await host.pass(5000);
  }
  assert.deepEqual(server.calls.filter((call) => call.startsWith("refresh")), []);
});

test("gatewayError has the reason until the gateway answers", async () => {
  const { host, server, store } = set(task(1, { state: "running" }));
  server.gatewayDown = new Error("The gateway refuses the key.");
  store.watch(() => {});
  await host.pass(12_000);
  assert.equal(store.gatewayError, server.gatewayDown);
  assert.equal(store.error, null);
  server.gatewayDown = null;
  await host.pass(25_000);
  assert.equal(store.gatewayError, null);
});

test("a task of another gateway does not clear this gateway's error", async () => {
  const { host, server, store } = set(task(1, { state: "running" }), task(2, { state: "running" }));
  const down = new Error("down");
  server.refresh = async (number) => {
    if (number === 1) throw down;
    return { task: server.journal.get(number), asked: false };
  };
  store.watch(() => {});
  await host.pass(12_000);
  assert.equal(store.gatewayError, down);
  assert.equal(store.task(2).elsewhere, true);
  assert.equal(store.task(1).elsewhere, false);
});

test("gatewayError is cleared when no task is at the gateway any more", async () => {
  const { host, server, store } = set(task(1, { state: "running" }));
  server.gatewayDown = new Error("down");
  store.watch(() => {});
  await host.pass(12_000);
  assert.notEqual(store.gatewayError, null);
  server.set(task(1, { state: "failed" }));
  await host.pass(INTERVAL_UNDER_WAY);
  assert.equal(store.gatewayError, null);
});

test("after a change of the settings the gateway is asked again within 13 seconds", async () => {
  const { host, server, store } = set(task(1, { state: "running" }));
  store.watch(() => {});
  await host.pass(130_000);
  const asked = () => server.calls.filter((call) => call.startsWith("refresh")).length;
  const before = asked();
  store.refreshSoon();
  await host.pass(13_000);
  assert.equal(asked(), before + 1);
});

test("an action's result is in the list at once", async () => {
  const { host, store } = set(task(1), task(2, { state: "finished" }));
  let changes = 0;
  store.watch(() => (changes += 1));
  await host.pass(0);
  const before = changes;
  assert.equal((await store.act(2, "collect")).state, "saved");
  assert.equal(store.task(2).state, "saved");
  await store.act(1, "forget");
  assert.deepEqual(numbers(store), [2]);
  assert.equal(changes, before + 2);
});

test("an action that fails changes nothing and is rejected", async () => {
  const { host, server, store } = set(task(1));
  store.watch(() => {});
  await host.pass(0);
  server.down = new Error("Task #1 is being sent at this moment.");
  await assert.rejects(store.act(1, "forget"), server.down);
  assert.deepEqual(numbers(store), [1]);
});

test("an event of a run is followed by a poll", async () => {
  const { host, server, store } = set();
  store.watch(() => {});
  await host.pass(1000);
  server.set(task(1, { state: "intended" }));
  host.event();
  await host.pass(700);
  assert.deepEqual(numbers(store), [1]);
});

test("a watcher that throws ends neither the others' updates nor the polling", async (context) => {
  const logged = context.mock.method(console, "error", () => {});
  const { host, server, store } = set(task(1));
  let changes = 0;
  const broken = new Error("a bug in one part of the page");
  store.watch(() => {
    throw broken;
  });
  store.watch(() => (changes += 1));
  await host.pass(0);
  server.set(task(2));
  await host.pass(INTERVAL);
  assert.deepEqual(numbers(store), [2, 1]);
  assert.ok(changes >= 2);
  assert.equal(logged.mock.calls[0].arguments[0], broken);
});

test("ending one watcher twice does not stop the others", async () => {
  const { host, server, store } = set();
  const stop = store.watch(() => {});
  store.watch(() => {});
  stop();
  stop();
  await host.pass(INTERVAL);
  assert.equal(server.calls.length, 2);
  await settled();
});
