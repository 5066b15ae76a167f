// @ts-check
// Tells the server the editor's language, in which it writes the texts on the nodes.
//
// ComfyUI stores the language only when the user changes it. Until then it is the browser's, which
// the server does not know.

import { app } from "../../../scripts/app.js";
import { locale } from "./host.mjs";
import { loadStrings } from "./i18n.mjs";
import { post } from "./routes.mjs";

await loadStrings();

app.registerExtension({
  name: "pika.language",

  setup() {
    // Without an answer the texts are English, which is no reason to disturb the user.
    post("language", { language: locale() }).catch(() => {});
  },
});
