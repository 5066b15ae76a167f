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

  // Before the nodes are made, so that none looks for the picture in vain.
  async beforeConfigureGraph(workflow) {
    const offered = offeredPictures();
    if (!offered || offered.includes(NAME) || !workflow?.nodes?.some(wantsPicture)) return;
    try {
      await upload();
      offered.push(NAME);
    } catch (error) {
      toast("error", t("example.failed"), error.message);
    }
  },
});

function wantsPicture({ type, widgets_values: values }) {
  return type === "LoadImage" && Array.isArray(values) && values[0] === NAME;
}

// The list behind every LoadImage's choice, as the editor read it from the server; newer servers
// write it in another form.
function offeredPictures() {
  const definition = window.LiteGraph?.registered_node_types?.LoadImage?.nodeData;
  const [form, details] = definition?.input?.required?.image ?? [];
  return [form, details?.options].find(Array.isArray);
}

async function upload() {
  const picture = await fetch(PICTURE);
  if (!picture.ok) throw new Error(`HTTP ${picture.status}`);
  const body = new FormData();
  body.append("image", await picture.blob(), NAME);
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
}
