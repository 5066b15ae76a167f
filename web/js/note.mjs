// @ts-check
// The line under a control: its state, success or failure.

import { element, icon, spinner } from "./dom.mjs";

/** @typedef {"" | "good" | "warn" | "bad" | "busy"} Look */

/** @type {Partial<Record<Look, string>>} */
const ICONS = { good: "check-circle", bad: "exclamation-circle", warn: "exclamation-triangle" };
const FLASH_MS = 3000;

export class Note {
  /** @type {[Look, string]} */
  #lasting = ["", ""];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    this.root = element("div", { className: "pika-note", ariaLive: "polite" });
  }

  /**
   * Shows a text until the next one.
   * @param {Look} look
   * @param {string} text
   */
  set(look, text) {
    clearTimeout(this.#timer);
    this.#lasting = [look, text];
    this.#show(look, text);
  }

  /**
   * Shows a text for a moment, then the one before it.
   * @param {Look} look
   * @param {string} text
   */
  flash(look, text) {
    clearTimeout(this.#timer);
    this.#show(look, text);
    this.#timer = setTimeout(() => this.#show(...this.#lasting), FLASH_MS);
  }

  /**
   * @param {Look} look
   * @param {string} text
   */
  #show(look, text) {
    this.root.className = `pika-note ${look}`;
    const name = ICONS[look];
    const mark = look === "busy" ? [spinner()] : name ? [icon(name)] : [];
    this.root.replaceChildren(...(text ? [...mark, element("span", { textContent: text })] : []));
  }
}
