// Pika History's list of tasks: a button on the node opens it, a choice goes into task_id.

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { chooseTask } from "./choose_task.mjs";

app.registerExtension({
  name: "pika.history",

  nodeCreated(node) {
    if (node.comfyClass !== "PikaHistory") return;
    const button = node.addWidget("button", "choose a task", null, async () => {
      const taskId = await chooseTask(() => fetchTasks());
      const widget = node.widgets.find((candidate) => candidate.name === "task_id");
      if (taskId && widget) {
        widget.value = taskId;
        app.graph?.setDirtyCanvas?.(true, true);
      }
    });
    button.serialize = false; // it holds no value, and must not stand in saved workflows
  },
});

async function fetchTasks() {
  const answer = await api.fetchApi("/pika/tasks");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? `HTTP ${answer.status}`);
  return body;
}
