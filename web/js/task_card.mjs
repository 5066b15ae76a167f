// One task in the sidebar: poster, prompt, state, and what can be done with it.

import { element, icon, iconButton } from "./dom.mjs";
import { address } from "./host.mjs";
import { ago, t } from "./i18n.mjs";
import { explanation, hasFile, promptOf, shortId, stateWord, trouble } from "./task_words.mjs";
import { isUnderWay } from "./task_store.mjs";

const ICONS = { failed: "times", refused: "ban", unknown: "question" };

// Posters that were not to be had are not asked for again while the page is open.
const missing = new Set();

// `does` has a function each for open, add, copy, request, forget; all take the task and the button.
export class Card {
  #task = null;
  #shown = "";

  constructor(does) {
    const act = (name, iconName) => {
      const made = iconButton(iconName, t(`tasks.do.${name}`), () => does[name](this.#task, made));
      return made;
    };
    this.poster = element("button", { type: "button", className: "poster", onclick: () => does.open(this.#task) });
    this.prompt = element("div", { className: "prompt" });
    this.error = element("div", { className: "error" });
    this.state = element("span", { className: "state" });
    this.more = element("span", { className: "more" });
    this.add = act("add", "plus-circle");
    this.copy = act("copy", "copy");
    this.buttons = [this.poster, this.add, this.copy, act("request", "code"), act("forget", "trash")];
    const actions = element("div", { className: "actions" }, ...this.buttons.slice(1));
    const meta = element("div", { className: "meta" }, this.state, this.more);
    const text = element("div", { className: "text" }, this.prompt, this.error, meta, actions);
    this.bar = element("div", { className: "fill" });
    this.track = element("div", { className: "bar", role: "progressbar" }, this.bar);
    this.root = element("div", { className: "pika-card", role: "listitem", tabIndex: -1 });
    this.root.append(this.poster, text, this.track);
    this.root.ondblclick = (event) => {
      if (!event.target.closest("button")) does.open(this.#task);
    };
  }

  get task() {
    return this.#task;
  }

  // The one card that Tab comes to has its actions there too.
  set current(isCurrent) {
    for (const target of [this.root, ...this.buttons]) target.tabIndex = isCurrent ? 0 : -1;
  }

  show(task, index, count) {
    this.root.ariaPosInSet = String(index + 1);
    this.root.ariaSetSize = String(count);
    this.#task = task;
    this.age();
    const text = JSON.stringify(task);
    if (text === this.#shown) return;
    this.#shown = text;
    const underWay = isUnderWay(task);
    this.root.dataset.state = task.state;
    this.root.dataset.number = task.number;
    this.prompt.title = promptOf(task);
    this.more.title = task.task_id ?? "";
    this.prompt.textContent = promptOf(task);
    const error = trouble(task);
    this.error.textContent = error;
    this.error.title = [error, explanation(task)].filter(Boolean).join("\n\n");
    this.root.classList.toggle("told", Boolean(error));
    this.state.textContent = stateWord(task);
    this.add.hidden = this.copy.hidden = !task.task_id;
    this.track.hidden = !underWay;
    this.track.ariaValueNow = String(task.progress);
    this.track.ariaLabel = stateWord(task);
    this.bar.style.width = `${Math.max(task.progress, 2)}%`;
    this.root.ariaLabel = `${promptOf(task)}. ${stateWord(task)}. ${error}`;
    this.poster.title = t(hasFile(task) ? "tasks.do.open" : "tasks.do.details");
    this.poster.ariaLabel = this.poster.title;
    this.#showPoster(task, underWay);
  }

  age() {
    this.more.textContent = `${ago(this.#task.created_at)} · ${shortId(this.#task)}`;
  }

  #showPoster(task, underWay) {
    const url = address(`/pika/tasks/${task.number}/poster?v=${task.state}`);
    const stand = icon(ICONS[task.state] ?? (underWay ? "hourglass" : "video"));
    if (!hasFile(task) || missing.has(url)) return this.poster.replaceChildren(stand);
    const picture = element("img", { alt: "", decoding: "async", draggable: false });
    picture.onerror = () => {
      missing.add(url);
      picture.replaceWith(stand);
    };
    picture.src = url;
    const mark = task.kind === "image" ? [] : [element("span", { className: "play" }, icon("play"))];
    return this.poster.replaceChildren(picture, ...mark);
  }
}
