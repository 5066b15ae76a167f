import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { app, load } from "./host.mjs";

await load("suggestions.js");

const DROP = "dropped-on-canvas";
let entries;

beforeEach(() => {
  // As in the editor: the method is that of the class.
  class Entry {
    postProcessSearchScores([match, ...others]) {
      return [match, 0, ...others];
    }
  }
  entries = Object.fromEntries(
    ["PikaGenerate", "PikaResult", "PikaStatus", "PikaCamera", "CLIPTextEncode"].map((name) => [name, new Entry()]),
  );
  app.extensionManager._p = { _s: new Map([["nodeDef", { nodeDefsByName: entries }]]) };
  app.canvas = { linkConnector: { events: new EventTarget(), renderLinks: [] } };
  globalThis.LiteGraph = { slot_types_default_out: { STRING: ["Reroute", "PikaStatus"] } };
});

/** Drops a link from a node on the canvas; returns the menu that the editor opens at that moment. */
function drop(comfyClass, toType = "input", type = "STRING") {
  const { linkConnector } = app.canvas;
  linkConnector.renderLinks = [{ node: { comfyClass }, fromSlot: { type }, toType }];
  let menu;
  const editor = () => {
    menu = globalThis.LiteGraph.slot_types_default_out[type];
  };
  linkConnector.events.addEventListener(DROP, editor, { once: true });
  linkConnector.events.dispatchEvent(new Event(DROP));
  return menu;
}

const score = (name, match = 1) => entries[name].postProcessSearchScores([match, 5]);

test("a link from a task id is offered Pika Result and Pika Status first, in the menu and in the search", async () => {
  app.extensions["pika.suggestions"].setup();
  for (const source of ["PikaGenerate", "PikaHistory"]) {
    assert.deepEqual(drop(source), ["PikaResult", "PikaStatus", "Reroute"]);
    await null;
    assert.deepEqual(globalThis.LiteGraph.slot_types_default_out, { STRING: ["Reroute", "PikaStatus"] });
    assert.deepEqual(score("PikaResult"), [-1, 1, 0, 5]);
    assert.deepEqual(score("CLIPTextEncode"), [1, 0, 5]);
  }
  // The search was closed.
  app.canvas.linkConnector.renderLinks = [];
  assert.deepEqual(score("PikaResult"), [1, 0, 5]);
});

test("a link from another node, and one that looks for an output, have the editor's own lists", async () => {
  app.extensions["pika.suggestions"].setup();
  drop("PikaGenerate");
  await null;
  assert.deepEqual(drop("CLIPTextEncode"), ["Reroute", "PikaStatus"]);
  assert.deepEqual(score("PikaResult"), [1, 0, 5]);
  assert.deepEqual(drop("PikaGenerate", "output"), ["Reroute", "PikaStatus"]);
  assert.deepEqual(score("PikaStatus"), [1, 0, 5]);
});

test("a type without a list of its own has none afterwards", async () => {
  app.extensions["pika.suggestions"].setup();
  globalThis.LiteGraph.slot_types_default_out = {};
  assert.deepEqual(drop("PikaGenerate"), ["PikaResult", "PikaStatus"]);
  await null;
  assert.deepEqual(globalThis.LiteGraph.slot_types_default_out, {});
});

test("Pika Generate is the first of the pack's nodes, and not before better matches or nodes that are used", () => {
  app.extensions["pika.suggestions"].setup();
  assert.deepEqual(score("PikaGenerate"), [1, -0.5, 5]);
  assert.deepEqual(score("PikaCamera"), [1, 0, 5]);
  assert.deepEqual(score("PikaGenerate", 3), [3, -0.5, 5]);
});

test("an editor without these internals is left alone", () => {
  delete app.extensionManager._p;
  app.canvas = {};
  app.extensions["pika.suggestions"].setup();
  app.extensionManager._p = { _s: new Map() };
  app.canvas = undefined;
  app.extensions["pika.suggestions"].setup();
});
