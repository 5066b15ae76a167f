// Dialogs of ours: the browser's own, on top of all that the editor shows.

import { button, element, iconButton } from "./dom.mjs";
import { t } from "./i18n.mjs";

// Opens a dialog. Returns {dialog, body, foot, close, closed}; `closed` resolves to what `close` was
// called with, or to null.
export function openDialog(title, { wide = false } = {}) {
  let answer = null;
  const body = element("div", { className: "pika-body" });
  const foot = element("footer");
  const dialog = element("dialog", { className: `pika-ui pika-dialog ${wide ? "wide" : ""}` });
  const close = (value = null) => {
    answer = value;
    dialog.close();
  };
  const heading = element("h2", { textContent: title });
  const header = element("header", {}, heading, iconButton("times", t("common.close"), () => close()));
  dialog.ariaLabel = title;
  dialog.append(header, body, foot);
  // The editor's shortcuts, and dialogs below this one, are not meant.
  dialog.onkeydown = (event) => event.stopPropagation();
  dialog.onpointerdown = (event) => {
    if (event.target === dialog && !isInside(dialog, event)) close();
  };
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

function isInside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}

export function paragraphs(...texts) {
  return texts.filter(Boolean).map((text) => element("p", { textContent: text }));
}

// Asks before something is done; `action` names it on the button. Resolves to true or false.
export async function confirmed(title, texts, action) {
  const { body, foot, close, closed } = openDialog(title);
  body.append(...paragraphs(...texts));
  const cancel = button(t("common.cancel"), () => close(false));
  foot.append(cancel, button(action, () => close(true), { look: "danger" }));
  cancel.focus();
  return (await closed) === true;
}
