import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./page.mjs";
import { load, speak } from "./host.mjs";

const { loadStrings } = await load("i18n.mjs");
await loadStrings();
const { notificationState, notify, switchNotifications } = await load("browser_notifications.mjs");
const { notificationField } = await load("notification_field.mjs");

/** The browser's notifications, and how often it asked for the permission. */
let browser;

class Notification {
  constructor(title, options) {
    if (browser.isPhone) throw new TypeError("Illegal constructor");
    Object.assign(this, { title, ...options });
    browser.shown.push(this);
  }
  static get permission() {
    return browser.permission;
  }
  static async requestPermission() {
    browser.asked += 1;
    browser.permission = browser.answer;
    return browser.permission;
  }
  close() {
    browser.shown.splice(browser.shown.indexOf(this), 1);
  }
}

beforeEach(() => {
  speak("en");
  browser = { permission: "default", answer: "granted", asked: 0, shown: [], stored: {}, isPhone: false };
  const localStorage = {
    getItem: (key) => browser.stored[key] ?? null,
    setItem: (key, value) => (browser.stored[key] = value),
    removeItem: (key) => delete browser.stored[key],
  };
  for (const [name, value] of Object.entries({ Notification, localStorage, isSecureContext: true, focus() {} })) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
});

const NOTICE = { key: "3 saved", title: "Title", text: "<b>Text</b>", open: () => (browser.opened = true) };

/** The switch and the line below it. */
function field() {
  const root = notificationField();
  const box = root.all.find(({ type }) => type === "checkbox");
  return { box, text: () => root.children[1].textContent };
}

test("notifications are off, and nothing asks for the permission, until the user switches them on", async () => {
  notify(NOTICE);
  const { box, text } = field();
  assert.deepEqual([box.checked, browser.asked, browser.shown], [false, 0, []]);
  assert.match(text(), /^Off/);
  box.checked = true;
  await box.onchange();
  assert.deepEqual([box.checked, browser.asked, text()], [true, 1, "On in this browser"]);
  notify(NOTICE);
  const [{ title, body, tag }] = browser.shown;
  assert.deepEqual([title, body, tag], ["Title", "<b>Text</b>", "pika 3 saved"]);
});

test("a permission that another page of the host got does not switch them on", () => {
  browser.permission = "granted";
  assert.equal(notificationState(), "off");
  notify(NOTICE);
  assert.deepEqual(browser.shown, []);
});

test("switched off, they stay off; switched on again, the browser is not asked again", async () => {
  await switchNotifications(true);
  assert.equal(await switchNotifications(false), "off");
  notify(NOTICE);
  assert.deepEqual([browser.shown, browser.stored], [[], {}]);
  assert.equal(await switchNotifications(true), "on");
  assert.equal(browser.asked, 2, "requestPermission resolves at once where it was granted");
});

test("a refusal is explained, and a question that was closed leaves them off", async () => {
  const { box, text } = field();
  for (const [answer, words] of [["default", /^Off/], ["denied", /^Blocked/]]) {
    browser.answer = answer;
    box.checked = true;
    await box.onchange();
    assert.equal(box.checked, false);
    assert.match(text(), words);
  }
  browser.permission = "denied";
  notify(NOTICE);
  assert.deepEqual(browser.shown, []);
});

test("a click shows the page and opens the task", async () => {
  await switchNotifications(true);
  notify(NOTICE);
  browser.shown[0].onclick();
  assert.deepEqual([browser.opened, browser.shown], [true, []]);
  notify(NOTICE)();
  assert.deepEqual(browser.shown, []);
});

test("where the browser has none, the switch is locked and says why", () => {
  globalThis.isSecureContext = false;
  const { box, text } = field();
  assert.equal(box.disabled, true);
  assert.match(text(), /HTTPS/);
  notify(NOTICE)();
  globalThis.isSecureContext = true;
  globalThis.Notification = undefined;
  assert.equal(notificationState(), "unsupported");
});

test("a phone that refuses to show one, and a browser that stores nothing, cause no error", async () => {
  await switchNotifications(true);
  browser.isPhone = true;
  notify(NOTICE)();
  globalThis.localStorage = {
    getItem() {
      throw new Error("denied");
    },
    setItem() {
      throw new Error("The browser stores nothing");
    },
  };
  assert.equal(notificationState(), "off");
  notify(NOTICE)();
  const { box, text } = field();
  box.checked = true;
  await box.onchange();
  assert.deepEqual([box.checked, text()], [false, "The browser stores nothing"]);
});
