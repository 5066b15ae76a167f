// @ts-check
// The pack's dialogs: modal ones of the browser, above everything that the editor shows.

import { button, element, iconButton } from "./dom.mjs";
import { t } from "./i18n.mjs";

/**
 * @template Answer
 * @typedef {object} OpenDialog
 * @property {HTMLDialogElement} dialog
 * @property {HTMLElement} body
 * @property {HTMLElement} foot
 * @property {(answer?: Answer | null) => void} close
 * @property {Promise<Answer | null>} closed what `close` was called with, or null
 */

/**
 * Opens a dialog.
 * @template [Answer=never]
 * @param {string} title
 * @param {{ wide?: boolean }} [options]
 * @returns {OpenDialog<Answer>}
 */
export function openDialog(title, { wide = false } = {}) {
  /** @type {Answer | null} */
  let answer = null;
  const body = element("div", { className: "pika-body" });
  const foot = element("footer");
  const dialog = element("dialog", { className: `pika-ui pika-dialog ${wide ? "wide" : ""}` });
  /** @param {Answer | null} [value] */
  const close = (value = null) => {
    answer = value;
    dialog.close();
  };
  const heading = element("h2", { textContent: title });
  const header = element("header", {}, heading, iconButton("times", t("common.close"), () => close()));
  dialog.ariaLabel = title;
  dialog.append(header, body, foot);
  // Keys in the dialog are not meant for the editor's shortcuts or for a dialog below.
  dialog.onkeydown = (event) => event.stopPropagation();
  dialog.onpointerdown = (event) => {
    if (event.target === dialog && !isInside(dialog, event)) close();
  };
  /** @type {Promise<Answer | null>} */
  const closed = new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      resolve(answer);
    };
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, body, foot, close, closed };
}

/**
 * @param {HTMLElement} dialog
 * @param {PointerEvent} event
 */
function isInside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}

/** @param {...(string | null)} texts empty ones are left out */
export function paragraphs(...texts) {
  return texts.flatMap((text) => (text ? [element("p", { textContent: text })] : []));
}

/**
 * Asks before an action.
 * @param {string} title
 * @param {(string | null)[]} texts
 * @param {string} action names the action on its button
 * @returns {Promise<boolean>}
 */
export async function confirmed(title, texts, action) {
  /** @type {OpenDialog<boolean>} */
  const { body, foot, close, closed } = openDialog(title);
  body.append(...paragraphs(...texts));
  const cancel = button(t("common.cancel"), () => close(false));
  foot.append(cancel, button(action, () => close(true), { look: "danger" }));
  cancel.focus();
  return (await closed) === true;
}
