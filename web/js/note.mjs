// The line under a control: what holds, what went well, what went wrong.

import { element, icon, spinner } from "./dom.mjs";

const ICONS = { good: "check-circle", bad: "exclamation-circle", warn: "exclamation-triangle" };
const SAVED_FOR = 3000;

// `note.set(look, text)` with the look "", "good", "warn", "bad" or "busy".
export class Note {
  #lasting = ["", ""];
  #timer;

  constructor() {
    this.root = element("div", { className: "pika-note", ariaLive: "polite" });
  }

  set(look, text) {
    clearTimeout(this.#timer);
    this.#lasting = [look, text];
    this.#show(look, text);
  }

  // Shows a text for a moment, then what was there before.
  flash(look, text) {
    clearTimeout(this.#timer);
    this.#show(look, text);
    this.#timer = setTimeout(() => this.#show(...this.#lasting), SAVED_FOR);
  }

  #show(look, text) {
    this.root.className = `pika-note ${look}`;
    const mark = look === "busy" ? [spinner()] : ICONS[look] ? [icon(ICONS[look])] : [];
    this.root.replaceChildren(...(text ? [...mark, element("span", { textContent: text })] : []));
  }
}
