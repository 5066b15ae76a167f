import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { api, app, json, load, speak, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
await load("example_input.js");

const NAME = "pika_example.jpg";
const example = { nodes: [{ type: "PikaGenerate", widgets_values: [NAME] }, { type: "LoadImage", widgets_values: [NAME, "image"] }] };
const toasts = [];
let choices;
let bundled;

beforeEach(() => {
  choices = ["other.png"];
  bundled = new Response("picture");
  globalThis.fetch = async (url) => {
    assert.match(String(url), /\/web\/example\/pika_example\.jpg$/);
    return bundled;
  };
  globalThis.LiteGraph = {
    registered_node_types: { LoadImage: { nodeData: { input: { required: { image: [choices, {}] } } } } },
  };
  app.extensionManager.toast = { add: (toast) => toasts.push(toast) };
  toasts.length = 0;
});

/** Opens a workflow; returns what was uploaded. */
function open(workflow, answer = () => json({})) {
  return withAnswer(answer, () => app.extensions["pika.example_input"].beforeConfigureGraph(workflow));
}

test("the example uploads its picture once, and the choice is there before its nodes", async () => {
  const [upload] = await open(example);
  assert.equal(upload.path, "/upload/image");
  assert.equal(upload.method, "POST");
  assert.equal(upload.body.get("image").name, NAME);
  assert.equal(await upload.body.get("image").text(), "picture");
  assert.deepEqual(choices, ["other.png", NAME]);
  assert.deepEqual(await open(example), []);
});

test("the choices of newer servers are read from the options", async () => {
  globalThis.LiteGraph.registered_node_types.LoadImage.nodeData.input.required.image = ["COMBO", { options: choices }];
  assert.equal((await open(example)).length, 1);
  assert.deepEqual(choices, ["other.png", NAME]);
});

test("another workflow uploads nothing", async () => {
  const others = [
    { nodes: [{ type: "LoadImage", widgets_values: ["cat.png"] }, { type: "Note", widgets_values: [NAME] }, { type: "LoadImage" }] },
    { nodes: [{ type: "LoadImage", widgets_values: { image: NAME } }] },
    {},
    undefined,
  ];
  for (const workflow of others) assert.deepEqual(await open(workflow), []);
});

test("an editor without the list of choices uploads nothing", async () => {
  globalThis.LiteGraph = undefined;
  assert.deepEqual(await open(example), []);
  assert.deepEqual(toasts, []);
});

test("a failed upload shows an error, and is tried again the next time", async () => {
  await open(example, () => json({}, 413));
  assert.deepEqual(toasts.map(({ severity, summary, detail }) => [severity, summary, detail]), [["error", t("example.failed"), "HTTP 413"]]);
  assert.deepEqual(choices, ["other.png"]);
  bundled = new Response("", { status: 404 });
  assert.deepEqual(await open(example), []);
  assert.equal(toasts[1].detail, "HTTP 404");
  bundled = new Response("picture");
  assert.equal((await open(example)).length, 1);
  assert.equal(api.requests.length, 1);
});
