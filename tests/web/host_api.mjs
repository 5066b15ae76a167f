// Stands in for ComfyUI's /scripts/api.js. The texts are the real ones from locales/.

import { readFileSync } from "node:fs";

function locale(language, file) {
  return JSON.parse(readFileSync(new URL(`../../locales/${language}/${file}.json`, import.meta.url), "utf8"));
}

export const TEXTS = Object.fromEntries(
  ["en", "zh"].map((language) => [
    language,
    { ...locale(language, "main"), nodeDefs: locale(language, "nodeDefs") },
  ]),
);

class Api extends EventTarget {
  /** Answers every request but that for the texts. */
  answer = () => json({ error: "No answer was prepared." }, 404);
  /** The requests so far, without those for the texts. */
  requests = [];

  apiURL(path) {
    return `/api${path}`;
  }

  async fetchApi(path, options = {}) {
    if (path === "/i18n") return json(TEXTS);
    this.requests.push({ path, ...options });
    return this.answer(path, options);
  }
}

export function json(value, status = 200) {
  return new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json" } });
}

export const api = new Api();
