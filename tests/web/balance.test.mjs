import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.mjs";
import { FakeHost, settled } from "./clock.mjs";
import { load, speak, task } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { amount, balanceTexts, costOf } = await load("money.mjs");
const { BalanceStore } = await load("balance_store.mjs");
const { newestSubmitted, showBalance } = await load("sidebar.mjs");
const { element } = await load("dom.mjs");

const balance = { quota: 20, used: 7.6, left: 12.4, unlimited: false };
const answer = (changes = {}) => ({ balance, offered: true, problem: "", currency: "", ...changes });

test("amounts are written as on the nodes and the command line", () => {
  const expected = { 0: "0.00", 12.4: "12.40", 0.25: "0.25", 0.125: "0.125", 1234.567: "1234.57", 125000: "125000" };
  for (const [value, text] of Object.entries(expected)) assert.equal(amount(Number(value), ""), text);
  assert.equal(amount(0.000002, ""), "0.000002");
  assert.equal(amount(-1.5, "CNY"), "-1.50 CNY");
});

test("a task's own price is exact, an estimate is marked, and a task that may be free has no cost", () => {
  const cost = (changes) => costOf(task(1, changes), "CNY").cost;
  assert.equal(cost({ price: 0.25, estimate: 0.5 }), "0.25 CNY");
  assert.equal(cost({ estimate: 0.5 }), "≈ 0.50 CNY");
  assert.match(costOf(task(1, { estimate: 0.5 }), "").meaning, /expected.* 0\.50$/i);
  assert.match(costOf(task(1, { price: 0.5 }), "").meaning, /^Price.* 0\.50$/);
  assert.equal(cost({}), "");
  assert.equal(cost({ price: undefined, estimate: undefined }), "");
  for (const state of ["intended", "refused", "unknown", "failed"]) assert.equal(cost({ state, estimate: 0.5 }), "");
});

test("the head says what is left, and the numbers behind it", () => {
  assert.deepEqual(balanceTexts(balance, "CNY"), {
    text: "12.40 CNY left",
    details: "Quota 20.00 CNY, used 7.60 CNY, as the gateway reports it",
  });
  const { text } = balanceTexts({ quota: null, used: 7.6, left: null, unlimited: true }, "");
  assert.equal(text, t("balance.unlimited"));
});

test("without a balance the head has no place for it, with an old one it says why", () => {
  const place = element("span", {});
  for (const none of [null, answer({ balance: null, offered: false })]) {
    showBalance(place, none);
    assert.equal(place.hidden, true);
  }
  showBalance(place, answer({ problem: "HTTP 500 <b>" }));
  assert.deepEqual([place.hidden, place.textContent], [false, "12.40 left"]);
  assert.match(place.title, /Quota 20\.00.*\nHTTP 500 <b>$/);
  assert.equal(place.classList.contains("old"), true);
});

test("a submit is noticed by the newest task that has an id", () => {
  assert.equal(newestSubmitted([]), 0);
  assert.equal(newestSubmitted([task(3, { task_id: null }), task(2), task(1)]), 2);
});

/** A store whose requests are recorded by the moment at which they are sent. */
function store(read = async () => answer()) {
  const host = new FakeHost();
  const sent = [];
  const balances = new BalanceStore(host, () => {
    sent.push(host.time);
    return read(sent.length);
  });
  return { host, sent, balances };
}

test("the server is asked after the list was, every minute, and some seconds after a submit", async () => {
  const { host, sent, balances } = store();
  let changes = 0;
  const close = balances.open(() => (changes += 1));
  await host.pass(70_000);
  assert.deepEqual(sent, [300, 60_300]);
  for (let count = 0; count < 5; count += 1) balances.submitted();
  await host.pass(20_000);
  assert.deepEqual(sent, [300, 60_300, 76_000]);
  assert.equal(changes, 3);
  close();
  balances.submitted();
  balances.refresh();
  await host.pass(200_000);
  assert.equal(sent.length, 3);
  assert.equal(host.timers, 0);
});

test("a hidden page does not ask", async () => {
  const { host, sent, balances } = store();
  balances.open(() => {});
  await host.pass(1000);
  host.setHidden(true);
  await host.pass(300_000);
  assert.deepEqual(sent, [300]);
});

test("an error of the server hides the balance and ends nothing", async () => {
  const { host, balances } = store(async (count) => {
    if (count === 2) throw new Error("ComfyUI does not respond.");
    return answer();
  });
  balances.open(() => {});
  await host.pass(1000);
  assert.deepEqual(balances.answer, answer());
  await host.pass(60_000);
  assert.equal(balances.answer, null);
  await host.pass(60_000);
  assert.deepEqual(balances.answer, answer());
});

test("an answer for earlier settings is not shown after a later one", async () => {
  const waiting = [];
  const { host, balances } = store(() => new Promise((resolve) => waiting.push(resolve)));
  balances.open(() => {});
  await host.pass(1000);
  balances.refresh();
  waiting[1](answer({ currency: "new" }));
  waiting[0](answer({ currency: "old" }));
  await settled();
  assert.equal(balances.answer.currency, "new");
});
