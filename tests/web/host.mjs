// The pack's modules as in the editor, with stand-ins for ComfyUI's own modules.

import * as modules from "node:module";

import { resolve } from "./host_hooks.mjs";

// Newer versions of Node.js have the first one, and warn of the other.
if (modules.registerHooks) modules.registerHooks({ resolve });
else modules.register("./host_hooks.mjs", import.meta.url);

export { app } from "./host_app.mjs";
export { api, json, TEXTS } from "./host_api.mjs";
import { app } from "./host_app.mjs";
import { api } from "./host_api.mjs";

/** Loads a module of web/js. */
export function load(name) {
  return import(new URL(`../../web/js/${name}`, import.meta.url));
}

/** Sets the editor's language. */
export function speak(language) {
  app.extensionManager = {
    ...app.extensionManager,
    setting: { get: (id) => (id === "Comfy.Locale" ? language : undefined) },
  };
}

/** Runs an action with an answer to every request; returns those requests. */
export async function withAnswer(answer, action) {
  const before = api.answer;
  api.requests.length = 0;
  api.answer = answer;
  try {
    await action();
  } finally {
    api.answer = before;
  }
  return [...api.requests];
}

/** A journal entry, as the server lists it. */
export function task(number, changes = {}) {
  return {
    number,
    task_id: `task-${number}`,
    state: "saved",
    prompt: `Prompt ${number}`,
    created_at: 1000 + number,
    progress: 0,
    error: "",
    file: null,
    kind: "",
    forgotten: false,
    price: null,
    estimate: null,
    take: "0",
    settings: {},
    ...changes,
  };
}

/** The settings, as the server sends them. */
export function settings(changes = {}) {
  return {
    api_key: { set: true, hint: "QW7Z", source: "file" },
    base_url: { value: "https://gateway.example", default: "https://gateway.example", source: "default", locked: "" },
    base64_style: { value: "bare", default: "bare", source: "default", choices: ["bare", "data-uri"] },
    max_requests: { value: 4, default: 4, source: "default", min: 1, max: 64 },
    max_body_mb: { value: 20, default: 20, source: "default", min: 0.2, max: 1000 },
    daily_limit: { value: 0, default: 0, source: "default", min: 0, max: 1000000 },
    run_limit: { value: 0, default: 0, source: "default", min: 0, max: 1000000 },
    daily_cost_limit: { value: 0, default: 0, source: "default", min: 0, max: 1000000000 },
    min_balance: { value: 0, default: 0, source: "default", min: 0, max: 1000000000 },
    price: { value: null, default: null, source: "default", min: 0, max: 1000000 },
    currency: { value: "", default: "", source: "default" },
    problem: "",
    ...changes,
  };
}

speak("en");
