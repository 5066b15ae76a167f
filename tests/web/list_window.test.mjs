import assert from "node:assert/strict";
import { test } from "node:test";

import { readFileSync } from "node:fs";

import { load } from "./host.mjs";

const { anchoredScrollTop, currentAfterChange, indexAfterKey, ROW_HEIGHT, rowsInPage, scrollTopFor } =
  await load("list_window.mjs");

const HEIGHT = 5 * ROW_HEIGHT;

test("a row is as high as a card in the style sheet", () => {
  const css = readFileSync(new URL("../../web/css/pika.css", import.meta.url), "utf8");
  assert.match(css, new RegExp(`\\.pika-card \\{[^}]*[ ;]height: ${ROW_HEIGHT}px;`));
});

test("of 2,000 rows only those near the visible part are in the page", () => {
  assert.deepEqual(rowsInPage(0, HEIGHT, 2000), [0, 9]);
  assert.deepEqual(rowsInPage(1000 * ROW_HEIGHT + 1, HEIGHT, 2000), [996, 1010]);
  assert.deepEqual(rowsInPage(1995 * ROW_HEIGHT, HEIGHT, 2000), [1991, 2000]);
  assert.deepEqual(rowsInPage(0, HEIGHT, 3), [0, 3]);
  assert.deepEqual(rowsInPage(0, HEIGHT, 0), [0, 0]);
});

test("the list scrolls to a row as little as possible", () => {
  const top = 10 * ROW_HEIGHT;
  assert.equal(scrollTopFor(12, top, HEIGHT), top);
  assert.equal(scrollTopFor(14, top, HEIGHT), top);
  assert.equal(scrollTopFor(15, top, HEIGHT), top + ROW_HEIGHT);
  assert.equal(scrollTopFor(9, top, HEIGHT), top - ROW_HEIGHT);
  assert.equal(scrollTopFor(0, top, HEIGHT), 0);
});

test("the first visible row stays in its place when rows are added or removed above it", () => {
  const top = 2 * ROW_HEIGHT + 30;
  assert.equal(anchoredScrollTop(top, [5, 4, 3, 2, 1], [7, 6, 5, 4, 3, 2, 1]), 4 * ROW_HEIGHT + 30);
  assert.equal(anchoredScrollTop(top, [5, 4, 3, 2, 1], [4, 3, 2, 1]), ROW_HEIGHT + 30);
  assert.equal(anchoredScrollTop(top, [5, 4, 3, 2, 1], [5, 4, 3]), top);
  assert.equal(anchoredScrollTop(1, [2, 1], [3, 2, 1]), ROW_HEIGHT + 1);
});

test("at the top the list shows what is new; without the anchor it does not move", () => {
  assert.equal(anchoredScrollTop(0, [2, 1], [3, 2, 1]), 0);
  assert.equal(anchoredScrollTop(ROW_HEIGHT, [3, 2, 1], [3, 1]), ROW_HEIGHT);
  assert.equal(anchoredScrollTop(ROW_HEIGHT, [], [3, 1]), ROW_HEIGHT);
});

test("the current row stays current; a removed one is replaced by the next in its place", () => {
  assert.equal(currentAfterChange(2, [3, 2, 1], [4, 3, 2, 1]), 2);
  assert.equal(currentAfterChange(2, [3, 2, 1], [3, 1]), 1);
  assert.equal(currentAfterChange(1, [3, 2, 1], [3, 2]), 2);
  assert.equal(currentAfterChange(null, [], [3, 2]), 3);
  assert.equal(currentAfterChange(9, [3, 2, 1], [3, 2, 1]), 3);
  assert.equal(currentAfterChange(1, [1], []), null);
});

test("the keys move by a row, a page, or to either end, and not beyond", () => {
  const moved = (key, index) => indexAfterKey(key, index, HEIGHT, 2000);
  assert.equal(moved("ArrowDown", 7), 8);
  assert.equal(moved("ArrowUp", 7), 6);
  assert.equal(moved("PageDown", 7), 11);
  assert.equal(moved("PageUp", 7), 3);
  assert.equal(moved("Home", 7), 0);
  assert.equal(moved("End", 7), 1999);
  assert.equal(moved("ArrowUp", 0), 0);
  assert.equal(moved("PageDown", 1998), 1999);
});

test("a page is at least one row, and other keys do not move", () => {
  assert.equal(indexAfterKey("PageDown", 3, 10, 100), 4);
  for (const key of ["Enter", "Delete", "a", "toString"]) assert.equal(indexAfterKey(key, 3, HEIGHT, 9), undefined);
});
