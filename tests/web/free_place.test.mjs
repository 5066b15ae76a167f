import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./host.mjs";

const { freePlace } = await load("free_place.mjs");

const AREA = { left: -100, top: 50, width: 1000, height: 800 };
const SIZE = [200, 100];
const GAP = 40;
const TITLE = 30;

function node(x, y, width, height) {
  return { pos: new Float64Array([x, y]), size: new Float64Array([width, height]) };
}

test("an empty graph gets the node in the middle of what is visible", () => {
  assert.deepEqual(freePlace([], AREA, SIZE), { position: [300, 400], isVisible: true });
});

/** The grid of places that are tried, in the same order. */
const COLUMN = (AREA.width - SIZE[0]) / 24;
const ROW = (AREA.height - SIZE[1]) / 24;

test("a node in the middle is not covered: the place is the nearest that leaves a gap and its title free", () => {
  // As high as the area: there is room on its left and right only.
  const tall = (x) => node(x, -500, 300, 2000);
  const left = Math.floor((260 - GAP - SIZE[0] - 1 - AREA.left) / COLUMN) * COLUMN + AREA.left;
  assert.deepEqual(freePlace([tall(260)], AREA, SIZE), { position: [left, 400], isVisible: true });
  const right = Math.ceil((540 + GAP + 1 - AREA.left) / COLUMN) * COLUMN + AREA.left;
  assert.deepEqual(freePlace([tall(240)], AREA, SIZE), { position: [right, 400], isVisible: true });
  // As wide as the area, and nearer to its lower edge.
  const wide = node(-500, 400, 2000, 300);
  const top = 400 - GAP - TITLE - SIZE[1];
  const above = Math.floor((top - 1 - AREA.top) / ROW) * ROW + AREA.top;
  const { position } = freePlace([wide], AREA, SIZE);
  assert.equal(position[0], 300);
  assert.ok(Math.abs(position[1] - above) < 1e-6, `${position[1]} ${above}`);
});

test("a node on the left leaves the middle free if the gap is just wide enough", () => {
  const left = (gap) => node(0, 400, 300 - gap, 100);
  assert.deepEqual(freePlace([left(GAP + 1)], AREA, SIZE).position, [300, 400]);
  assert.notDeepEqual(freePlace([left(GAP)], AREA, SIZE).position, [300, 400]);
  const right = (gap) => node(500 + gap, 400, 100, 100);
  assert.deepEqual(freePlace([right(GAP + 1)], AREA, SIZE).position, [300, 400]);
  assert.notDeepEqual(freePlace([right(GAP)], AREA, SIZE).position, [300, 400]);
});

test("above and below, a node's title needs its place too", () => {
  const above = (gap) => node(300, 0, 200, 400 - gap);
  assert.deepEqual(freePlace([above(GAP + TITLE + 1)], AREA, SIZE).position, [300, 400]);
  assert.notDeepEqual(freePlace([above(GAP + TITLE)], AREA, SIZE).position, [300, 400]);
  const below = (gap) => node(300, 500 + gap, 200, 100);
  assert.deepEqual(freePlace([below(GAP + TITLE + 1)], AREA, SIZE).position, [300, 400]);
  assert.notDeepEqual(freePlace([below(GAP + TITLE)], AREA, SIZE).position, [300, 400]);
});

test("the last free corner is found", () => {
  const corners = [
    [COLUMN, ROW],
    [COLUMN, 23 * ROW],
    [23 * COLUMN, ROW],
    [23 * COLUMN, 23 * ROW],
  ].map(([x, y]) => [AREA.left + x, AREA.top + y]);
  for (const [x, y] of corners) {
    // Four nodes around the corner's place, each just far enough away.
    const [gapX, gapY] = [GAP + 1, GAP + TITLE + 1];
    const around = [
      node(-9000, -9000, x - gapX + 9000, 20_000),
      node(x + SIZE[0] + gapX, -9000, 20_000, 20_000),
      node(-9000, -9000, 20_000, y - gapY + 9000),
      node(-9000, y + SIZE[1] + gapY, 20_000, 20_000),
    ];
    const { position, isVisible } = freePlace(around, AREA, SIZE);
    assert.equal(isVisible, true);
    assert.ok(Math.hypot(position[0] - x, position[1] - y) < 1e-6, `${position} ${x} ${y}`);
  }
});

test("where all that is visible is covered, the node comes to the right of all others", () => {
  const all = [node(-200, 0, 1200, 1000), node(1500, 0, 100, 100)];
  const { position, isVisible } = freePlace(all, AREA, SIZE);
  assert.deepEqual(position, [1600 + GAP, 400]);
  assert.equal(isVisible, false);
});
