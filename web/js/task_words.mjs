// What a task is called, and what is said of it.

import { has, t } from "./i18n.mjs";

export function stateWord(task) {
  const word = t(`tasks.state.${task.state}`);
  return task.state === "running" && task.progress ? `${word} ${task.progress} %` : word;
}

// What its state means, where that wants a word: for the money, and for what to do next.
export function explanation(task) {
  const key = `tasks.explain.${task.state}`;
  return has(key) ? t(key) : "";
}

// What went wrong, or why nothing more is heard of it.
export function trouble(task) {
  return task.elsewhere ? t("tasks.elsewhere") : task.error;
}

// Whether there is a file to be seen, here or still at the gateway.
export function hasFile(task) {
  return task.state === "finished" || task.state === "saved";
}

export function promptOf(task) {
  return task.prompt || t("tasks.no_prompt");
}

export function shortId(task) {
  return task.task_id ? task.task_id.slice(0, 8) : `#${task.number}`;
}

// Those in which every word of the search is found: in prompt, state or id.
export function matching(list, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return list;
  return list.filter((task) => {
    const text = `${task.prompt} ${t(`tasks.state.${task.state}`)} ${task.state} ${task.task_id}`;
    const lower = text.toLowerCase();
    return words.every((word) => lower.includes(word));
  });
}
