// Pika History's list of tasks: a button on the node opens it, a choice goes into task_id.

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
    const button = node.addWidget("button", t("choose.button"), null, async () => {
      const taskId = await chooseTask();
      const widget = node.widgets.find((candidate) => candidate.name === "task_id");
      if (taskId && widget) {
        widget.value = taskId;
        app.graph?.setDirtyCanvas?.(true, true);
      }
    });
    button.serialize = false; // it holds no value, and must not stand in saved workflows
  },
});
