import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.mjs";
import { load, speak, task } from "./host.mjs";

const { loadStrings } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { ROW_HEIGHT } = await load("list_window.mjs");
const { TaskList } = await load("task_list.mjs");

const known = (number) => ({ ...task(number), elsewhere: false });

/** A list of this many tasks. It is 500 pixels high: five rows. */
function listOf(count) {
  const opened = [];
  const list = new TaskList({ open: (entry) => opened.push(entry.number) });
  list.show(Array.from({ length: count }, (_, index) => known(count - index)));
  return { list, opened };
}

const inPage = (list) => list.inner.children.map(({ dataset }) => Number(dataset.number));
const focused = () => Number(document.activeElement.dataset.number);

/** Presses a key; returns whether the editor and the browser do not get it. */
function press(list, key, changes = {}) {
  const result = { stopped: false, prevented: false };
  list.root.onkeydown({
    key,
    target: document.activeElement,
    stopPropagation: () => (result.stopped = true),
    preventDefault: () => (result.prevented = true),
    ...changes,
  });
  return result;
}

test("of 2,000 tasks only those near the visible part are in the page, in their order", () => {
  const { list } = listOf(2000);
  assert.deepEqual(inPage(list), [2000, 1999, 1998, 1997, 1996, 1995, 1994, 1993, 1992]);
  assert.equal(list.inner.style.height, `${2000 * ROW_HEIGHT}px`);
  list.root.scrollTop = 1000 * ROW_HEIGHT;
  list.root.onscroll();
  const numbers = inPage(list);
  assert.ok(numbers.length < 20);
  assert.ok(numbers.includes(1000));
  assert.deepEqual(numbers, [...numbers].sort((one, other) => other - one));
  // The current one stays, since it may have the focus.
  assert.equal(numbers[0], 2000);
});

test("the keys go through all of them, and the card with the focus is visible", () => {
  const { list } = listOf(2000);
  list.focus();
  assert.equal(focused(), 2000);
  for (const [key, number] of [["ArrowDown", 1999], ["PageDown", 1996], ["ArrowUp", 1997], ["End", 1], ["Home", 2000]]) {
    assert.deepEqual(press(list, key), { stopped: true, prevented: true });
    assert.equal(focused(), number, key);
    const top = Number.parseInt(document.activeElement.style.top);
    assert.ok(top >= list.root.scrollTop && top + ROW_HEIGHT <= list.root.scrollTop + list.root.clientHeight, key);
    assert.equal(document.activeElement.tabIndex, 0);
    assert.deepEqual(inPage(list).filter((other) => other === number).length, 1);
    const others = list.inner.children.filter((card) => card.tabIndex === 0);
    assert.deepEqual(others, [document.activeElement]);
  }
});

test("Enter opens the task with the focus, but not from one of its buttons", () => {
  const { list, opened } = listOf(3);
  list.focus();
  press(list, "ArrowDown");
  press(list, "Enter");
  assert.deepEqual(opened, [2]);
  const button = list.inner.querySelector("button");
  assert.deepEqual(press(list, "Enter", { target: button }), { stopped: false, prevented: false });
  assert.deepEqual(opened, [2]);
});

test("Delete does not reach the graph, and keys with a modifier are the editor's", () => {
  const { list } = listOf(3);
  list.focus();
  for (const key of ["Delete", "Backspace"]) assert.equal(press(list, key).stopped, true);
  for (const modifier of ["ctrlKey", "metaKey", "altKey"]) {
    assert.equal(press(list, "ArrowDown", { [modifier]: true }).stopped, false);
  }
  assert.equal(press(list, "a").stopped, false);
  assert.equal(focused(), 3);
});

test("the focus goes on to the next task when its own is forgotten", () => {
  const { list } = listOf(3);
  list.focus();
  press(list, "ArrowDown");
  list.show([known(3), known(1)]);
  assert.equal(focused(), 1);
  assert.deepEqual(inPage(list), [3, 1]);
});

test("a new task above leaves what is looked at in its place", () => {
  const { list } = listOf(100);
  list.root.scrollTop = 1000;
  list.show([known(102), known(101), ...Array.from({ length: 100 }, (_, index) => known(100 - index))]);
  assert.equal(list.root.scrollTop, 1000 + 2 * ROW_HEIGHT);
});

test("screen readers learn the place in the list", () => {
  const { list } = listOf(2000);
  const [first, second] = list.inner.children;
  assert.deepEqual([first.ariaPosInSet, first.ariaSetSize], ["1", "2000"]);
  assert.equal(second.ariaPosInSet, "2");
});
