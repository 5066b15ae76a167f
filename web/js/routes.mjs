// @ts-check
// Requests to the pack's routes in ComfyUI's server.

import { api } from "../../../scripts/api.js";
import { locale } from "./host.mjs";
import { t } from "./i18n.mjs";

/** A request that failed. The message is for the user. */
export class RequestError extends Error {}

/**
 * @template Answer
 * @param {string} path
 * @returns {Promise<Answer>} rejected with RequestError
 */
export function get(path) {
  return call(path, {});
}

/**
 * @template Answer
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<Answer>} rejected with RequestError
 */
export function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return call(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * A file, read completely.
 * @param {string} path
 * @returns {Promise<Blob>} rejected with RequestError
 */
export async function getFile(path) {
  const response = await send(path, {});
  if (!response.ok) throw await errorOf(response);
  try {
    return await response.blob();
  } catch {
    throw new RequestError(t("errors.unreachable")); // cut off
  }
}

/**
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} options
 */
async function call(path, options) {
  const response = await send(path, options);
  if (!response.ok) throw await errorOf(response);
  return jsonOf(response);
}

/** @param {Response} response */
async function errorOf(response) {
  const answer = await jsonOf(response);
  return new RequestError(answer.error ?? `HTTP ${response.status}`);
}

/**
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} options
 */
async function send(path, options) {
  // Another origin's page cannot send this header without the server's consent.
  const own = { "X-Pika-Editor": "1", "Accept-Language": locale() };
  const headers = { ...options.headers, ...own };
  try {
    return await api.fetchApi(`/pika/${path}`, { ...options, headers });
  } catch {
    throw new RequestError(t("errors.unreachable"));
  }
}

/**
 * @param {Response} response
 */
async function jsonOf(response) {
  const { status } = response;
  const isJson = response.headers.get("Content-Type")?.includes("json");
  try {
    if (isJson) return await response.json();
  } catch {
    // Cut off, for one: the same for the user as an answer that never was JSON.
  }
  throw new RequestError(t("errors.strange", { status }));
}
