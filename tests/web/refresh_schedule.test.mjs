import assert from "node:assert/strict";
import { test } from "node:test";

import { load, task } from "./host.mjs";

const { RefreshSchedule } = await load("refresh_schedule.mjs");

const running = (number) => task(number, { state: "running" });
const numbers = (tasks) => tasks.map(({ number }) => number);

test("a task at the gateway is due ten seconds after it was seen first", () => {
  const schedule = new RefreshSchedule();
  assert.deepEqual(schedule.due([running(1)], 0), []);
  assert.deepEqual(schedule.due([running(1)], 9_999), []);
  assert.deepEqual(numbers(schedule.due([running(1)], 10_000)), [1]);
});

test("only tasks at the gateway are asked for", () => {
  const schedule = new RefreshSchedule();
  const states = ["intended", "sent", "submitted", "running", "finished", "saved", "failed", "refused", "unknown"];
  const tasks = states.map((state, index) => task(index, { state }));
  schedule.due(tasks, 0);
  // The wait is over for all of them.
  assert.deepEqual(schedule.due(tasks, 1e9).map(({ state }) => state), ["submitted", "running"]);
});

test("at most three tasks are due at once, and the others follow", () => {
  const schedule = new RefreshSchedule();
  const tasks = [5, 4, 3, 2, 1].map(running);
  schedule.due(tasks, 0);
  const first = schedule.due(tasks, 10_000);
  assert.deepEqual(numbers(first), [5, 4, 3]);
  schedule.postpone(first, 10_000);
  assert.deepEqual(numbers(schedule.due(tasks, 10_000)), [2, 1]);
});

test("each wait is twice as long as the one before, up to five minutes", () => {
  const schedule = new RefreshSchedule();
  const tasks = [running(1)];
  schedule.due(tasks, 0);
  let now = 0;
  const waits = [];
  for (let count = 0; count < 7; count += 1) {
    const before = now;
    while (!schedule.due(tasks, now).length) now += 10_000;
    waits.push(now - before);
    schedule.postpone(tasks, now);
  }
  assert.deepEqual(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
});

test("a task that changed waits ten seconds again", () => {
  const schedule = new RefreshSchedule();
  const tasks = [running(1), running(2)];
  schedule.due(tasks, 0);
  schedule.postpone(tasks, 10_000);
  schedule.restart([1]);
  schedule.due(tasks, 10_000);
  assert.deepEqual(numbers(schedule.due(tasks, 20_000)), [1]);
});

test("restartAll makes every task wait ten seconds again", () => {
  const schedule = new RefreshSchedule();
  const tasks = [running(1), running(2)];
  schedule.due(tasks, 0);
  schedule.postpone(tasks, 200_000);
  schedule.restartAll();
  schedule.due(tasks, 200_000);
  assert.deepEqual(numbers(schedule.due(tasks, 210_000)), [1, 2]);
});

test("a wait that began again while the gateway was asked is not made longer", () => {
  const schedule = new RefreshSchedule();
  const tasks = [running(1)];
  schedule.due(tasks, 0);
  const due = schedule.due(tasks, 10_000);
  schedule.restartAll();
  schedule.postpone(due, 10_000);
  assert.deepEqual(schedule.due(tasks, 10_000), []);
  assert.deepEqual(numbers(schedule.due(tasks, 20_000)), [1]);
});
