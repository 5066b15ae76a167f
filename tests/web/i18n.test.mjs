import assert from "node:assert/strict";
import { test } from "node:test";

import { load, speak, TEXTS } from "./host.mjs";

const { ago, has, loadStrings, moment, nodeTexts, t } = await load("i18n.mjs");
await loadStrings();

const [ENGLISH, CHINESE] = ["en", "zh"].map((language) => TEXTS[language].pika.common.cancel);

test("a text is in the editor's language", () => {
  speak("en");
  assert.equal(t("common.cancel"), ENGLISH);
  speak("zh");
  assert.equal(t("common.cancel"), CHINESE);
});

test("a language with a region falls back to the language, and any other to English", () => {
  speak("zh-TW");
  assert.equal(t("common.cancel"), CHINESE);
  speak("fr-zh");
  assert.equal(t("common.cancel"), ENGLISH);
  speak("fr-CA");
  assert.equal(t("common.cancel"), ENGLISH);
});

test("values are filled in; a place without a value stays as it is", () => {
  speak("en");
  assert.equal(t("settings.key.set", { hint: "QW7Z" }), t("settings.key.set").replace("{hint}", "QW7Z"));
  assert.notEqual(t("settings.key.set", { hint: "QW7Z" }), t("settings.key.set"));
  const partly = t("tasks.found", { found: 0 });
  assert.ok(partly.includes("0") && partly.includes("{all}") && !partly.includes("{found}"), partly);
});

test("a value is put in as it is, whatever is in it", () => {
  speak("en");
  const reason = "$& {reason} <b>";
  assert.ok(t("tasks.stale", { reason }).includes(reason));
});

test("a key without a text is returned, and so is the key of a group", () => {
  speak("en");
  assert.equal(t("tasks.state.exploded"), "tasks.state.exploded");
  assert.equal(t("tasks.state"), "tasks.state");
  assert.equal(t("common.cancel.more"), "common.cancel.more");
  assert.equal(has("tasks.state.exploded"), false);
  assert.equal(has("tasks.state"), false);
  assert.equal(has("tasks.state.saved"), true);
});

test("a node's texts are found in the same order of languages", () => {
  speak("zh-CN");
  const chinese = nodeTexts("PikaGenerate");
  speak("en");
  const english = nodeTexts("PikaGenerate");
  assert.notEqual(chinese.display_name, english.display_name);
  assert.deepEqual(Object.keys(chinese.inputs), Object.keys(english.inputs));
  assert.equal(nodeTexts("SomeoneElsesNode"), undefined);
});

test("a node with an id of ComfyUI has its texts under a key that is no id", () => {
  speak("zh");
  assert.match(nodeTexts("Pikaffects").display_name, /旧/);
  assert.equal(TEXTS.zh.nodeDefs.Pikaffects, undefined);
});

test("an age is in the largest unit that fits, rounded down", () => {
  speak("en");
  const now = 1_000_000_000;
  const ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 2_592_000, 31_536_000 * 2];
  const words = ages.map((age) => ago(now - age, now).replace(/\./g, ""));
  assert.deepEqual(words, [
    "now",
    "59s ago",
    "1m ago",
    "59m ago",
    "1h ago",
    "23h ago",
    "yesterday",
    "last mo",
    "2y ago",
  ]);
});

test("a moment has its date and its time to the second, in the words of the language", () => {
  const at = new Date(2026, 10, 28, 15, 4, 5).getTime() / 1000;
  speak("en");
  assert.match(moment(at), /Nov 28, 2026.*3:04:05/);
  speak("zh");
  assert.match(moment(at), /2026年11月28日.*15:04:05/);
});

test("a task from the future, by a clock that is wrong, is from now", () => {
  speak("en");
  assert.equal(ago(2000, 1000), "now");
});
