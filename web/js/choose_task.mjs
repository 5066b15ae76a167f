// A dialog with the journal's tasks, newest first. Text is set as text: a prompt is no markup.

const STYLE = `
.pika-tasks { width: min(720px, 90vw); max-height: 70vh; padding: 0; border-radius: 8px;
  border: 1px solid var(--border-color, #555); color: var(--input-text, #ddd);
  background: var(--comfy-menu-bg, #2a2a2a); font: 13px/1.4 sans-serif; }
.pika-tasks header { display: flex; gap: 8px; padding: 12px; position: sticky; top: 0;
  background: inherit; border-bottom: 1px solid var(--border-color, #555); }
.pika-tasks input { flex: 1; padding: 6px 8px; border-radius: 4px; color: inherit;
  border: 1px solid var(--border-color, #555); background: var(--comfy-input-bg, #222); }
.pika-tasks button { font: inherit; color: inherit; background: none; cursor: pointer;
  border: 1px solid transparent; border-radius: 4px; }
.pika-tasks header button { padding: 6px 12px; border-color: var(--border-color, #555); }
.pika-tasks ul { list-style: none; margin: 0; padding: 6px; }
.pika-tasks li button { display: grid; grid-template-columns: 6em 1fr 7em; gap: 2px 12px;
  width: 100%; padding: 8px; text-align: left; }
.pika-tasks li button:hover, .pika-tasks li button:focus-visible {
  background: var(--comfy-input-bg, #222); outline: 1px solid var(--p-primary-color, #69f); }
.pika-tasks .prompt { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.pika-tasks .age { text-align: right; }
.pika-tasks .id { grid-column: 2 / -1; opacity: 0.7; font-size: 11px; }
.pika-tasks p { padding: 6px 18px 18px; margin: 0; }
`;

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

// Resolves to the chosen task's id, or to null where none was chosen.
export function chooseTask(fetchTasks) {
  const dialog = element("dialog", "pika-tasks");
  const style = element("style", "", STYLE);
  const search = element("input");
  search.type = "search";
  search.placeholder = "Search prompt, state or id";
  search.setAttribute("aria-label", search.placeholder);
  const close = element("button", "", "Close");
  close.type = "button";
  const header = element("header");
  header.append(search, close);
  const body = element("div");
  body.append(element("p", "", "Loading…"));
  dialog.append(style, header, body);
  document.body.append(dialog);

  return new Promise((resolve) => {
    let chosen = null;
    const choose = (taskId) => {
      chosen = taskId;
      dialog.close();
    };
    close.onclick = () => dialog.close();
    dialog.onclose = () => {
      dialog.remove();
      resolve(chosen);
    };
    dialog.showModal();
    fetchTasks().then(
      (tasks) => {
        const show = () => body.replaceChildren(list(tasks, search.value, choose));
        search.oninput = show;
        show();
      },
      (error) => body.replaceChildren(element("p", "", `The tasks could not be read. ${error.message}`)),
    );
  });
}

function list(tasks, sought, choose) {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const found = tasks.filter((task) => {
    const text = `${task.prompt} ${task.state} ${task.task_id}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  if (!found.length) {
    return element("p", "", tasks.length ? "No task matches." : "No task yet. Pika Generate makes one.");
  }
  const rows = element("ul");
  for (const task of found) {
    const row = element("li");
    const button = element("button");
    button.type = "button";
    button.append(
      element("span", "state", task.state),
      element("span", "prompt", task.prompt || "(made elsewhere)"),
      element("span", "age", age(task.created_at)),
      element("span", "id", task.task_id),
    );
    button.onclick = () => choose(task.task_id);
    row.append(button);
    rows.append(row);
  }
  return rows;
}

function age(createdAt) {
  const seconds = Math.max(Date.now() / 1000 - createdAt, 0);
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / length), unit);
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
