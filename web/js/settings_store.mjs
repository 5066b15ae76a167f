// The pack's settings as the server has them, for every control that shows a part of them.

import { get, post } from "./routes.mjs";
import { tasks } from "./task_store.mjs";

const shown = new Map();
let current = null;
let loading = null;

// Calls `show(settings, error)` now where they are known, and whenever they change, for as long as
// `control` is on the page.
export function showSettings(control, show) {
  shown.set(control, show);
  if (current) show(current, null);
  loadSettings().catch(() => {}); // told to every control below
}

export async function loadSettings() {
  loading ??= get("settings").finally(() => {
    loading = null;
  });
  try {
    tell(await loading, null);
  } catch (error) {
    tell(current, error);
    throw error;
  }
  return current;
}

// Changes some of them; null takes a value back to its default. Throws Refused.
export async function saveSettings(changes) {
  const { key_cleared: keyCleared = false, ...settings } = await post("settings", changes);
  tell(settings, null);
  tasks.forgetAnswers();
  return keyCleared;
}

function tell(settings, error) {
  current = settings;
  for (const [control, show] of shown) {
    if (control.isConnected) show(settings, error);
    else shown.delete(control);
  }
}
