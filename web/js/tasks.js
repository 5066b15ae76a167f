// The sidebar tab with the tasks, and the commands that lead there and to the settings.

import { app } from "../../../scripts/app.js";
import { element, loadStyle } from "./dom.mjs";
import { openSettings, openTasks, TAB } from "./host.mjs";
import { loadStrings } from "./i18n.mjs";
import { fillSidebar } from "./sidebar.mjs";

loadStyle();

let place = null;
let end = null;

// The editor calls this for every redraw of its own; ours is built once for each time it opens.
async function render(given) {
  if (given === place) return;
  destroy();
  place = given;
  try {
    await loadStrings();
  } catch (error) {
    given.replaceChildren(element("p", { textContent: error.message }));
    place = null;
    return;
  }
  if (given === place) end = fillSidebar(given);
}

function destroy() {
  end?.();
  end = null;
  place = null;
}

app.registerExtension({
  name: "pika.tasks",
  commands: [
    { id: "Pika.ShowTasks", label: "Pika: Show tasks", icon: "pi pi-video", function: openTasks },
    { id: "Pika.OpenSettings", label: "Pika: Settings", icon: "pi pi-cog", function: openSettings },
  ],
  menuCommands: [{ path: ["Pika"], commands: ["Pika.ShowTasks", "Pika.OpenSettings"] }],

  setup() {
    app.extensionManager?.registerSidebarTab?.({
      id: TAB,
      icon: "pi pi-video",
      title: "Pika",
      tooltip: "Pika",
      type: "custom",
      render,
      destroy,
    });
  },
});
