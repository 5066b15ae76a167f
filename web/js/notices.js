// @ts-check
// Notices of tasks that end while the user looks elsewhere: a toast of the editor, and a
// notification of the browser where the user has switched it on.

import { app } from "../../../scripts/app.js";
import { notify } from "./browser_notifications.mjs";
import { loadStyle } from "./dom.mjs";
import { isInFront, openTasks, showNotice, watchFront, watchTaskEnds } from "./host.mjs";
import { loadStrings } from "./i18n.mjs";
import { Notices } from "./notices.mjs";
import { actions } from "./task_actions.mjs";
import { readTask } from "./task_requests.mjs";

loadStyle();
await loadStrings();

export const notices = new Notices(
  {
    isInFront,
    readTask,
    showToast: showNotice,
    notify,
    setTimer: (action, delay) => setTimeout(action, delay),
    openTask: (task) => actions.open({ ...task, elsewhere: false }, document.body),
    openTasks,
  },
  { minimumSeconds: 60 },
);

app.registerExtension({
  name: "pika.notices",

  setup() {
    watchFront(() => notices.pageChanged());
    // A notice that cannot be shown is in the sidebar all the same.
    watchTaskEnds((event) => notices.taskEnded(event).catch(() => {}));
  },
});
