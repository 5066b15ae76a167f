import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./host.mjs";

const { freePlace } = await load("free_place.mjs");

const AREA = { left: -100, top: 50, width: 1000, height: 800 };
const SIZE = [200, 100];
const GAP = 40;

function node(x, y, width, height) {
  return { pos: new Float32Array([x, y]), size: new Float32Array([width, height]) };
}

test("an empty graph gets the node in the middle of what is visible", () => {
  assert.deepEqual(freePlace([], AREA, SIZE), { position: [300, 400], isVisible: true });
});

test("a node in the middle is not covered, and the place is still visible", () => {
  const taken = node(250, 350, 300, 200);
  const { position, isVisible } = freePlace([taken], AREA, SIZE);
  const [x, y] = position;
  assert.equal(isVisible, true);
  const apart = x > 550 + GAP || x + SIZE[0] + GAP < 250 || y > 550 + GAP || y + SIZE[1] + GAP < 350;
  assert.ok(apart, `${position}`);
  assert.ok(x >= AREA.left && x + SIZE[0] <= AREA.left + AREA.width);
  assert.ok(y >= AREA.top && y + SIZE[1] <= AREA.top + AREA.height);
});

test("where all that is visible is covered, the node comes to the right of all others", () => {
  const all = [node(-200, 0, 1200, 1000), node(1500, 0, 100, 100)];
  const { position, isVisible } = freePlace(all, AREA, SIZE);
  assert.deepEqual(position, [1600 + GAP, 400]);
  assert.equal(isVisible, false);
});
