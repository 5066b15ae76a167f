// @ts-check
// The picture of the example workflows. A new ComfyUI does not have it in its input folder, so
// opening an example that loads it uploads it.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { messageOf } from "./errors.mjs";
import { showToast } from "./host.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { loadImageChoices } from "./workarounds.mjs";

await loadStrings();

const NAME = "pika_example.jpg";
const PICTURE = new URL(`../example/${NAME}`, import.meta.url);

app.registerExtension({
  name: "pika.example_input",

  // Before the nodes are created: they look for the picture at once.
  async beforeConfigureGraph(workflow) {
    const choices = loadImageChoices();
    if (!choices || choices.includes(NAME) || !workflow?.nodes?.some(loadsPicture)) return;
    try {
      await upload();
      choices.push(NAME);
    } catch (error) {
      showToast("error", t("example.failed"), messageOf(error));
    }
  },
});

/** @param {{ type?: string, widgets_values?: unknown }} node of a saved workflow */
function loadsPicture({ type, widgets_values: values }) {
  return type === "LoadImage" && Array.isArray(values) && values[0] === NAME;
}

async function upload() {
  const picture = await fetch(PICTURE);
  if (!picture.ok) throw new Error(`HTTP ${picture.status}`);
  const body = new FormData();
  body.append("image", await picture.blob(), NAME);
  const response = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
}
