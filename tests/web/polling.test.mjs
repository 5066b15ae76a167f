import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeHost, settled } from "./clock.mjs";
import { load } from "./host.mjs";

const { Polling } = await load("polling.mjs");

/** A poller whose polls are recorded by the moment at which they begin. */
function poller(delay = 10_000) {
  const host = new FakeHost();
  const polls = [];
  const polling = new Polling(host, async () => {
    polls.push(host.time);
    return delay;
  });
  return { host, polls, polling };
}

test("the first poll is at once, each next one after the time that the poll returned", async () => {
  const { host, polls, polling } = poller(4000);
  polling.start();
  await host.pass(9000);
  assert.deepEqual(polls, [0, 4000, 8000]);
});

test("many events cause one poll, a moment later", async () => {
  const { host, polls, polling } = poller();
  polling.start();
  await host.pass(1000);
  for (let count = 0; count < 20; count += 1) host.event();
  await host.pass(2000);
  assert.deepEqual(polls, [0, 1700]);
});

test("an event does not postpone a poll that is due earlier", async () => {
  const { host, polls, polling } = poller(1000);
  polling.start();
  await host.pass(900);
  host.event();
  await host.pass(150);
  assert.deepEqual(polls, [0, 1000]);
});

test("a hidden page does not poll; it polls at once when it is visible again", async () => {
  const { host, polls, polling } = poller(1000);
  polling.start();
  await host.pass(500);
  host.setHidden(true);
  host.event();
  await host.pass(60_000);
  assert.deepEqual(polls, [0]);
  host.setHidden(false);
  await host.pass(0);
  assert.deepEqual(polls, [0, 60_500]);
});

test("polls do not overlap; an event during one causes another", async () => {
  const host = new FakeHost();
  const polls = [];
  let finish;
  const polling = new Polling(host, () => {
    polls.push(host.time);
    return new Promise((resolve) => {
      finish = () => resolve(10_000);
    });
  });
  polling.start();
  await host.pass(0);
  host.event();
  polling.pollNow();
  await host.pass(5000);
  assert.deepEqual(polls, [0]);
  finish();
  await host.pass(5000);
  assert.deepEqual(polls, [0, 5700]);
});

test("what happened before a poll began causes no further one", async () => {
  const { host, polls, polling } = poller();
  polling.start();
  host.event();
  await host.pass(9999);
  assert.deepEqual(polls, [0]);
});

test("stopped, it leaves no timer and no listener; started again, it polls at once", async () => {
  const { host, polls, polling } = poller();
  polling.start();
  await host.pass(0);
  polling.stop();
  assert.equal(host.timers, 0);
  assert.equal(host.watched, false);
  polling.pollNow();
  await host.pass(60_000);
  assert.deepEqual(polls, [0]);
  polling.start();
  await host.pass(0);
  assert.deepEqual(polls, [0, 60_000]);
});

test("before its start it does nothing", async () => {
  const { host, polls, polling } = poller();
  polling.pollNow();
  await host.pass(60_000);
  assert.deepEqual(polls, []);
});

test("stopped during a poll, it does not poll again", async () => {
  const host = new FakeHost();
  let polls = 0;
  let finish;
  const polling = new Polling(host, () => {
    polls += 1;
    return new Promise((resolve) => {
      finish = () => resolve(0);
    });
  });
  polling.start();
  await host.pass(0);
  polling.stop();
  finish();
  await settled();
  await host.pass(60_000);
  assert.equal(polls, 1);
});
