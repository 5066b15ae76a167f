// The page Settings → Pika. Nothing of it is kept in ComfyUI's own settings, which every client can
// read: the pack's routes keep it.

import { app } from "../../../scripts/app.js";
import { diagnosticsField } from "./diagnostics_field.mjs";
import { loadStyle } from "./dom.mjs";
import { addressField, choiceField, connectionField, numberField } from "./fields.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { keyField } from "./key_field.mjs";

loadStyle();
// Names are given here in the user's language, and not by a settings.json of locales/: editors of
// 2025 lose a pack's translations when they load a language other than English.
await loadStrings();

function setting(id, name, group, sortOrder, type) {
  const category = ["Pika", t(`settings.groups.${group}`), id];
  const texts = { name: t(`settings.labels.${name}`), tooltip: t(`settings.tips.${name}`) };
  return { id: `Pika.${id}`, ...texts, category, sortOrder, type };
}

app.registerExtension({
  name: "pika.settings",
  settings: [
    setting("ApiKey", "api_key", "gateway", 120, keyField),
    setting("BaseUrl", "base_url", "gateway", 110, addressField),
    setting("Connection", "connection", "gateway", 100, connectionField),
    setting("Base64Style", "base64_style", "requests", 30, () => choiceField("base64_style")),
    setting("MaxRequests", "max_requests", "requests", 20, () => numberField("max_requests")),
    setting("MaxBodyMb", "max_body_mb", "requests", 10, () => numberField("max_body_mb")),
    setting("Diagnostics", "diagnostics", "help", 0, diagnosticsField),
  ],
});
