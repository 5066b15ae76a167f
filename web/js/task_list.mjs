// @ts-check
// A list of cards. Only those near the visible part are in the page, whatever the number of tasks.

/** @import { Actions } from "./task_actions.mjs" */
/** @import { KnownTask } from "./types.mjs" */

import { element } from "./dom.mjs";
import { t } from "./i18n.mjs";
import {
  anchoredScrollTop,
  currentAfterChange,
  indexAfterKey,
  ROW_HEIGHT,
  rowsInPage,
  scrollTopFor,
} from "./list_window.mjs";
import { Card } from "./task_card.mjs";

export class TaskList {
  /** @type {readonly KnownTask[]} */
  #tasks = [];
  /** @type {readonly number[]} */
  #numbers = [];
  /** @type {Map<number, Card>} those in the page, by the task's number */
  #cards = new Map();
  /** @type {number | null} the number of the task that has the focus, or would get it */
  #current = null;
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.inner = element("div", { className: "pika-cards", role: "list", ariaLabel: t("tasks.list") });
    this.root = element("div", { className: "pika-scroll" }, this.inner);
    this.root.onscroll = () => this.#render();
    this.root.onkeydown = (event) => this.#onKey(event);
    this.inner.addEventListener("focusin", ({ target }) => {
      const card = target instanceof Element && target.closest(".pika-card");
      if (card instanceof HTMLElement) this.#setCurrent(Number(card.dataset.number));
    });
    new ResizeObserver(() => this.#render()).observe(this.root);
  }

  /** @param {readonly KnownTask[]} tasks */
  show(tasks) {
    const numbers = tasks.map((task) => task.number);
    const { scrollTop } = this.root;
    const anchored = anchoredScrollTop(scrollTop, this.#numbers, numbers);
    const current = currentAfterChange(this.#current, this.#numbers, numbers);
    const losesFocus = current !== this.#current && this.inner.contains(document.activeElement);
    this.#tasks = tasks;
    this.#numbers = numbers;
    this.#current = current;
    this.inner.style.height = `${tasks.length * ROW_HEIGHT}px`;
    if (anchored !== scrollTop) this.root.scrollTop = anchored;
    this.#render();
    if (losesFocus) this.focus();
  }

  focus() {
    this.#moveTo(Math.max(this.#currentIndex, 0));
  }

  scrollToTop() {
    this.root.scrollTop = 0;
  }

  updateAges() {
    for (const card of this.#cards.values()) card.updateAge();
  }

  get #currentIndex() {
    return this.#current === null ? -1 : this.#numbers.indexOf(this.#current);
  }

  /** @param {number} number */
  #setCurrent(number) {
    const before = this.#current === null ? undefined : this.#cards.get(this.#current);
    if (before) before.current = false;
    this.#current = number;
    const card = this.#cards.get(number);
    if (card) card.current = true;
  }

  #render() {
    const { scrollTop, clientHeight } = this.root;
    const [first, end] = rowsInPage(scrollTop, clientHeight, this.#tasks.length);
    /** @type {Set<number>} */
    const indices = new Set();
    for (let index = first; index < end; index += 1) indices.add(index);
    // The current card stays in the page, since it may have the focus.
    if (this.#currentIndex > -1) indices.add(this.#currentIndex);
    const wanted = new Set([...indices].map((index) => this.#numbers[index]));
    for (const [number, card] of this.#cards) {
      if (wanted.has(number)) continue;
      card.root.remove();
      this.#cards.delete(number);
    }
    for (const index of indices) this.#place(index);
  }

  /** @param {number} index */
  #place(index) {
    const task = this.#tasks[index];
    if (!task) return;
    let card = this.#cards.get(task.number);
    if (!card) {
      card = new Card(task, this.#actions);
      card.current = task.number === this.#current;
      this.#cards.set(task.number, card);
    }
    card.show(task, index, this.#tasks.length);
    card.root.style.top = `${index * ROW_HEIGHT}px`;
    if (card.root.isConnected) return;
    // In the order of the list: Tab and screen readers follow the order in the page.
    const below = [...this.inner.children].find(
      (child) => child instanceof HTMLElement && Number(child.dataset.number) < task.number,
    );
    this.inner.insertBefore(card.root, below ?? null);
  }

  /** @param {number} index */
  #moveTo(index) {
    const task = this.#tasks[index];
    if (!task) return;
    this.root.scrollTop = scrollTopFor(index, this.root.scrollTop, this.root.clientHeight);
    this.#setCurrent(task.number);
    this.#render();
    const card = this.#cards.get(task.number);
    if (!card) return;
    card.current = true;
    card.root.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    const isOnCard = target instanceof HTMLElement && target.classList.contains("pika-card");
    const { clientHeight } = this.root;
    const index = indexAfterKey(event.key, this.#currentIndex, clientHeight, this.#tasks.length);
    const task = this.#tasks[this.#currentIndex];
    if (index !== undefined) {
      this.#moveTo(index);
      event.preventDefault();
    } else if (event.key === "Enter" && isOnCard && task) {
      this.#actions.open(task, target);
      event.preventDefault();
    } else if (["Delete", "Backspace"].includes(event.key)) {
      // The editor would delete the selected nodes of the graph.
      if (isOnCard) event.preventDefault();
    } else {
      return;
    }
    event.stopPropagation();
  }
}
