import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { loadWorkflow, planOf, useSettings } = await load("again.mjs");
const { factsText, watchFacts } = await load("media_facts.mjs");
const { groupPlaces } = await load("free_place.mjs");
const { settingsText } = await load("task_words.mjs");

const known = { ...task(7), elsewhere: false };
let toasts, added, selected, opened;

/** A node as the editor creates it. */
function created(type) {
  const names = { PikaGenerate: ["prompt_text", "pikaffect", "seed"], PikaOptions: ["aspect_ratio"] }[type] ?? ["zoom"];
  return {
    type,
    size: [100, 50],
    widgets: names.map((name) => ({ name, value: "default" })),
    findInputSlot: (name) => `input ${name}`,
    connect(...link) {
      this.link = link;
    },
  };
}

beforeEach(() => {
  [toasts, added, selected, opened] = [[], [], [], []];
  app.extensionManager.toast = { add: ({ severity, detail }) => toasts.push([severity, detail]) };
  const area = { getBoundingClientRect: () => ({ left: 0, top: 0, width: 1000, height: 800 }) };
  app.canvas = {
    ds: { scale: 1, offset: [0, 0] },
    canvas: area,
    graph: { nodes: [], add: (node) => added.push(node) },
    select: (node) => selected.push(node.type),
  };
  app.loadGraphData = (...values) => opened.push(values);
  globalThis.LiteGraph = { createNode: created };
});

const NODES = {
  PikaGenerate: { prompt_text: "<b>fig", pikaffect: "Melt", seed: "7" },
  PikaOptions: { aspect_ratio: "9:16" },
  PikaCamera: { zoom: "in" },
};

test("the settings of a task become connected nodes, and Pika Generate is selected", async () => {
  const [sent] = await withAnswer(() => json({ nodes: NODES, media: [] }), () => useSettings(known));
  assert.equal(sent.path, "/pika/tasks/7/nodes");
  assert.deepEqual(added.map(({ type }) => type), ["PikaCamera", "PikaOptions", "PikaGenerate"]);
  const [camera, options, generate] = added;
  assert.deepEqual(camera.link, [0, options, "input camera"]);
  assert.deepEqual(options.link, [0, generate, "input options"]);
  assert.equal(generate.link, undefined);
  assert.deepEqual(generate.widgets.map(({ value }) => value), ["<b>fig", "Melt", 7]);
  assert.deepEqual(selected, ["PikaGenerate"]);
  assert.deepEqual(toasts, []);
});

test("a task with defaults is one node", () => {
  assert.deepEqual(planOf({ PikaGenerate: { prompt_text: "a", seed: "0" } }), [
    { type: "PikaGenerate", column: 2, values: { prompt_text: "a", seed: 0 } },
  ]);
  assert.deepEqual(planOf({ Unknown: {} }), []);
});

test("media that must be connected again are named, and a seed that the editor rounds is warned of", async () => {
  const nodes = { PikaGenerate: { seed: "18446744073709551615" } };
  await withAnswer(() => json({ nodes, media: ["image", "video"] }), () => useSettings(known));
  const [[, media], [severity, rounded]] = toasts;
  assert.ok(media.includes("image, video"));
  assert.equal(severity, "warn");
  assert.ok(rounded.includes("18446744073709551615"));
});

test("settings that cannot be read add nothing and say why", async () => {
  await withAnswer(() => json({ error: "Not in the journal." }, 404), () => useSettings(known));
  assert.deepEqual(toasts, [["error", "Not in the journal."]]);
  assert.deepEqual(added, []);
});

test("a workflow is opened without a name, so that it replaces no saved one; an error opens nothing", async () => {
  const workflow = { version: 0.4, nodes: [{ id: 1, type: "PikaGenerate" }] };
  await withAnswer(() => json({ workflow, reason: "" }), () => loadWorkflow(known));
  assert.deepEqual(opened, [[workflow]]);
  await withAnswer(() => json({ workflow: null, reason: "Not known any more." }), () => loadWorkflow(known));
  assert.equal(opened.length, 1);
  assert.deepEqual(toasts, [["error", "Not known any more."]]);
});

test("a group of nodes is in columns that do not overlap", () => {
  const { places, size } = groupPlaces([
    { column: 0, size: [100, 50] },
    { column: 0, size: [120, 50] },
    { column: 1, size: [80, 300] },
  ]);
  assert.deepEqual(places[0], [0, 0]);
  assert.ok(places[1][1] >= 80);
  assert.ok(places[2][0] >= 120);
  assert.equal(places[2][1], 0);
  assert.deepEqual(size, [places[2][0] + 80, 300]);
});

test("a card has the take, the effect, the ratio and the media", () => {
  const settings = { model: "1.5", pikaffect: "Melt", ratio: "9:16", image: true };
  const expected = `${t("tasks.take", { take: "18446744073709551615" })} · Melt · 9:16 · image · 1.5`;
  assert.equal(settingsText({ take: "18446744073709551615", settings }), expected);
  assert.equal(settingsText({ take: "0", settings: {} }), t("tasks.take", { take: "0" }));
  assert.equal(settingsText({}), "");
});

test("what is known about a file is one line, in the numbers of the language", () => {
  const facts = { seconds: 5.04, width: 1280, height: 720, bytes: 3_240_000 };
  assert.equal(factsText(facts, "en"), "5 s · 1280 × 720 · 3.2 MB");
  assert.equal(factsText({ ...facts, seconds: 5.25 }, "de"), "5,3 s · 1280 × 720 · 3,2 MB");
  assert.equal(factsText({ bytes: 999 }, "en"), "999 B");
  assert.equal(factsText({ bytes: 45_600 }, "en"), "46 kB");
  assert.equal(factsText({ seconds: Infinity, width: 0, height: 9, bytes: 0 }, "en"), "");
  assert.equal(factsText({}, "en"), "");
});

test("a video without a size of its file shows the rest", async () => {
  const media = { duration: 5, videoWidth: 4, videoHeight: 3 };
  const shown = [];
  await watchFacts(media, "/api/view", (facts) => shown.push(facts));
  media.onloadedmetadata();
  assert.deepEqual(shown, [{ seconds: 5, width: 4, height: 3 }]);
});
