// @ts-check
// A button on Pika History opens the list of tasks; the choice goes into the node's task_id.

import { app } from "../../../scripts/app.js";
import { chooseTask } from "./choose_task.mjs";
import { loadStyle } from "./dom.mjs";
import { loadStrings, t } from "./i18n.mjs";

loadStyle();
await loadStrings();

app.registerExtension({
  name: "pika.history",

  nodeCreated(node) {
    if (node.comfyClass !== "PikaHistory") return;
    const choose = async () => {
      const taskId = await chooseTask();
      const widget = node.widgets?.find((candidate) => candidate.name === "task_id");
      if (taskId && widget) {
        widget.value = taskId;
        app.graph?.setDirtyCanvas?.(true, true);
      }
    };
    // The button has no value: it must be neither in a saved workflow nor in what a run sends.
    const button = node.addWidget("button", t("choose.button"), "", choose, { serialize: false });
    button.serialize = false;
  },
});
