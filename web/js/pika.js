// ComfyUI-Pika in the editor.

import { app } from "../../../scripts/app.js";

app.registerExtension({
  name: "pika.generate",

  // Another seed is another paid task, and ComfyUI's own default gives a new node another seed
  // after every run. A node of ours starts with "fixed"; a saved workflow keeps what it has, since
  // its values are laid over the new node after this.
  nodeCreated(node) {
    if (node.comfyClass !== "PikaGenerate") return;
    const seed = node.widgets?.find((widget) => widget.name === "seed");
    const control = seed?.linkedWidgets?.find((widget) => widget.options?.values?.includes?.("fixed"));
    if (control) control.value = "fixed";
  },
});
