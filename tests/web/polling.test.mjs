import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeHost, settled } from "./clock.mjs";
import { load } from "./host.mjs";

const { Polling } = await load("polling.mjs");

/** A poller whose looks are counted by the moment at which they begin. */
function poller(delay = 10_000) {
  const host = new FakeHost();
  const looks = [];
  const polling = new Polling(host, async () => {
    looks.push(host.time);
    return delay;
  });
  return { host, looks, polling };
}

test("the first look is at once, each next one after the time that the look returned", async () => {
  const { host, looks, polling } = poller(4000);
  polling.start();
  await host.pass(9000);
  assert.deepEqual(looks, [0, 4000, 8000]);
});

test("many events need one look, a moment later", async () => {
  const { host, looks, polling } = poller();
  polling.start();
  await host.pass(1000);
  for (let count = 0; count < 20; count += 1) host.event();
  await host.pass(2000);
  assert.deepEqual(looks, [0, 1700]);
});

test("an event does not postpone a look that is due earlier", async () => {
  const { host, looks, polling } = poller(1000);
  polling.start();
  await host.pass(900);
  host.event();
  await host.pass(150);
  assert.deepEqual(looks, [0, 1000]);
});

test("a hidden page does not look; it looks at once when it is visible again", async () => {
  const { host, looks, polling } = poller(1000);
  polling.start();
  await host.pass(500);
  host.setHidden(true);
  host.event();
  await host.pass(60_000);
  assert.deepEqual(looks, [0]);
  host.setHidden(false);
  await host.pass(0);
  assert.deepEqual(looks, [0, 60_500]);
});

test("looks do not overlap; an event during one causes another", async () => {
  const host = new FakeHost();
  const looks = [];
  let finish;
  const polling = new Polling(host, () => {
    looks.push(host.time);
    return new Promise((resolve) => {
      finish = () => resolve(10_000);
    });
  });
  polling.start();
  await host.pass(0);
  host.event();
  polling.lookNow();
  await host.pass(5000);
  assert.deepEqual(looks, [0]);
  finish();
  await host.pass(5000);
  assert.deepEqual(looks, [0, 5700]);
});

test("what happened before a look began causes no further one", async () => {
  const { host, looks, polling } = poller();
  polling.start();
  host.event();
  await host.pass(9999);
  assert.deepEqual(looks, [0]);
});

test("stopped, it leaves no timer and no listener; started again, it looks at once", async () => {
  const { host, looks, polling } = poller();
  polling.start();
  await host.pass(0);
  polling.stop();
  assert.equal(host.timers, 0);
  assert.equal(host.watched, false);
  polling.lookNow();
  await host.pass(60_000);
  assert.deepEqual(looks, [0]);
  polling.start();
  await host.pass(0);
  assert.deepEqual(looks, [0, 60_000]);
});

test("before its start it does nothing", async () => {
  const { host, looks, polling } = poller();
  polling.lookNow();
  await host.pass(60_000);
  assert.deepEqual(looks, []);
});

test("stopped during a look, it does not look again", async () => {
  const host = new FakeHost();
  let looks = 0;
  let finish;
  const polling = new Polling(host, () => {
    looks += 1;
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
  assert.equal(looks, 1);
});
