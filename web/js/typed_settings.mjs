// @ts-check
// What stands in the fields for the address and the key and is not saved yet. "Test connection" tests that.

/**
 * As the route for the test takes it; what is saved already is left out, and null is the default.
 * @typedef {{ base_url?: string | null, api_key?: string }} TypedSettings
 */

/** @type {Map<Node, () => TypedSettings>} */
const readers = new Map();
/** @type {Map<Node, () => void>} */
const listeners = new Map();

/**
 * Offers what is typed into a field, for as long as it is in the page.
 * @param {Node} field
 * @param {() => TypedSettings} read
 */
export function offerTyped(field, read) {
  readers.set(field, read);
}

/** What is typed into the fields of the page. */
export function typedSettings() {
  /** @type {TypedSettings} */
  const typed = {};
  for (const [field, read] of readers) {
    if (field.isConnected) Object.assign(typed, read());
    else readers.delete(field);
  }
  return typed;
}

/** To be called by a field at each change of its text. */
export function typedChanged() {
  for (const [control, listener] of listeners) {
    if (control.isConnected) listener();
    else listeners.delete(control);
  }
}

/**
 * Calls `listener` when something is typed, for as long as `control` is in the page.
 * @param {Node} control
 * @param {() => void} listener
 */
export function watchTyped(control, listener) {
  listeners.set(control, listener);
}
