// @ts-check
// Copies a text for a bug report. The server leaves out the key, the prompts and the user's name.

import { button, copyText, element } from "./dom.mjs";
import { openDialog, paragraphs } from "./dialogs.mjs";
import { messageOf } from "./errors.mjs";
import { t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { get } from "./routes.mjs";

export function diagnosticsField() {
  const note = new Note();
  const root = element("div", { className: "pika-ui pika-field" });
  const copy = button(t("settings.diagnostics.button"), async () => {
    copy.disabled = true;
    note.set("busy", t("settings.test.running"));
    try {
      /** @type {{ text: string }} */
      const { text } = await get("diagnostics?connection=1");
      await copyOrShow(text, root);
      note.set("good", t("settings.diagnostics.copied"));
    } catch (error) {
      note.set("bad", messageOf(error));
    }
    copy.disabled = false;
    copy.focus();
  });
  root.append(copy, note.root);
  return root;
}

/**
 * A browser may not let the page copy so long after the click. Then the text is shown, selected.
 * @param {string} text
 * @param {HTMLElement} within
 */
async function copyOrShow(text, within) {
  try {
    await copyText(text, within);
  } catch {
    const { body, closed } = openDialog(t("settings.labels.diagnostics"), { wide: true });
    const content = element("pre", { textContent: text, tabIndex: 0 });
    body.append(...paragraphs(t("settings.diagnostics.by_hand")), content);
    content.focus();
    getSelection()?.selectAllChildren(content);
    await closed;
  }
}
