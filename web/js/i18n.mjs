// @ts-check
// The pack's texts in the user's language, from locales/, which ComfyUI serves for all packs.

/** @import { NodeTexts } from "./types.mjs" */

import { api } from "../../../scripts/api.js";
import { locale } from "./host.mjs";

/** @typedef {string | { [part: string]: Texts }} Texts */
/** @typedef {{ pika?: Texts, nodeDefs?: Record<string, NodeTexts> }} Language */

/**
 * Seconds.
 * @type {[unit: Intl.RelativeTimeFormatUnit, length: number][]}
 */
const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** @type {Record<string, Language>} */
let languages = {};
/** @type {Promise<void> | undefined} */
let loading;

/** Each entry module awaits this before it registers, so that `t` has its texts from then on. */
export function loadStrings() {
  loading ??= read();
  return loading;
}

async function read() {
  const response = await api.fetchApi("/i18n");
  if (!response.ok) throw new Error(`HTTP ${response.status} for /i18n`);
  languages = await response.json();
}

/**
 * The text of a key such as "tasks.title", with the values filled in for {name}.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string} the key itself where it has no text
 */
export function t(key, values = {}) {
  return text(key)?.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place)) ?? key;
}

/**
 * Whether a key has a text.
 * @param {string} key
 */
export function has(key) {
  return text(key) !== undefined;
}

/**
 * @param {string} key
 * @returns {string | undefined}
 */
function text(key) {
  for (const language of candidates()) {
    /** @type {Texts | undefined} */
    let node = languages[language]?.pika;
    for (const part of key.split(".")) node = typeof node === "object" ? node[part] : undefined;
    if (typeof node === "string") return node;
  }
  return undefined;
}

/**
 * The texts of a node of the pack; undefined where there are none.
 *
 * Under the ids of ComfyUI's former Pika nodes, the editor would give them to ComfyUI's own nodes
 * where it still has these. So they have keys that are no ids.
 * @param {string} name
 * @returns {NodeTexts | undefined}
 */
export function nodeTexts(name) {
  for (const language of candidates()) {
    const nodes = languages[language]?.nodeDefs;
    const texts = nodes?.[name] ?? nodes?.[`${name} (ComfyUI-Pika)`];
    if (texts) return texts;
  }
  return undefined;
}

/** The languages to look in: "zh-TW", then "zh", then English, which has every text. */
function candidates() {
  return [locale(), ...locale().split("-", 1), "en"];
}

/**
 * A moment on the user's clock: "Nov 28, 2026, 7:29:39 AM".
 * @param {number} epochSeconds
 */
export function moment(epochSeconds) {
  const words = new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" });
  return words.format(epochSeconds * 1000);
}

/**
 * How long ago a moment is, in words: "3m ago".
 * @param {number} epochSeconds
 * @param {number} [now] seconds since the epoch
 */
export function ago(epochSeconds, now = Date.now() / 1000) {
  const seconds = Math.max(now - epochSeconds, 0);
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? ["second", 1];
  const words = new Intl.RelativeTimeFormat(locale(), { style: "narrow", numeric: "auto" });
  return words.format(-Math.floor(seconds / length), unit);
}
