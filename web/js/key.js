// @ts-check
// A run that fails for lack of a key asks for the key, instead of showing a bare error.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { loadStyle } from "./dom.mjs";
import { loadStrings } from "./i18n.mjs";
import { askForKey } from "./key_dialog.mjs";

loadStyle();
await loadStrings();

app.registerExtension({
  name: "pika.key",

  setup() {
    api.addEventListener("execution_error", ({ detail }) => {
      if (detail?.exception_type !== "pika.SettingsError") return;
      // Where even the settings cannot be read, ComfyUI's own dialog with the error stays.
      askForKey(detail.exception_message).catch(() => {});
    });
  },
});
