// The page Settings → Pika. Nothing of it is kept in ComfyUI's own settings, which every client can
// read: the pack's routes keep it.

import { app } from "../../../scripts/app.js";
import { element, loadStyle } from "./dom.mjs";
import { addressField, choiceField, connectionField, numberField } from "./fields.mjs";
import { loadStrings } from "./i18n.mjs";
import { keyField } from "./key_field.mjs";

loadStyle();

// The editor wants the element at once; what is in it comes with the strings.
function later(make) {
  return () => {
    const place = element("div");
    loadStrings().then(
      () => place.replaceChildren(make()),
      (error) => place.replaceChildren(element("span", { textContent: error.message })),
    );
    return place;
  };
}

// Name and tooltip shown are those of locales/<language>/settings.json; these are for want of them.
function setting(id, name, tooltip, group, sortOrder, make) {
  const category = ["Pika", group, id];
  return { id: `Pika.${id}`, name, tooltip, category, sortOrder, type: later(make) };
}

app.registerExtension({
  name: "pika.settings",
  settings: [
    setting("ApiKey", "API key", "The key of your account.", "Gateway", 120, keyField),
    setting("BaseUrl", "Base URL", "The gateway's address.", "Gateway", 110, addressField),
    setting("Connection", "Connection", "Costs nothing.", "Gateway", 100, connectionField),
    setting("Base64Style", "Form of media", "Bare Base64, or data: URIs.", "Requests", 30, () =>
      choiceField("base64_style"),
    ),
    setting("MaxRequests", "Requests at once", "The others wait.", "Requests", 20, () =>
      numberField("max_requests"),
    ),
    setting("MaxBodyMb", "Largest request", "In megabytes.", "Requests", 10, () =>
      numberField("max_body_mb"),
    ),
  ],
});
