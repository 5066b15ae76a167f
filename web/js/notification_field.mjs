// @ts-check
// The switch for the browser's notifications. It asks for the permission when it is switched on.

/** @import { Look } from "./note.mjs" */
/** @import { NotificationState } from "./browser_notifications.mjs" */

import { notificationState, switchNotifications } from "./browser_notifications.mjs";
import { element } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { t } from "./i18n.mjs";
import { Note } from "./note.mjs";

/** @type {Record<NotificationState, Look>} */
const LOOKS = { on: "good", off: "", blocked: "warn", unsupported: "" };

export function notificationField() {
  const note = new Note();
  const box = element("input", { type: "checkbox" });
  const text = element("span", { textContent: t("settings.notifications.show") });
  const label = element("label", { className: "pika-check" }, box, text);

  /** @param {NotificationState} state */
  function show(state) {
    box.checked = state === "on";
    box.disabled = state === "unsupported";
    note.set(LOOKS[state], t(`settings.notifications.${state}`));
  }

  box.onchange = async () => {
    try {
      show(await switchNotifications(box.checked));
    } catch (error) {
      show(notificationState());
      note.set("bad", messageOf(error));
    }
  };
  show(notificationState());
  return element("div", { className: "pika-ui pika-field" }, label, note.root);
}
