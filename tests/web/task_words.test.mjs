import assert from "node:assert/strict";
import { test } from "node:test";

import { load, speak, task } from "./host.mjs";

const { has, loadStrings, t } = await load("i18n.mjs");
const { hasFile, isAtGateway, isUnderWay, STATES } = await load("task_states.mjs");
const words = await load("task_words.mjs");
await loadStrings();

const prompts = (tasks) => tasks.map(({ prompt }) => prompt);

test("every state has a word in every language", () => {
  for (const language of ["en", "zh"]) {
    speak(language);
    for (const state of STATES) assert.ok(has(`tasks.state.${state}`), `${language} ${state}`);
  }
});

test("each state is of one kind", () => {
  const kinds = (check) => STATES.filter((state) => check({ state }));
  assert.deepEqual(kinds(isAtGateway), ["submitted", "running"]);
  assert.deepEqual(kinds(isUnderWay), ["intended", "sent", "submitted", "running"]);
  assert.deepEqual(kinds(hasFile), ["finished", "saved"]);
});

test("the word for a running task has its progress, once there is some", () => {
  speak("en");
  assert.equal(words.stateWord(task(1, { state: "running", progress: 42 })), `${t("tasks.state.running")} 42 %`);
  assert.equal(words.stateWord(task(1, { state: "running" })), t("tasks.state.running"));
  assert.equal(words.stateWord(task(1, { state: "submitted", progress: 42 })), t("tasks.state.submitted"));
});

test("a state is explained where there is an explanation, and never by a bare key", () => {
  speak("en");
  for (const state of STATES) assert.doesNotMatch(words.explanation(task(1, { state })), /^tasks\./);
  assert.equal(words.explanation(task(1, { state: "saved" })), "");
  assert.equal(words.explanation(task(1, { state: "unknown" })), t("tasks.explain.unknown"));
});

test("a task of another gateway says so, in place of its last error", () => {
  speak("en");
  const entry = task(1, { error: "Moderation" });
  assert.equal(words.problemOf({ ...entry, elsewhere: false }), "Moderation");
  assert.equal(words.problemOf({ ...entry, elsewhere: true }), t("tasks.elsewhere"));
});

test("a task without a prompt or an id has something in their place", () => {
  speak("en");
  assert.equal(words.promptOf(task(1)), "Prompt 1");
  assert.equal(words.promptOf(task(1, { prompt: "" })), t("tasks.no_prompt"));
  assert.equal(words.shortId(task(1, { task_id: "0123456789" })), "01234567");
  assert.equal(words.shortId(task(12, { task_id: null })), "#12");
});

test("a search finds the tasks that have all its words, in prompt, state or id", () => {
  speak("en");
  const tasks = [
    task(1, { prompt: "A quince in the rain", state: "saved", task_id: "aaa-111" }),
    task(2, { prompt: "A quince in the snow", state: "failed", task_id: "bbb-222" }),
    task(3, { prompt: "A pear", state: "submitted", task_id: "ccc-333" }),
  ];
  const results = (search) => prompts(words.matching(tasks, search));
  assert.deepEqual(results("QUINCE"), ["A quince in the rain", "A quince in the snow"]);
  assert.deepEqual(results(`  quince   ${t("tasks.state.saved")} `), ["A quince in the rain"]);
  assert.deepEqual(results("222"), ["A quince in the snow"]);
  assert.deepEqual(results(t("tasks.state.submitted")), ["A pear"]);
  assert.deepEqual(results("submitted"), ["A pear"]);
  assert.deepEqual(results("quince pear"), []);
  assert.deepEqual(results(" \t"), prompts(tasks));
});

test("a state is found by its Chinese word and by its English name", () => {
  speak("zh");
  const tasks = [task(1, { state: "saved" }), task(2, { state: "failed" })];
  assert.deepEqual(prompts(words.matching(tasks, t("tasks.state.saved"))), ["Prompt 1"]);
  assert.deepEqual(prompts(words.matching(tasks, "saved")), ["Prompt 1"]);
});

test("a task without an id does not match the word null", () => {
  speak("en");
  assert.deepEqual(words.matching([task(1, { task_id: null })], "null"), []);
});
