// @ts-check
// The sidebar tab with the tasks, and the commands that open it and the settings.

import { app } from "../../../scripts/app.js";
import { loadStyle } from "./dom.mjs";
import { openSettings, openTasks, TAB } from "./host.mjs";
import { loadStrings, t } from "./i18n.mjs";
import { fillSidebar } from "./sidebar.mjs";

loadStyle();
await loadStrings();

/** @type {HTMLElement | null} */
let container = null;
/** @type {(() => void) | null} */
let close = null;

/**
 * The editor calls this at each of its own redraws; the page is built once per container.
 * @param {HTMLElement} element
 */
function render(element) {
  if (element === container) return;
  destroy();
  container = element;
  close = fillSidebar(element);
}

function destroy() {
  close?.();
  close = null;
  container = null;
}

/**
 * @param {string} id
 * @param {string} name of its label in locales/
 * @param {string} iconName
 * @param {() => Promise<void>} action
 */
function command(id, name, iconName, action) {
  return { id: `Pika.${id}`, label: t(`commands.${name}`), icon: `pi pi-${iconName}`, function: action };
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
