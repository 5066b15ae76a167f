// @ts-check
// The test of address and key. It tests what is typed, saved or not, and its verdict goes when that changes.

/** @import { TypedSettings } from "./typed_settings.mjs" */
/** @import { Settings, Verdict } from "./types.mjs" */

import { button, element } from "./dom.mjs";
import { messageOf } from "./errors.mjs";
import { t } from "./i18n.mjs";
import { Note } from "./note.mjs";
import { post } from "./routes.mjs";
import { watchSettings } from "./settings_store.mjs";
import { typedSettings, watchTyped } from "./typed_settings.mjs";

/** The server shows this many of the last characters of a key, and none of a shorter one. */
const HINT_LENGTH = 4;
const LEAST_LENGTH = 12;

/**
 * What a verdict is about.
 * @typedef {{ address: string, key: string }} Tested `key`: what the page may know of it
 */

/**
 * Has the server ask the gateway something that costs nothing, and shows the result in a note.
 * @param {Note} note
 * @param {TypedSettings} [typed] what is not saved; all else is as it was saved
 * @param {() => boolean} [isWanted] whether the result still is about what the page shows
 * @returns {Promise<Verdict>}
 */
export async function testConnection(note, typed = {}, isWanted = () => true) {
  note.set("busy", t("settings.test.running"));
  try {
    /** @type {{ verdict: Verdict, message: string }} */
    const { verdict, message } = await post("connection", typed);
    const isUnsaved = verdict === "good" && typed.api_key;
    const text = isUnsaved ? `${message}\n${t("settings.test.unsaved")}` : message;
    if (isWanted()) note.set(verdict === "good" ? "good" : verdict === "trouble" ? "warn" : "bad", text);
    return verdict;
  } catch (error) {
    if (isWanted()) note.set("bad", messageOf(error));
    return "trouble";
  }
}

/**
 * What is tested.
 * @param {TypedSettings} typed
 * @param {Settings | null} saved
 * @returns {Tested}
 */
export function testedBy(typed, saved) {
  const { value = "", default: usual = "" } = saved?.base_url ?? {};
  const address = typed.base_url === undefined ? value : (typed.base_url ?? usual);
  return { address: plain(address), key: typed.api_key ? hintOf(typed.api_key) : keyOf(saved) };
}

/** @param {string} address with or without the slash that the server removes */
function plain(address) {
  return address.toLowerCase().replace(/\/+$/, "");
}

/** @param {string} key */
function hintOf(key) {
  return `set ${key.length < LEAST_LENGTH ? "" : key.slice(-HINT_LENGTH)}`;
}

/** @param {Settings | null} saved */
function keyOf(saved) {
  return saved?.api_key.set ? `set ${saved.api_key.hint}` : "none";
}

export function connectionField() {
  const note = new Note();
  /** @type {Settings | null} */
  let saved = null;
  /** @type {Tested | null} */
  let tested = null;
  const test = button(t("settings.test.button"), async () => {
    const typed = typedSettings();
    const own = testedBy(typed, saved);
    tested = own;
    test.disabled = true;
    await testConnection(note, typed, () => tested === own);
    test.disabled = false;
    test.focus();
  });
  const root = element("div", { className: "pika-ui pika-field" }, test, note.root);

  function forget() {
    if (!tested) return;
    tested = null;
    note.set("", "");
  }

  watchTyped(root, forget);
  watchSettings(root, (settings) => {
    if (!settings) return;
    saved = settings;
    const { address, key } = testedBy({}, saved);
    // Where it is the same, what was tested was saved, or something else was.
    if (address !== tested?.address || key !== tested.key) forget();
  });
  return root;
}
