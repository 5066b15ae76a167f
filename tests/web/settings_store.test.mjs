import assert from "node:assert/strict";
import { test } from "node:test";

import { json, load, settings, withAnswer } from "./host.mjs";

const { loadSettings, saveSettings, watchSettings } = await load("settings_store.mjs");

/** A control that records its updates. */
function control() {
  const updates = [];
  const node = { isConnected: true };
  return { node, updates, listener: (known, error) => updates.push([known?.max_requests.value, error?.message]) };
}

const requests = (value) => json(settings({ max_requests: { ...settings().max_requests, value } }));

/** A server whose answers come when the test says so. */
function delayed() {
  const waiting = [];
  const answer = () => new Promise((resolve) => waiting.push(resolve));
  return { answer, waiting };
}

test("before the settings were read, an error is all that a control gets", async () => {
  const { node, updates, listener } = control();
  await withAnswer(
    () => json({ error: "The settings file cannot be read." }, 409),
    async () => {
      watchSettings(node, listener);
      assert.deepEqual(updates, []);
      await assert.rejects(loadSettings(), /cannot be read/);
    },
  );
  assert.deepEqual(updates.at(-1), [undefined, "The settings file cannot be read."]);
  node.isConnected = false;
});

test("several controls of one page cause one request", async () => {
  const controls = [control(), control(), control()];
  const sent = await withAnswer(
    () => requests(3),
    async () => {
      for (const { node, listener } of controls) watchSettings(node, listener);
      await loadSettings();
    },
  );
  assert.equal(sent.length, 1);
  for (const { node, updates } of controls) {
    assert.deepEqual(updates.at(-1), [3, undefined]);
    node.isConnected = false;
  }
});

test("a new control gets the known settings at once", async () => {
  const { node, updates, listener } = control();
  await withAnswer(
    () => requests(4),
    async () => {
      await loadSettings();
      watchSettings(node, listener);
      assert.deepEqual(updates, [[4, undefined]]);
    },
  );
  node.isConnected = false;
});

test("a change goes to every control in the page, and to no other", async () => {
  const [one, other] = [control(), control()];
  await withAnswer(
    () => requests(5),
    async () => {
      for (const { node, listener } of [one, other]) watchSettings(node, listener);
      await loadSettings();
      other.node.isConnected = false;
      other.updates.length = 0;
      assert.equal(await saveSettings({ max_requests: 5 }), false);
    },
  );
  assert.deepEqual(one.updates.at(-1), [5, undefined]);
  assert.deepEqual(other.updates, []);
  one.node.isConnected = false;
});

test("saving says whether the key was removed with its address", async () => {
  await withAnswer(
    () => json({ ...settings(), key_cleared: true }),
    async () => assert.equal(await saveSettings({ base_url: "https://elsewhere.example" }), true),
  );
});

test("a change that is refused changes nothing", async () => {
  const { node, updates, listener } = control();
  await withAnswer(() => requests(6), loadSettings);
  await withAnswer(
    () => json({ error: "Use 1 to 64." }, 400),
    async () => {
      await assert.rejects(saveSettings({ max_requests: 0 }), /Use 1 to 64/);
      watchSettings(node, listener);
      assert.deepEqual(updates, [[6, undefined]]);
      await assert.rejects(loadSettings());
    },
  );
  node.isConnected = false;
});

test("an answer from before a change does not bring the old value back", async () => {
  const { node, updates, listener } = control();
  await withAnswer(() => requests(7), loadSettings);
  const { answer, waiting } = delayed();
  await withAnswer(answer, async () => {
    watchSettings(node, listener); // reads
    const saved = saveSettings({ max_requests: 8 });
    waiting[1](requests(8));
    await saved;
    waiting[0](requests(7));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(updates.at(-1), [8, undefined]);
    const reading = loadSettings();
    waiting[2](requests(9));
    assert.equal((await reading).max_requests.value, 9);
  });
  assert.deepEqual(updates.at(-1), [9, undefined]);
  node.isConnected = false;
});
