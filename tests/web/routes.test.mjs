import assert from "node:assert/strict";
import { test } from "node:test";

import { api, app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
const { get, post, RequestError } = await load("routes.mjs");
const requests = await load("task_requests.mjs");
await loadStrings();
speak("en");

test("every request has the header that another origin's page cannot send", async () => {
  const [read, change] = await withAnswer(
    () => json({}),
    async () => {
      await get("settings");
      await post("settings", { max_requests: 3 });
    },
  );
  assert.equal(read.path, "/pika/settings");
  assert.equal(read.headers["X-Pika-Editor"], "1");
  assert.equal(read.method, undefined);
  assert.equal(change.method, "POST");
  assert.equal(change.headers["X-Pika-Editor"], "1");
  assert.equal(change.headers["Content-Type"], "application/json");
  assert.deepEqual(JSON.parse(change.body), { max_requests: 3 });
});

test("every request says the editor's language, in which the server answers", async () => {
  speak("zh");
  const [read] = await withAnswer(() => json({}), () => get("settings"));
  assert.equal(read.headers["Accept-Language"], "zh");
  speak("en");
});

test("the server is told the editor's language, and its silence is no error", async () => {
  await load("language.js");
  const setup = () => app.extensions["pika.language"].setup();
  speak("zh-TW");
  const [told] = await withAnswer(() => json({}), setup);
  assert.equal(told.path, "/pika/language");
  assert.deepEqual(JSON.parse(told.body), { language: "zh-TW" });
  await withAnswer(() => json({}, 500), setup);
  speak("en");
});

test("a request without changes still has a JSON body", async () => {
  const [sent] = await withAnswer(() => json({}), () => post("connection"));
  assert.equal(sent.body, "{}");
});

/** Checks that a request with this answer is rejected with this message. */
async function assertRejected(answer, message) {
  await withAnswer(answer, () =>
    assert.rejects(get("tasks"), (error) => {
      assert.ok(error instanceof RequestError);
      assert.equal(error.message, message);
      return true;
    }),
  );
}

test("an error is in the server's words", async () => {
  await assertRejected(() => json({ error: "Task #3 is being sent." }, 409), "Task #3 is being sent.");
  await assertRejected(() => json({}, 500), "HTTP 500");
});

test("no answer from the server has an error of its own", async () => {
  const failing = () => Promise.reject(new TypeError("Failed to fetch"));
  await assertRejected(failing, t("errors.unreachable"));
});

test("an answer that is not JSON, or was cut off, is an error with its status", async () => {
  const html = () => new Response("<html>", { status: 502, headers: { "Content-Type": "text/html" } });
  await assertRejected(html, t("errors.strange", { status: 502 }));
  const bare = () => ({ ok: true, status: 204, headers: new Headers() });
  await assertRejected(bare, t("errors.strange", { status: 204 }));
  const cut = () => new Response('{"tasks": [', { headers: { "Content-Type": "application/json" } });
  await assertRejected(cut, t("errors.strange", { status: 200 }));
});

test("the requests about tasks are those that the server knows", async () => {
  const sent = await withAnswer(
    () => json({}),
    async () => {
      await requests.readPage();
      await requests.readPage(501);
      await requests.readChanges(17.5);
      await requests.readRequest(3);
      await requests.refresh(4);
      await requests.act(5, "collect");
      await requests.act(6, "forget");
    },
  );
  assert.deepEqual(
    sent.map(({ path, method = "GET" }) => `${method} ${path}`),
    [
      "GET /pika/tasks?limit=500",
      "GET /pika/tasks?limit=500&before=501",
      "GET /pika/tasks?since=17.5",
      "GET /pika/tasks/3/request",
      "POST /pika/tasks/4/refresh",
      "POST /pika/tasks/5/collect",
      "POST /pika/tasks/6/forget",
    ],
  );
});

test("a thumbnail has another URL in another state, since browsers keep it", () => {
  const [running, saved] = ["running", "saved"].map((state) => requests.thumbnailUrl(task(7, { state })));
  assert.ok(running.startsWith(api.apiURL("/pika/tasks/7/")));
  assert.notEqual(running, saved);
});
