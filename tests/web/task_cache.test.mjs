import assert from "node:assert/strict";
import { test } from "node:test";

import { load, task } from "./host.mjs";

const { TaskCache } = await load("task_cache.mjs");

const numbers = (cache) => cache.list.map(({ number }) => number);

test("the list is sorted by number, the newest first, in whatever order pages arrive", () => {
  const cache = new TaskCache();
  cache.put([task(7), task(9)]);
  cache.put([task(8), task(100)]);
  assert.deepEqual(numbers(cache), [100, 9, 8, 7]);
});

test("the list is the same object until a task changes", () => {
  const cache = new TaskCache();
  cache.put([task(1)]);
  const { list } = cache;
  cache.put([task(1)]);
  assert.equal(cache.list, list);
  cache.put([task(1, { progress: 5 })]);
  assert.notEqual(cache.list, list);
});

test("put returns the numbers of the tasks that changed", () => {
  const cache = new TaskCache();
  assert.deepEqual(cache.put([task(1), task(2)]), [1, 2]);
  assert.deepEqual(cache.put([task(1), task(2, { state: "failed" })]), [2]);
  assert.equal(cache.get(2).state, "failed");
});

test("a forgotten task leaves the list, and one that was never known changes nothing", () => {
  const cache = new TaskCache();
  cache.put([task(1), task(2)]);
  assert.deepEqual(cache.put([task(1, { forgotten: true }), task(3, { forgotten: true })]), [1]);
  assert.deepEqual(numbers(cache), [2]);
  assert.equal(cache.get(1), undefined);
});

test("a task that could be asked for and was not belongs to another gateway", () => {
  const cache = new TaskCache();
  cache.put([task(1, { state: "running" })]);
  assert.equal(cache.get(1).elsewhere, false);
  assert.deepEqual(cache.putRefreshed({ task: task(1, { state: "running" }), asked: false }), [1]);
  assert.equal(cache.get(1).elsewhere, true);
});

test("a finished task that was not asked for does not count as another gateway's", () => {
  const cache = new TaskCache();
  cache.putRefreshed({ task: task(1, { state: "saved" }), asked: false });
  assert.equal(cache.get(1).elsewhere, false);
});

test("the journal's news do not change whose task it is, but its end and an answer do", () => {
  const cache = new TaskCache();
  const running = { state: "running" };
  cache.putRefreshed({ task: task(1, running), asked: false });
  cache.put([task(1, { ...running, progress: 40 })]);
  assert.equal(cache.get(1).elsewhere, true);
  cache.putRefreshed({ task: task(1, running), asked: true });
  assert.equal(cache.get(1).elsewhere, false);
  cache.putRefreshed({ task: task(1, running), asked: false });
  cache.put([task(1, { state: "saved" })]);
  assert.equal(cache.get(1).elsewhere, false);
});
