// @ts-check
// The arithmetic of a long list of rows of one height, of which only those near the visible part are
// in the page. Lengths are in CSS pixels.

/** The height of a row, as in pika.css. */
export const ROW_HEIGHT = 118;
/** Rows above and below the visible part that are in the page too. */
const EXTRA_ROWS = 4;

/**
 * The rows to have in the page.
 * @param {number} scrollTop
 * @param {number} height of the visible part
 * @param {number} count
 * @returns {[first: number, end: number]} `end` is not one of them
 */
export function rowsInPage(scrollTop, height, count) {
  const first = Math.max(Math.floor(scrollTop / ROW_HEIGHT) - EXTRA_ROWS, 0);
  const end = Math.min(Math.ceil((scrollTop + height) / ROW_HEIGHT) + EXTRA_ROWS, count);
  return [first, end];
}

/**
 * Where to scroll to for a row to be visible: as little as possible.
 * @param {number} index
 * @param {number} scrollTop
 * @param {number} height of the visible part
 */
export function scrollTopFor(index, scrollTop, height) {
  const top = index * ROW_HEIGHT;
  const lowest = top + ROW_HEIGHT - height;
  return Math.max(Math.min(scrollTop, top), lowest);
}

/**
 * Where to scroll to when the list changes, for the first visible row to stay in its place.
 * @param {number} scrollTop
 * @param {readonly number[]} before what identifies each row
 * @param {readonly number[]} after
 */
export function anchoredScrollTop(scrollTop, before, after) {
  const index = Math.floor(scrollTop / ROW_HEIGHT);
  const anchor = before[index];
  const next = anchor === undefined ? -1 : after.indexOf(anchor);
  return scrollTop > 0 && next > -1 ? scrollTop + (next - index) * ROW_HEIGHT : scrollTop;
}

/**
 * The row that is current when the list changes: the same one, or where it was removed, the one that
 * took its place.
 * @param {number | null} current
 * @param {readonly number[]} before what identifies each row
 * @param {readonly number[]} after
 */
export function currentAfterChange(current, before, after) {
  if (current !== null && after.includes(current)) return current;
  const index = current === null ? 0 : Math.max(before.indexOf(current), 0);
  return after[Math.min(index, after.length - 1)] ?? null;
}

/**
 * The row that a key leads to; undefined where the key is not one for moving.
 * @param {string} key as in KeyboardEvent
 * @param {number} index
 * @param {number} height of the visible part
 * @param {number} count at least 1
 */
export function indexAfterKey(key, index, height, count) {
  const page = Math.max(Math.floor(height / ROW_HEIGHT) - 1, 1);
  const moves = new Map([
    ["ArrowDown", index + 1],
    ["ArrowUp", index - 1],
    ["PageDown", index + page],
    ["PageUp", index - page],
    ["Home", 0],
    ["End", count - 1],
  ]);
  const target = moves.get(key);
  return target === undefined ? undefined : Math.min(Math.max(target, 0), count - 1);
}
