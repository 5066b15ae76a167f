// The pack's routes in ComfyUI's server.

import { api } from "../../../scripts/api.js";
import { t } from "./i18n.mjs";

// An answer that is a refusal. `code` is a stable word, `message` is for a person.
export class Refused extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export function get(path) {
  return call(path, {});
}

export function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function call(path, options) {
  // A page of another origin cannot send this header unasked.
  const headers = { ...options.headers, "X-Pika-Editor": "1" };
  let answer;
  try {
    answer = await api.fetchApi(`/pika/${path}`, { ...options, headers });
  } catch (error) {
    throw new Refused(t("errors.unreachable"), error.name);
  }
  const isJson = answer.headers.get("Content-Type")?.includes("json");
  if (!isJson) throw new Refused(t("errors.strange", { status: answer.status }), "strange");
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.error ?? `HTTP ${answer.status}`, said.code);
  return said;
}
