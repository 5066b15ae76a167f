import assert from "node:assert/strict";
import { test } from "node:test";

import { buttonOf, topDialog } from "./page.mjs";
import { settled } from "./clock.mjs";
import { api, app, json, load, settings, speak, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
await load("key.js");

const keyless = settings({ api_key: { set: false, hint: "", source: "none" }, problem: "No API key is set." });
const commands = [];
app.extensionManager.command = { execute: (command) => commands.push(command) };
app.extensions["pika.key"].setup();

/** What was clicked in the editor's own page. */
const clicks = [];
let closeSelector = ".p-dialog-close-button";
const errorDialog = {
  querySelector(selector) {
    if (selector !== closeSelector) return null;
    return Object.assign(document.createElement("button"), { onclick: () => clicks.push("close") });
  },
};
document.querySelector = (selector) =>
  selector.endsWith(".comfy-error-report") ? { closest: () => errorDialog } : null;
document.querySelectorAll = () => ["Comfy", "Pika"].map((name) => ({ textContent: ` ${name} `, click: () => clicks.push(name) }));

/** A run that fails. */
async function fail(type, message = "No API key is set.\nSet one.") {
  const detail = { exception_type: type, exception_message: message };
  api.dispatchEvent(Object.assign(new Event("execution_error"), { detail }));
  await settled();
}

/** A server with these settings, whose gateway gives these verdicts. */
function server(known, ...verdicts) {
  return (path) => {
    if (path.endsWith("/connection")) return json({ verdict: verdicts.shift(), message: "Said the gateway." });
    return json(known);
  };
}

async function enter(dialog, key) {
  const input = dialog.querySelector("input");
  input.value = key;
  input.oninput();
  input.onkeydown({ key: "a" });
  assert.equal(input.disabled, false);
  input.onkeydown({ key: "Enter" });
  assert.equal(input.disabled, true);
  await settled();
}

test("a run without a key opens one dialog in place of the editor's, however many nodes failed", async () => {
  await withAnswer(server(keyless), async () => {
    await fail("pika.SettingsError");
    await fail("pika.SettingsError");
    assert.deepEqual(clicks.splice(0), ["close"]);
    assert.equal(document.body.children.length, 1);
    assert.equal(topDialog().ariaLabel, t("key.title"));
    assert.ok(topDialog().textContent.includes(keyless.base_url.value));
    topDialog().close();
    await settled();
    assert.equal(document.body.children.length, 0);
    await fail("pika.SettingsError");
    assert.equal(document.body.children.length, 1);
    topDialog().close();
    await settled();
  });
});

test("the editor's dialog is closed in newer editors too, and one without a button causes no error", async () => {
  for (const [selector, expected] of [["button[type=button][aria-label]", ["close"]], ["none", []]]) {
    closeSelector = selector;
    clicks.length = 0;
    await withAnswer(server(keyless), async () => {
      await fail("pika.SettingsError");
      assert.deepEqual(clicks.splice(0), expected);
      topDialog().close();
      await settled();
    });
  }
});

test("another error of a run is left to the editor", async () => {
  const sent = await withAnswer(server(keyless), () => fail("pika.TaskFailed"));
  assert.deepEqual(sent, []);
  assert.equal(document.body.children.length, 0);
});

test("where the settings cannot be read, no dialog opens", async () => {
  await withAnswer(() => json({ error: "broken" }, 500), () => fail("pika.SettingsError"));
  assert.equal(document.body.children.length, 0);
});

test("a wrong key is asked for again; with the right one, one press runs again", async () => {
  commands.length = 0;
  await withAnswer(server(keyless, "bad_key", "good"), async () => {
    await fail("pika.SettingsError");
    const dialog = topDialog();
    const runAgain = buttonOf(dialog, t("key.run_again"));
    const save = buttonOf(dialog, t("key.save"));
    assert.equal(runAgain.hidden, true);
    assert.equal(save.disabled, true);
    const input = dialog.querySelector("input");
    input.onkeydown({ key: "Enter" });
    await enter(dialog, "wrong");
    assert.equal(input.disabled, false);
    assert.equal(runAgain.hidden, true);
    assert.equal(save.hidden, false);
    assert.equal(document.activeElement, dialog.querySelector("input"));
    await enter(dialog, "right");
    assert.equal(save.hidden, true);
    assert.equal(runAgain.hidden, false);
    assert.equal(document.activeElement, runAgain);
    runAgain.click();
    await settled();
  });
  assert.deepEqual(commands, ["Comfy.QueuePrompt"]);
  assert.equal(document.body.children.length, 0);
});

test("where the gateway cannot be reached, the user may run again or enter another key", async () => {
  await withAnswer(server(keyless, "trouble"), async () => {
    await fail("pika.SettingsError");
    const dialog = topDialog();
    await enter(dialog, "a-key");
    assert.equal(buttonOf(dialog, t("key.run_again")).hidden, false);
    assert.equal(buttonOf(dialog, t("key.save")).hidden, false);
    dialog.close();
    await settled();
  });
});

test("a key that cannot be saved stays in the dialog, and is not tested", async () => {
  const answer = (path, { method }) => (method === "POST" ? json({ error: "Read-only." }, 409) : json(keyless));
  const sent = await withAnswer(answer, async () => {
    await fail("pika.SettingsError");
    const dialog = topDialog();
    await enter(dialog, "a-key");
    assert.equal(dialog.querySelector("input").value, "a-key");
    assert.equal(dialog.querySelector("input").disabled, false);
    assert.ok(dialog.textContent.includes("Read-only."));
    dialog.close();
    await settled();
  });
  assert.ok(!sent.some(({ path }) => path.endsWith("/connection")));
});

test("with a key, a broken setting leads to the settings", async () => {
  commands.length = 0;
  await withAnswer(server(settings({ problem: "max_requests is many." })), async () => {
    await fail("pika.SettingsError", "max_requests is many.\nUse 1 to 64.");
    const dialog = topDialog();
    assert.equal(dialog.ariaLabel, t("key.problem"));
    assert.equal(dialog.querySelector("input"), null);
    assert.equal(dialog.all.filter(({ tagName }) => tagName === "p").length, 2);
    clicks.length = 0;
    buttonOf(dialog, t("settings.open")).click();
    await settled();
  });
  assert.deepEqual(commands, ["Comfy.ShowSettingsDialog"]);
  assert.deepEqual(clicks, ["Pika"]);
  assert.equal(document.body.children.length, 0);
});
