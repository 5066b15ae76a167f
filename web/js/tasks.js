// The sidebar tab with the tasks, and the commands that lead there and to the settings.

import { app } from "../../../scripts/app.js";
import { loadStyle } from "./dom.mjs";
import { openSettings, openTasks, TAB } from "./host.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { fillSidebar } from "./sidebar.mjs";

loadStyle();
await loadStrings();

let place = null;
let end = null;

// The editor calls this for every redraw of its own; ours is built once for each time it opens.
function render(given) {
  if (given === place) return;
  destroy();
  place = given;
  end = fillSidebar(given);
}

function destroy() {
  end?.();
  end = null;
  place = null;
}

function command(id, name, iconName, does) {
  return { id: `Pika.${id}`, label: t(`commands.${name}`), icon: `pi pi-${iconName}`, function: does };
}

app.registerExtension({
  name: "pika.tasks",
  commands: [
    command("ShowTasks", "show_tasks", "video", openTasks),
    command("OpenSettings", "settings", "cog", openSettings),
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
