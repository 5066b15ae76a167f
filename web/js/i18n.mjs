// Our strings in the user's language. They are in locales/, which ComfyUI serves for all packs.

import { api } from "../../../scripts/api.js";
import { locale } from "./host.mjs";

const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

let languages = {};
let loading;

// Awaited by each of our extensions before it registers, so that `t` has its texts everywhere else.
export function loadStrings() {
  loading ??= read();
  return loading;
}

async function read() {
  const answer = await api.fetchApi("/i18n");
  if (!answer.ok) throw new Error(`HTTP ${answer.status} for /i18n`);
  languages = await answer.json();
}

// The text of a key such as "tasks.empty", with {name} filled in. A key that has no text comes back
// itself.
export function t(key, values = {}) {
  for (const language of candidates()) {
    const found = key.split(".").reduce((node, part) => node?.[part], languages[language]?.pika);
    if (typeof found === "string") {
      return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
    }
  }
  return key;
}

export function has(key) {
  return t(key) !== key;
}

// A node's texts, as in nodeDefs.json; undefined where there are none.
export function nodeTexts(name) {
  for (const language of candidates()) {
    const found = languages[language]?.nodeDefs?.[name];
    if (found) return found;
  }
  return undefined;
}

// "zh-TW" is looked for as it is, then as "zh"; English is always there.
function candidates() {
  return [locale(), locale().split("-")[0], "en"];
}

// How long ago, in words: "3m ago".
export function ago(epochSeconds) {
  const seconds = Math.max(Date.now() / 1000 - epochSeconds, 0);
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  const words = new Intl.RelativeTimeFormat(locale(), { style: "narrow", numeric: "auto" });
  return words.format(-Math.floor(seconds / length), unit);
}
