import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./host.mjs";

const { nodeAt, nodesBehind } = await load("graph_walk.mjs");

/** A graph of nodes whose one output leads to the named nodes; -20 is the output of a subgraph. */
function graph(nodes) {
  const links = new Map();
  const created = { nodes: [], links, getNodeById: (id) => created.nodes.find((node) => String(node.id) === String(id)) };
  for (const [id, { to = [], subgraph, comfyClass }] of Object.entries(nodes)) {
    const ids = to.map((target) => {
      links.set(links.size + 1, { target_id: target });
      return links.size;
    });
    created.nodes.push({ id: Number(id), comfyClass, subgraph, graph: created, outputs: [{ links: ids }, { links: null }] });
  }
  return created;
}

const inner = graph({ 3: { to: [4] }, 4: { to: [-20], comfyClass: "PikaResult" }, 5: {} });
const root = graph({ 1: { to: [7], subgraph: inner }, 2: { to: [1] }, 7: { to: [8] }, 8: { to: [7] }, 9: {} });

test("a node in a subgraph has a path of ids", () => {
  assert.equal(nodeAt(root, "1:4")?.comfyClass, "PikaResult");
  assert.equal(nodeAt(root, "7")?.id, 7);
  for (const id of ["99", "1:99", "7:4", ""]) assert.equal(nodeAt(root, id), undefined);
  assert.equal(nodeAt(undefined, "1"), undefined);
});

test("what depends on a node: into subgraphs, out of them, and around a loop once", () => {
  const behind = (id) => nodesBehind(root, id).sort();
  assert.deepEqual(behind("2"), ["1", "1:3", "1:4", "1:5", "7", "8"]);
  assert.deepEqual(behind("1:3"), ["1", "1:4", "7", "8"]);
  assert.deepEqual(behind("7"), ["8"]);
  assert.deepEqual(behind("9"), []);
  assert.deepEqual(behind("99"), []);
});

test("links of older editors are an object, or have a method", () => {
  const node = { id: 1, outputs: [{ links: [5] }] };
  const next = { id: 2, outputs: [] };
  for (const access of [{ links: { 5: { target_id: 2 } } }, { getLink: () => ({ target_id: 2 }) }, {}]) {
    const older = { nodes: [node, next], getNodeById: (id) => [node, next].find((each) => each.id === Number(id)), ...access };
    node.graph = older;
    assert.deepEqual(nodesBehind(older, "1"), Object.keys(access).length ? ["2"] : []);
  }
});
