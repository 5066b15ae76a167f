// @ts-check
// The pack's settings as the server has them, for every control that shows a part of them.

/** @import { Settings } from "./types.mjs" */

import { asError } from "./errors.mjs";
import { get, post } from "./routes.mjs";
import { tasks } from "./task_store.mjs";

/**
 * `settings` is null until they were read once; `error` is why the last reading failed.
 * @typedef {(settings: Settings | null, error: Error | null) => void} SettingsListener
 */

/** @type {Map<Node, SettingsListener>} */
const listeners = new Map();
/** @type {Settings | null} */
let current = null;
/** @type {Promise<Settings> | null} */
let loading = null;
let saves = 0;

/**
 * Calls `listener` with the settings, now where they are known and at every change, for as long as
 * `control` is in the page.
 * @param {Node} control
 * @param {SettingsListener} listener
 */
export function watchSettings(control, listener) {
  listeners.set(control, listener);
  if (current) listener(current, null);
  loadSettings().catch(() => {}); // every listener gets the error
}

/** What the user calls the unit of amounts; empty where that is not known. */
export function currency() {
  return current?.currency?.value ?? "";
}

/**
 * Reads the settings.
 * @returns {Promise<Settings>} rejected with RequestError
 */
export async function loadSettings() {
  const savesBefore = saves;
  /** @type {Promise<Settings>} */
  const answer = (loading ??= get("settings"));
  try {
    const settings = await answer;
    // An answer from before a change would bring back the old values.
    if (saves === savesBefore || !current) publish(settings, null);
  } catch (error) {
    publish(current, asError(error));
    throw error;
  } finally {
    if (loading === answer) loading = null;
  }
  return /** @type {Settings} */ (current);
}

/**
 * Changes some settings; null sets the default again.
 * @param {Record<string, string | number | null>} changes
 * @returns {Promise<boolean>} whether the stored key was removed, since the address changed;
 *   rejected with RequestError
 */
export async function saveSettings(changes) {
  /** @type {Settings & { key_cleared?: boolean }} */
  const { key_cleared: keyCleared = false, ...settings } = await post("settings", changes);
  saves += 1;
  loading = null;
  publish(settings, null);
  tasks.refreshSoon();
  return keyCleared;
}

/**
 * @param {Settings | null} settings
 * @param {Error | null} error
 */
function publish(settings, error) {
  current = settings;
  for (const [control, listener] of listeners) {
    if (control.isConnected) listener(settings, error);
    else listeners.delete(control);
  }
}
