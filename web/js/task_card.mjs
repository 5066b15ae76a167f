// @ts-check
// One task in the sidebar: thumbnail, prompt, state, and buttons for what can be done with it.

/** @import { Action, Actions } from "./task_actions.mjs" */
/** @import { KnownTask, TaskState } from "./types.mjs" */

import { element, icon, iconButton } from "./dom.mjs";
import { ago, t } from "./i18n.mjs";
import { costOf } from "./money.mjs";
import { currency } from "./settings_store.mjs";
import { thumbnailUrl } from "./task_requests.mjs";
import { hasFile, isUnderWay, isUnknown } from "./task_states.mjs";
import { explanation, problemOf, promptOf, settingsText, shortId, stateWord } from "./task_words.mjs";

/** @type {Partial<Record<TaskState, string>>} */
const ICONS = { failed: "times", refused: "ban", unknown: "question" };

/**
 * The thumbnails that the server did not have. They are not asked for again while the page is open.
 * @type {Set<string>}
 */
const missingThumbnails = new Set();

export class Card {
  #task;
  /** The task in the card, as JSON. */
  #json = "";

  /**
   * @param {KnownTask} task
   * @param {Actions} actions
   */
  constructor(task, actions) {
    this.#task = task;
    const open = () => actions.open(this.#task, this.thumbnail);
    /**
     * @param {Action} name
     * @param {string} iconName
     */
    const actionButton = (name, iconName) => {
      const created = iconButton(iconName, t(`tasks.do.${name}`), async () => {
        await actions[name](this.#task, created);
        // The button may have no use any more. Then nothing has the focus after its dialog.
        if (created.hidden && document.activeElement === document.body) this.root.focus();
      });
      return created;
    };
    this.thumbnail = element("button", { type: "button", className: "thumbnail", onclick: open });
    this.prompt = element("div", { className: "prompt" });
    this.error = element("div", { className: "error" });
    this.state = element("span", { className: "state" });
    this.details = element("span", { className: "details" });
    this.settings = element("div", { className: "settings" });
    this.add = actionButton("add", "plus-circle");
    this.workflow = actionButton("workflow", "sitemap");
    this.again = actionButton("again", "sliders-h");
    this.copy = actionButton("copy", "copy");
    this.settle = actionButton("settle", "pencil");
    const others = [actionButton("request", "code"), actionButton("forget", "trash")];
    const withIcon = [this.add, this.again, this.workflow, this.copy, this.settle, ...others];
    this.buttons = [this.thumbnail, ...withIcon];
    const actionBar = element("div", { className: "actions" }, ...withIcon);
    const meta = element("div", { className: "meta" }, this.state, this.details);
    const text = element("div", { className: "text" }, this.prompt, this.error, this.settings, meta, actionBar);
    this.fill = element("div", { className: "fill" });
    this.bar = element("div", { className: "bar", role: "progressbar" }, this.fill);
    this.root = element("div", { className: "pika-card", role: "listitem", tabIndex: -1 });
    this.root.append(this.thumbnail, text, this.bar);
    this.root.ondblclick = (event) => {
      if (event.target instanceof Element && !event.target.closest("button")) open();
    };
  }

  /**
   * Whether Tab stops at this card and its buttons: it does at one card of the list.
   * @param {boolean} isCurrent
   */
  set current(isCurrent) {
    for (const target of [this.root, ...this.buttons]) target.tabIndex = isCurrent ? 0 : -1;
  }

  /**
   * @param {KnownTask} task
   * @param {number} index in the list
   * @param {number} count the length of the list
   */
  show(task, index, count) {
    this.root.ariaPosInSet = String(index + 1);
    this.root.ariaSetSize = String(count);
    this.#task = task;
    this.updateAge();
    const json = JSON.stringify(task);
    if (json === this.#json) return;
    this.#json = json;
    const prompt = promptOf(task);
    const state = stateWord(task);
    const problem = problemOf(task);
    this.root.dataset.state = task.state;
    this.root.dataset.number = String(task.number);
    this.root.classList.toggle("has-problem", Boolean(problem));
    this.root.ariaLabel = `${prompt}. ${state}. ${problem}`;
    this.prompt.title = prompt;
    this.prompt.textContent = prompt;
    this.error.textContent = problem;
    this.error.title = [problem, explanation(task)].filter(Boolean).join("\n\n");
    this.settings.textContent = settingsText(task);
    this.settings.title = this.settings.textContent;
    this.state.textContent = state;
    this.add.hidden = this.copy.hidden = !task.task_id;
    this.settle.hidden = !isUnknown(task);
    this.bar.hidden = !isUnderWay(task);
    this.bar.ariaValueNow = String(task.progress);
    this.bar.ariaLabel = state;
    this.fill.style.width = `${Math.max(task.progress, 2)}%`;
    this.thumbnail.title = t(hasFile(task) ? "tasks.do.open" : "tasks.do.details");
    this.thumbnail.ariaLabel = this.thumbnail.title;
    this.#showThumbnail(task);
  }

  updateAge() {
    const { cost, meaning } = costOf(this.#task, currency());
    const parts = [ago(this.#task.created_at), cost, shortId(this.#task)];
    this.details.textContent = parts.filter(Boolean).join(" · ");
    this.details.title = [this.#task.task_id, meaning].filter(Boolean).join("\n");
  }

  /** @param {KnownTask} task */
  #showThumbnail(task) {
    const url = thumbnailUrl(task);
    const placeholder = icon(ICONS[task.state] ?? (isUnderWay(task) ? "hourglass" : "video"));
    if (!hasFile(task) || missingThumbnails.has(url)) {
      this.thumbnail.replaceChildren(placeholder);
      return;
    }
    const picture = element("img", { alt: "", decoding: "async", draggable: false });
    picture.onerror = () => {
      missingThumbnails.add(url);
      picture.replaceWith(placeholder);
    };
    picture.src = url;
    const mark = task.kind === "image" ? [] : [element("span", { className: "play" }, icon("play"))];
    this.thumbnail.replaceChildren(picture, ...mark);
  }
}
