// What a bug report needs, to be pasted into one: the server leaves out key, prompts and user name.

import { button, copyText, element } from "./dom.mjs";
import { openDialog, paragraphs } from "./dialogs.mjs";
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
      const { text } = await get("diagnostics?connection=1");
      await hand(text, root);
      note.set("good", t("settings.diagnostics.copied"));
    } catch (error) {
      note.set("bad", error.message);
    }
    copy.disabled = false;
    copy.focus();
  });
  root.append(copy, note.root);
  return root;
}

// A browser may not let a page copy so long after the click: then it is shown, and chosen.
async function hand(text, within) {
  try {
    await copyText(text, within);
  } catch {
    const { body, closed } = openDialog(t("settings.labels.diagnostics"), { wide: true });
    const shown = element("pre", { textContent: text, tabIndex: 0 });
    body.append(...paragraphs(t("settings.diagnostics.by_hand")), shown);
    shown.focus();
    getSelection().selectAllChildren(shown);
    await closed;
  }
}
