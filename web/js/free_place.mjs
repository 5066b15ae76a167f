// @ts-check
// Where a new node fits into the graph. All lengths are in the graph's own units.

/** @typedef {[x: number, y: number]} Point */
/** @typedef {{ pos: ArrayLike<number>, size: ArrayLike<number> }} Box a node: its corner and its size */
/** @typedef {{ left: number, top: number, width: number, height: number }} Area */

/**
 * A node to add, in a group of connected nodes.
 * @typedef {object} NodePlan
 * @property {string} type
 * @property {Record<string, string | number | boolean>} values of its widgets, by name
 * @property {number} column 0 is the leftmost one
 * @property {{ type: string, input: string }} [to] what its output is connected to
 */

const GAP = 40;
/** The height of a node's title bar, which is above the node's position. */
const TITLE_HEIGHT = 30;
/** The search divides the area into this many columns and rows. */
const GRID = 24;

/**
 * The place nearest to the middle of the area where a node covers no other one. Where the area has
 * no such place, it is to the right of all nodes.
 * @param {readonly Box[]} nodes
 * @param {Area} area
 * @param {Point} size of the new node
 * @returns {{ position: Point, isVisible: boolean }}
 */
export function freePlace(nodes, area, size) {
  const boxes = nodes.map(boxOf);
  const [width, height] = size;
  const [spanX, spanY] = [area.width - width, area.height - height];
  /** @type {Point} */
  const middle = [area.left + spanX / 2, area.top + spanY / 2];
  /** @type {Point[]} */
  const candidates = [middle];
  for (let column = 1; column < GRID; column += 1) {
    for (let row = 1; row < GRID; row += 1) {
      candidates.push([area.left + (spanX * column) / GRID, area.top + (spanY * row) / GRID]);
    }
  }
  /** @param {Point} point */
  const distance = ([x, y]) => Math.hypot(x - middle[0], y - middle[1]);
  candidates.sort((one, other) => distance(one) - distance(other));
  const position = candidates.find((point) => boxes.every((box) => isApart(point, size, box)));
  if (position) return { position, isVisible: true };
  const right = Math.max(...boxes.map((box) => box.right));
  return { position: [right + GAP, middle[1]], isVisible: false };
}

/** @param {Box} node */
function boxOf({ pos, size }) {
  const [left = 0, top = 0] = Array.from(pos);
  const [width = 0, height = 0] = Array.from(size);
  return { left, top, right: left + width, bottom: top + height };
}

/**
 * @param {Point} point
 * @param {Point} size
 * @param {ReturnType<typeof boxOf>} box
 */
function isApart([x, y], [width, height], box) {
  return (
    x > box.right + GAP ||
    x + width + GAP < box.left ||
    y > box.bottom + GAP + TITLE_HEIGHT ||
    y + height + GAP + TITLE_HEIGHT < box.top
  );
}

/**
 * Where the nodes of a group are, relative to its corner: in columns, with the same upper edge.
 * @param {readonly { column: number, size: Point }[]} nodes in the order of their columns
 * @returns {{ places: Point[], size: Point }}
 */
export function groupPlaces(nodes) {
  /** @type {Point[]} */
  const places = [];
  let [left, right, top, bottom, column] = [0, 0, 0, 0, nodes[0]?.column];
  for (const { column: own, size } of nodes) {
    if (own !== column) [left, top, column] = [right + GAP, 0, own];
    places.push([left, top]);
    right = Math.max(right, left + size[0]);
    bottom = Math.max(bottom, top + size[1]);
    top += size[1] + GAP + TITLE_HEIGHT;
  }
  return { places, size: [right, bottom] };
}
