// A run that ends for want of a key: the way to the key, in place of a bare error.

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
      // Where ComfyUI does not even tell the settings, its own dialog with the error stays.
      askForKey(detail.exception_message).catch(() => {});
    });
  },
});
