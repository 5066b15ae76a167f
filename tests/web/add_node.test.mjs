import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { app, load, speak } from "./host.mjs";

speak("en");
const { addNode, locale, showToast } = await load("host.mjs");

const calls = [];
let panel;

beforeEach(() => {
  calls.length = 0;
  panel = null;
  document.querySelector = (selector) => (selector === ".graph-canvas-panel" ? panel : null);
  const graph = {
    nodes: [],
    add: (node) => calls.push(["add", node.type]),
    beforeChange: () => calls.push(["before"]),
    afterChange: () => calls.push(["after"]),
  };
  app.graph = graph;
  app.canvas = {
    graph,
    // The canvas draws the graph at half its size, moved by 10 and 20.
    ds: { scale: 0.5, offset: [10, 20] },
    canvas: { getBoundingClientRect: () => ({ left: 0, top: 0, width: 1000, height: 800 }) },
    deselectAll: () => calls.push(["deselect"]),
    select: (node) => calls.push(["select", node.type]),
    centerOnNode: (node) => calls.push(["center", node.type]),
    setDirty: (...layers) => calls.push(["draw", ...layers]),
  };
  globalThis.LiteGraph = {
    created: [],
    createNode(type) {
      const node = { type, size: [200, 100], widgets: [{ name: "task_id", value: "" }, { name: "timeout", value: 5 }] };
      this.created.push(node);
      return node;
    },
  };
});

test("a new node has its values, is in the middle, and is selected", () => {
  addNode("PikaResult", { task_id: "task-1" });
  const [node] = globalThis.LiteGraph.created;
  assert.deepEqual(node.widgets.map(({ value }) => value), ["task-1", 5]);
  // 2000 × 1600 of the graph are visible from (-10, -20) on.
  assert.deepEqual(node.pos, [-10 + (2000 - 200) / 2, -20 + (1600 - 100) / 2]);
  assert.deepEqual(calls, [["before"], ["add", "PikaResult"], ["after"], ["deselect"], ["select", "PikaResult"], ["draw", true, true]]);
});

test("the part behind the sidebar does not count as visible", () => {
  panel = { getBoundingClientRect: () => ({ left: 300, top: 50, width: 700, height: 750 }) };
  addNode("PikaResult", {});
  const [node] = globalThis.LiteGraph.created;
  assert.deepEqual(node.pos, [600 - 10 + (1400 - 200) / 2, 100 - 20 + (1500 - 100) / 2]);
});

test("a panel without a size does not count", () => {
  panel = { getBoundingClientRect: () => ({ left: 300, top: 50, width: 0, height: 0 }) };
  addNode("PikaResult", {});
  assert.equal(globalThis.LiteGraph.created[0].pos[0], 890);
});

test("a node beside all others is scrolled to", () => {
  app.graph.nodes.push({ pos: [-100, -100], size: [5000, 5000] });
  addNode("PikaResult", {});
  assert.ok(calls.some(([call]) => call === "center"));
});

test("older editors select by another function", () => {
  app.canvas.select = undefined;
  app.canvas.selectNode = (node) => calls.push(["selectNode", node.type]);
  addNode("PikaResult", {});
  assert.ok(calls.some(([call]) => call === "selectNode"));
});

test("an unknown type of node is not added", () => {
  globalThis.LiteGraph.createNode = () => null;
  addNode("PikaResult", {});
  assert.deepEqual(calls, []);
});

test("an editor without the newer interface causes no error", () => {
  app.extensionManager = undefined;
  showToast("info", "A word");
  assert.equal(locale(), navigator.language);
});
