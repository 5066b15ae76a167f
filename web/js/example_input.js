// The examples' picture. A fresh ComfyUI lacks it in its input folder: an example that asks for it
// brings it along.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { toast } from "./host.mjs";
import { loadStrings, t } from "./i18n.mjs";

await loadStrings();

const NAME = "pika_example.jpg";
const PICTURE = new URL(`../example/${NAME}`, import.meta.url);

app.registerExtension({
  name: "pika.example_input",

  async afterConfigureGraph() {
    const wanting = app.graph.nodes.map(pictureWidget).filter(Boolean);
    if (!wanting.length) return;
    try {
      await upload();
    } catch (error) {
      toast("error", t("example.failed"), error.message);
      return;
    }
    for (const widget of wanting) offer(widget);
  },
});

// The widget of a node that asks for the picture where ComfyUI does not have it.
function pictureWidget(node) {
  if (node.comfyClass !== "LoadImage") return null;
  const widget = node.widgets?.find((candidate) => candidate.name === "image");
  const values = widget?.options?.values;
  return widget?.value === NAME && Array.isArray(values) && !values.includes(NAME) ? widget : null;
}

async function upload() {
  const picture = await fetch(PICTURE);
  if (!picture.ok) throw new Error(`HTTP ${picture.status}`);
  const body = new FormData();
  body.append("image", await picture.blob(), NAME);
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
}

// As if the user had chosen it: the node shows the picture then.
function offer(widget) {
  const { values } = widget.options;
  if (!values.includes(NAME)) values.push(NAME);
  widget.value = NAME;
  widget.callback?.(NAME);
}
