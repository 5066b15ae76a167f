import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { buttonOf, clipboard, topDialog } from "./page.mjs";
import { settled } from "./clock.mjs";
import { app, json, load, settings, speak, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
const fields = await load("fields.mjs");
const connection = await load("connection_field.mjs");
const { siteOf, withScheme } = await load("addresses.mjs");
const keys = await load("key_field.mjs");
const { diagnosticsField } = await load("diagnostics_field.mjs");
const { loadSettings } = await load("settings_store.mjs");
await loadStrings();
speak("en");

test("until the settings were read a field is disabled, and says why where they cannot be", async () => {
  const root = await withRoot(() => json({ error: "The settings file is not JSON." }, 409));
  assert.equal(root.querySelector("input").disabled, true);
  assert.equal(root.children.at(-1).textContent, "The settings file is not JSON.");
});

/** The fields in the page. */
const roots = [];
afterEach(() => {
  for (const root of roots.splice(0)) root.isConnected = false;
});

/** @returns the field, in the page until the end of the test */
function inPage(root) {
  root.isConnected = true;
  roots.push(root);
  return root;
}

/** A field, after an answer to its first request. */
async function withRoot(answer) {
  let root;
  await withAnswer(answer, async () => {
    root = inPage(fields.addressField());
    assert.equal(root.querySelector("input").disabled, true);
    await settled();
  });
  return root;
}

const environment = { set: true, hint: "abcd", source: "environment" };

/** A control, after the server has answered with these settings. */
async function show(build, known = settings()) {
  let root;
  await withAnswer(
    () => json(known),
    async () => {
      root = inPage(build());
      await loadSettings();
    },
  );
  return { root, input: root.querySelector("input") ?? root.querySelector("select"), note: root.children.at(-1) };
}

/** Enters a value and leaves the input; returns what was sent to be saved. */
async function change({ input }, value, answer = () => json(settings())) {
  input.value = value;
  const sent = await withAnswer(answer, () => input.onchange());
  return sent.map(({ body }) => JSON.parse(body));
}

test("a setting that a variable sets is locked, and the variable is named", () => {
  const known = settings({
    max_body_mb: { ...settings().max_body_mb, source: "environment" },
    base_url: { ...settings().base_url, locked: "key" },
  });
  assert.equal(fields.lockText(known, "max_body_mb"), t("settings.locked.environment", { name: "PIKA_MAX_BODY_MB" }));
  assert.match(fields.lockText(known, "max_body_mb"), /PIKA_MAX_BODY_MB/);
  assert.equal(fields.lockText(known, "base_url"), t("settings.locked.key"));
  assert.equal(fields.lockText(known, "max_requests"), "");
});

test("a locked field cannot be changed, and says why", async () => {
  const known = settings({ max_requests: { ...settings().max_requests, source: "environment" } });
  const { input, note } = await show(() => fields.numberField("max_requests"), known);
  assert.equal(input.disabled, true);
  assert.match(note.textContent, /PIKA_MAX_REQUESTS/);
});

test("a price that is not set is learned, the currency is a text, and both can be emptied", async () => {
  const price = await show(() => fields.numberField("price"));
  assert.deepEqual([price.input.value, price.input.placeholder], ["", t("settings.learned")]);
  assert.deepEqual(await change(price, "0.25"), [{ price: 0.25 }]);
  assert.deepEqual(await change(price, ""), [{ price: null }]);
  const known = settings({ currency: { value: "CNY", default: "", source: "file" } });
  const currency = await show(() => fields.textField("currency"), known);
  assert.equal(currency.input.value, "CNY");
  assert.deepEqual(await change(currency, " US$ "), [{ currency: "US$" }]);
  assert.deepEqual(await change(currency, ""), [{ currency: null }]);
});

test("a default is a field's placeholder", async () => {
  const known = settings({ max_requests: { ...settings().max_requests, default: 7, value: 7 } });
  const { input } = await show(() => fields.numberField("max_requests"), known);
  assert.equal(input.disabled, false);
  assert.deepEqual([input.value, input.placeholder, input.min, input.max], ["", "7", "1", "64"]);
});

test("a number is saved as a number, and an emptied field as the default", async () => {
  const field = await show(() => fields.numberField("max_requests"));
  assert.deepEqual(await change(field, " 3 "), [{ max_requests: 3 }]);
  assert.equal(field.note.textContent, t("common.saved"));
  assert.deepEqual(await change(field, ""), [{ max_requests: null }]);
});

test("a refused value has the server's message, and the field is marked", async () => {
  const field = await show(() => fields.numberField("max_requests"));
  await change(field, "0", () => json({ error: "Use 1 to 64." }, 400));
  assert.equal(field.note.textContent, "Use 1 to 64.");
  assert.ok(field.note.classList.contains("bad"));
  assert.equal(field.input.ariaInvalid, "true");
  await change(field, "2");
  assert.equal(field.input.ariaInvalid, null);
});

test("a refused value stays in the field while the user is there", async () => {
  const field = await show(() => fields.numberField("max_requests"));
  field.input.focus();
  await change(field, "0", () => json({ error: "Use 1 to 64." }, 400));
  await withAnswer(() => json(settings()), loadSettings);
  assert.equal(field.input.value, "0");
  document.activeElement = null;
  await withAnswer(() => json(settings()), loadSettings);
  assert.equal(field.input.value, "");
});

test("a field that the user is in, and that is not marked, shows a change", async () => {
  const field = await show(() => fields.numberField("max_requests"));
  field.input.focus();
  const changed = settings({ max_requests: { ...settings().max_requests, value: 9, source: "file" } });
  await withAnswer(() => json(changed), loadSettings);
  assert.equal(field.input.value, "9");
});

test("a number that the browser cannot read is not saved as the default", async () => {
  const field = await show(() => fields.numberField("max_requests"));
  // Of "1e" in a number field a browser gives an empty value.
  field.input.validity = { badInput: true };
  field.input.validationMessage = "Please enter a number.";
  assert.deepEqual(await change(field, ""), []);
  assert.equal(field.note.textContent, "Please enter a number.");
  assert.equal(field.input.ariaInvalid, "true");
});

test("a choice offers what the server offers, each with its name", async () => {
  const known = settings();
  known.base64_style.choices = ["bare", "data-uri", "new-style"];
  const field = await show(() => fields.choiceField("base64_style"), known);
  assert.deepEqual(
    field.input.children.map(({ value, textContent }) => [value, textContent]),
    [
      ["bare", t("settings.choices.bare")],
      ["data-uri", t("settings.choices.data-uri")],
      ["new-style", "new-style"],
    ],
  );
  assert.deepEqual(await change(field, "data-uri"), [{ base64_style: "data-uri" }]);
});

test("a new address that removes the key says so", async () => {
  const field = await show(fields.addressField);
  await change(field, "https://elsewhere.example", () => json({ ...settings(), key_cleared: true }));
  assert.equal(field.note.textContent, t("settings.key_dropped"));
  assert.ok(field.note.classList.contains("warn"));
});

test("the note below the key says whether there is one, and where from", () => {
  const noteFor = (changes, error = null) => keys.keyState(settings(changes), error);
  assert.deepEqual(noteFor({}), ["good", t("settings.key.set", { hint: "QW7Z" })]);
  assert.deepEqual(noteFor({ api_key: { set: true, hint: "", source: "file" } }), ["good", t("settings.key.set_short")]);
  assert.deepEqual(noteFor({ api_key: { set: false, hint: "", source: "none" } }), ["", t("settings.key.none")]);
  const [, named] = noteFor({ api_key: environment });
  assert.ok(named.includes("PIKA_API_KEY") && named.includes("abcd"), named);
  const [, short] = noteFor({ api_key: { ...environment, hint: "" } });
  assert.equal(short, t("settings.key.environment_short", { name: "PIKA_API_KEY" }));
  assert.deepEqual(noteFor({ problem: "max_requests is many." })[0], "bad");
  const [look, text] = keys.keyState(null, new Error("No answer."));
  assert.equal(look, "bad");
  assert.ok(text.includes("No answer."));
  // An error comes before what was known.
  assert.deepEqual(noteFor({}, new Error("No answer.")), ["bad", text]);
});

test("a key of the environment can be neither changed nor removed", () => {
  assert.deepEqual(keys.allowed(null), { canSave: false, canClear: false });
  assert.deepEqual(keys.allowed(settings({ api_key: environment })), { canSave: false, canClear: false });
  assert.deepEqual(keys.allowed(settings()), { canSave: true, canClear: true });
  const none = { set: false, hint: "", source: "none" };
  assert.deepEqual(keys.allowed(settings({ api_key: none })), { canSave: true, canClear: false });
  assert.deepEqual(keys.allowed(settings({ api_key: none, problem: "not JSON" })), { canSave: true, canClear: true });
});

test("a key is saved by Enter, and the page drops it", async () => {
  const { root, input } = await show(keys.keyField);
  const save = buttonOf(root, t("common.save"));
  assert.equal(save.disabled, true);
  input.value = "  a-key ";
  input.oninput();
  assert.equal(save.disabled, false);
  input.onkeydown({ key: "a" });
  assert.equal(input.disabled, false);
  const [sent] = await withAnswer(
    () => json(settings()),
    async () => {
      input.onkeydown({ key: "Enter" });
      assert.equal(input.disabled, true);
      await settled();
    },
  );
  assert.deepEqual(JSON.parse(sent.body), { api_key: "a-key" });
  assert.equal(input.value, "");
  assert.equal(input.disabled, false);
  assert.equal(save.disabled, true);
});

test("a key that cannot be saved stays in its field", async () => {
  const { root, input, note } = await show(keys.keyField);
  input.value = "a-key";
  input.oninput();
  await withAnswer(() => json({ error: "The file is read-only." }, 409), () => buttonOf(root, t("common.save")).click());
  assert.equal(input.value, "a-key");
  assert.equal(note.textContent, "The file is read-only.");
  assert.equal(document.activeElement, input);
});

test("Clear removes the key", async () => {
  const { root, note } = await show(keys.keyField);
  const [sent] = await withAnswer(() => json(settings()), () => buttonOf(root, t("settings.key.clear")).click());
  assert.deepEqual(JSON.parse(sent.body), { api_key: null });
  assert.equal(note.textContent, t("settings.key.cleared"));
  const none = settings({ api_key: { set: false, hint: "", source: "none" } });
  const empty = await show(keys.keyField, none);
  assert.equal(buttonOf(empty.root, t("settings.key.clear")).disabled, true);
});

test("the result of the connection test is good, a warning or bad", async () => {
  const looks = { good: "good", trouble: "warn", bad_key: "bad", no_key: "bad", bad_address: "bad" };
  const root = connection.connectionField();
  const [button, note] = root.children;
  for (const [verdict, look] of Object.entries(looks)) {
    const [sent] = await withAnswer(() => json({ verdict, message: `It is ${verdict}.` }), () => button.click());
    assert.equal(sent.path, "/pika/connection");
    assert.equal(note.textContent, `It is ${verdict}.`);
    assert.ok(note.classList.contains(look), verdict);
    assert.equal(button.disabled, false);
  }
  await withAnswer(() => json({ error: "No." }, 500), () => button.click());
  assert.ok(note.classList.contains("bad"));
});

/** The three fields of the gateway, as the page has them, after the settings were read. */
async function gatewayFields(known = settings()) {
  let address, key, tester;
  await withAnswer(
    () => json(known),
    async () => {
      [address, key, tester] = [fields.addressField(), keys.keyField(), connection.connectionField()].map(inPage);
      await loadSettings();
    },
  );
  const type = (root, value) => {
    const input = root.querySelector("input");
    input.value = value;
    input.oninput();
    return input;
  };
  return { address, key, tester, type };
}

/** Presses "Test connection"; what was sent. */
async function pressTest(tester, verdict = "good") {
  const [sent] = await withAnswer(() => json({ verdict, message: `It is ${verdict}.` }), () => tester.children[0].click());
  return JSON.parse(sent.body);
}

test("the test is about what is typed, and about what is saved where nothing is", async () => {
  const { address, key, tester, type } = await gatewayFields(
    settings({ base_url: { ...settings().base_url, source: "file" } }),
  );
  assert.deepEqual(await pressTest(tester), {});
  type(address, " https://other.example/ ");
  type(key, " typed-key-1234 ");
  assert.deepEqual(await pressTest(tester), { base_url: "https://other.example/", api_key: "typed-key-1234" });
  const note = tester.children.at(-1);
  assert.equal(note.textContent, `It is good.\n${t("settings.test.unsaved")}`);
  type(address, "");
  assert.deepEqual(await pressTest(tester), { api_key: "typed-key-1234", base_url: null });
});

test("a verdict goes when something is typed, and when something else is saved", async () => {
  const { address, key, tester, type } = await gatewayFields();
  const note = tester.children.at(-1);
  for (const root of [address, key]) {
    await pressTest(tester, "bad_key");
    assert.notEqual(note.textContent, "");
    type(root, "x");
    assert.equal(note.textContent, "");
  }
  type(key, "");
  type(address, "");
  await pressTest(tester);
  const other = settings({ base_url: { ...settings().base_url, value: "https://other.example" } });
  await withAnswer(() => json(other), loadSettings);
  assert.equal(note.textContent, "");
});

test("a verdict stays when what was tested is saved, or a setting that it is not about", async () => {
  const { address, tester, type } = await gatewayFields();
  const note = tester.children.at(-1);
  type(address, "https://Other.example/");
  await pressTest(tester, "trouble");
  const saved = settings({ base_url: { ...settings().base_url, value: "https://other.example", source: "file" } });
  await withAnswer(() => json(saved), loadSettings);
  await withAnswer(() => json({ ...saved, max_requests: { ...saved.max_requests, value: 2 } }), loadSettings);
  assert.equal(note.textContent, "It is trouble.");
});

test("a result that comes after a change is not shown", async () => {
  const { key, tester, type } = await gatewayFields();
  let answer;
  await withAnswer(
    () => new Promise((resolve) => (answer = resolve)),
    async () => {
      const testing = tester.children[0].click();
      await settled();
      type(key, "another");
      answer(json({ verdict: "good", message: "Of before." }));
      await testing;
    },
  );
  assert.equal(tester.children.at(-1).textContent, "");
  assert.equal(tester.children[0].disabled, false);
});

test("what is tested is compared without what the server changes, and short keys without their end", () => {
  const saved = settings();
  const { address } = connection.testedBy({}, saved);
  assert.equal(connection.testedBy({ base_url: null }, saved).address, connection.testedBy({ base_url: saved.base_url.default }, saved).address);
  assert.equal(connection.testedBy({ api_key: "0123456789-QW7Z" }, saved).key, connection.testedBy({}, saved).key);
  assert.notEqual(connection.testedBy({ api_key: "0123456789-QW7Y" }, saved).key, connection.testedBy({}, saved).key);
  assert.equal(connection.testedBy({ api_key: "short" }, saved).key.trim(), "set");
  assert.equal(connection.testedBy({}, null).key, "none");
  assert.ok(address);
});

test("the key that was just entered survives a change of the address: it is back in its field, unsaved", async () => {
  const { key, type } = await gatewayFields(settings({ api_key: { set: false, hint: "", source: "none" } }));
  const input = type(key, "just-entered-key");
  await withAnswer(() => json(settings()), () => buttonOf(key, t("common.save")).click());
  assert.equal(input.value, "");
  const moved = settings({ base_url: { ...settings().base_url, value: "https://other.example" }, api_key: { set: false, hint: "", source: "none" } });
  const sent = await withAnswer(() => json(moved), loadSettings);
  assert.equal(input.value, "just-entered-key");
  assert.equal(key.children.at(-1).textContent, t("settings.key.put_back", { address: "https://other.example" }));
  assert.ok(sent.every(({ method }) => method !== "POST"));
  assert.equal(buttonOf(key, t("common.save")).disabled, false);
});

test("a key that the user has cleared does not come back", async () => {
  const none = { set: false, hint: "", source: "none" };
  const { key, type } = await gatewayFields();
  type(key, "just-entered-key");
  await withAnswer(() => json(settings()), () => buttonOf(key, t("common.save")).click());
  await withAnswer(() => json(settings({ api_key: none })), () => buttonOf(key, t("settings.key.clear")).click());
  const moved = settings({ base_url: { ...settings().base_url, value: "https://other.example" }, api_key: none });
  await withAnswer(() => json(moved), loadSettings);
  assert.equal(key.querySelector("input").value, "");
});

test("an address without https:// is not saved, and one press adds it", async () => {
  const { address, type } = await gatewayFields();
  const input = type(address, "api.gpt.ge/v1");
  assert.deepEqual(await withAnswer(() => json(settings()), () => input.onchange()), []);
  assert.equal(address.children.at(-1).textContent, t("settings.address.no_scheme"));
  const [sent] = await withAnswer(
    () => json(settings()),
    () => buttonOf(address, t("settings.address.use", { url: "https://api.gpt.ge/v1" })).click(),
  );
  assert.deepEqual(JSON.parse(sent.body), { base_url: "https://api.gpt.ge/v1" });
  assert.equal(address.children[1].hidden, true);
});

test("what lacks https:// is recognized, and nothing else", () => {
  for (const [typed, meant] of [
    ["api.gpt.ge", "https://api.gpt.ge"],
    ["//api.gpt.ge/v1", "https://api.gpt.ge/v1"],
    ["api.gpt.ge:8443/x", "https://api.gpt.ge:8443/x"],
    ["接口.例子", "https://接口.例子"],
    ["localhost:8000", "http://localhost:8000"],
    ["127.0.0.1:8000", "http://127.0.0.1:8000"],
    ["[::1]:8000", "http://[::1]:8000"],
  ]) {
    assert.equal(withScheme(typed), meant);
  }
  for (const typed of ["", "https://api.gpt.ge", "http://a.b", "ftp://a.b", "javascript:alert(1)", "word", "a b.c", "me@a.b", "/path.x"]) {
    assert.equal(withScheme(typed), "", typed);
  }
});

test("the link for a key leads to the host that it shows, over http or https only", () => {
  for (const [address, href, host] of [
    ["https://api.gpt.ge/v1", "https://api.gpt.ge/", "api.gpt.ge"],
    ["https://good.example@evil.example/x", "https://evil.example/", "evil.example"],
    ["https://gооd.example", "https://xn--gd-fmca.example/", "xn--gd-fmca.example"],
    ["https://a.example:8443/?q#f", "https://a.example:8443/", "a.example:8443"],
  ]) {
    assert.deepEqual(siteOf(address), { href, host });
  }
  for (const address of ["", "javascript:alert(1)", "data:text/html,x", "ftp://a.b", "http://127.0.0.1:8000", "http://localhost", "no url"]) {
    assert.equal(siteOf(address), null, address);
  }
});

test("the key's field and the link in it are of the saved address", async () => {
  const { key } = await gatewayFields();
  const link = key.querySelector("a");
  assert.equal(link.href, `${settings().base_url.value}/`);
  assert.equal(link.rel, "noopener noreferrer");
  assert.equal(link.textContent, t("settings.key.get", { host: new URL(settings().base_url.value).host }));
});

test("diagnostics are copied, or selected in a dialog where the browser refuses", async (context) => {
  const root = diagnosticsField();
  const [button, note] = root.children;
  await withAnswer(() => json({ text: "ComfyUI-Pika 1.2.3" }), () => button.click());
  assert.equal(clipboard.text, "ComfyUI-Pika 1.2.3");
  assert.equal(note.textContent, t("settings.diagnostics.copied"));
  const selected = [];
  globalThis.getSelection = () => ({ selectAllChildren: (node) => selected.push(node) });
  context.after(() => {
    clipboard.works = true;
    delete globalThis.getSelection;
  });
  clipboard.works = false;
  await withAnswer(
    () => json({ text: "ComfyUI-Pika 4.5.6" }),
    async () => {
      const copying = button.click();
      await settled();
      assert.ok(topDialog().textContent.includes(t("settings.diagnostics.by_hand")));
      assert.equal(selected[0].textContent, "ComfyUI-Pika 4.5.6");
      topDialog().close();
      await copying;
    },
  );
});

test("every setting of the page has a name and a tooltip", async () => {
  await load("settings.js");
  const { settings: registered } = app.extensions["pika.settings"];
  assert.deepEqual(
    registered.map(({ id }) => id),
    [
      ...["BaseUrl", "ApiKey", "Connection", "DailyLimit", "RunLimit", "DailyCostLimit", "MinBalance"],
      ...["Price", "Currency", "Base64Style", "MaxRequests", "MaxBodyMb", "Notifications", "Diagnostics"],
      "LimitsOffered",
    ].map((id) => `Pika.${id}`),
  );
  const { type: hidden } = registered.pop();
  assert.equal(hidden, "hidden", "the last one is not on the page");
  for (const { name, tooltip, category, type } of registered) {
    for (const text of [name, tooltip, category[1]]) assert.doesNotMatch(text, /^settings\./);
    assert.equal(type().tagName, "div");
  }
  assert.equal(new Set(registered.map(({ sortOrder }) => sortOrder)).size, registered.length);
});
