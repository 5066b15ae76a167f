// A list of cards of which only those in sight are in the page, however many there are.

import { element } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { Card } from "./task_card.mjs";

// As in pika.css.
const HEIGHT = 100;
const AROUND = 4;

export class TaskList {
  #tasks = [];
  #cards = new Map();
  // The number of the task that has, or would get, the focus.
  #current = null;
  #does;

  constructor(does) {
    this.#does = does;
    this.inner = element("div", { className: "pika-cards", role: "list", ariaLabel: t("tasks.list") });
    this.root = element("div", { className: "pika-scroll" }, this.inner);
    this.root.onscroll = () => this.#render();
    this.root.onkeydown = (event) => this.#onKey(event);
    this.inner.addEventListener("focusin", (event) => {
      const card = event.target.closest(".pika-card");
      if (card) this.#setCurrent(Number(card.dataset.number));
    });
    new ResizeObserver(() => this.#render()).observe(this.root);
  }

  // What is looked at stays where it is, whatever comes above it.
  show(tasks) {
    const top = this.root.scrollTop;
    const anchor = this.#tasks[Math.floor(top / HEIGHT)]?.number;
    const before = this.#indexOf(anchor);
    const currentBefore = this.#indexOf(this.#current);
    const hadFocus = this.inner.contains(document.activeElement);
    this.#tasks = tasks;
    this.inner.style.height = `${tasks.length * HEIGHT}px`;
    const after = this.#indexOf(anchor);
    if (top > 0 && after > -1 && after !== before) this.root.scrollTop = top + (after - before) * HEIGHT;
    const gone = this.#indexOf(this.#current) === -1;
    if (gone) {
      const near = Math.min(Math.max(currentBefore, 0), tasks.length - 1);
      this.#current = tasks[near]?.number ?? null;
    }
    this.#render();
    if (gone && hadFocus) this.focus();
  }

  focus() {
    this.#go(this.#indexOf(this.#current));
  }

  toTop() {
    this.root.scrollTop = 0;
  }

  age() {
    for (const card of this.#cards.values()) card.age();
  }

  #indexOf(number) {
    return this.#tasks.findIndex((task) => task.number === number);
  }

  #setCurrent(number) {
    this.#cards.get(this.#current)?.root && (this.#cards.get(this.#current).current = false);
    this.#current = number;
    const card = this.#cards.get(number);
    if (card) card.current = true;
  }

  #render() {
    const { scrollTop, clientHeight } = this.root;
    const first = Math.max(Math.floor(scrollTop / HEIGHT) - AROUND, 0);
    const last = Math.min(Math.ceil((scrollTop + clientHeight) / HEIGHT) + AROUND, this.#tasks.length);
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.#tasks[index].number, index);
    // Were the one with the focus taken away, the focus would be lost.
    const current = this.#indexOf(this.#current);
    if (current > -1) wanted.set(this.#current, current);
    for (const [number, card] of this.#cards) {
      if (wanted.has(number)) continue;
      card.root.remove();
      this.#cards.delete(number);
    }
    for (const [number, index] of wanted) this.#place(number, index);
  }

  #place(number, index) {
    let card = this.#cards.get(number);
    if (!card) {
      card = new Card(this.#does);
      card.current = number === this.#current;
      this.#cards.set(number, card);
    }
    card.show(this.#tasks[index], index, this.#tasks.length);
    card.root.style.top = `${index * HEIGHT}px`;
    if (card.root.isConnected) return;
    // In the order of the list: Tab and screen readers go by it.
    const next = [...this.inner.children].find((other) => Number(other.dataset.number) < number);
    this.inner.insertBefore(card.root, next ?? null);
  }

  #go(index) {
    if (!this.#tasks.length) return;
    const at = Math.min(Math.max(index, 0), this.#tasks.length - 1);
    const top = at * HEIGHT;
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    if (top + HEIGHT > scrollTop + clientHeight) this.root.scrollTop = top + HEIGHT - clientHeight;
    this.#setCurrent(this.#tasks[at].number);
    this.#render();
    const card = this.#cards.get(this.#current);
    card.current = true;
    card.root.focus({ preventScroll: true });
  }

  #onKey(event) {
    const at = this.#indexOf(this.#current);
    const page = Math.max(Math.floor(this.root.clientHeight / HEIGHT) - 1, 1);
    const onCard = event.target.classList.contains("pika-card");
    const moves = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#tasks.length - 1,
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // The editor would take these two for the graph's selected nodes.
    if (["Delete", "Backspace"].includes(event.key)) event.stopPropagation();
    else if (event.key in moves) this.#go(moves[event.key]);
    else if (event.key === "Enter" && onCard) this.#does.open(this.#tasks[at]);
    else return;
    event.stopPropagation();
    if (event.key in moves || onCard) event.preventDefault();
  }
}
