import assert from "node:assert/strict";
import { test } from "node:test";

import { buttonOf, clipboard, topDialog } from "./page.mjs";
import { fakeTimeouts, settled } from "./clock.mjs";
import { app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { actions } = await load("task_actions.mjs");
const { iconButton } = await load("dom.mjs");
const { Card } = await load("task_card.mjs");

const FILE = { filename: "quince #1.mp4", subfolder: "pika", type: "output" };
const known = (number, changes) => ({ ...task(number, changes), elsewhere: false });
const toasts = [];
app.extensionManager.toast = { add: (toast) => toasts.push(toast) };

/** Closes the dialog on top. */
async function close() {
  topDialog().close();
  await settled();
}

test("a saved file plays without a request to the pack, from a URL with its name escaped", async () => {
  const sent = await withAnswer(() => json({}), () => actions.open(known(1, { file: FILE, kind: "video" })));
  assert.deepEqual(sent, []);
  const video = topDialog().querySelector("video");
  assert.equal(video.src, "/api/view?filename=quince+%231.mp4&subfolder=pika&type=output");
  assert.equal(topDialog().querySelector("a").href, video.src);
  await close();
});

test("an image is not put into a video player", async () => {
  await actions.open(known(1, { file: FILE, kind: "image" }));
  assert.ok(topDialog().querySelector("img"));
  assert.equal(topDialog().querySelector("video"), null);
  await close();
});

test("a finished task's file is saved first; a failure can be tried again", async () => {
  const answers = [json({ error: "The link has expired." }, 502), json({ task: task(2, { file: FILE, kind: "video" }) })];
  const sent = await withAnswer(
    () => answers.shift(),
    async () => {
      await actions.open(known(2, { state: "finished" }));
      assert.ok(topDialog().textContent.includes("The link has expired."));
      assert.equal(topDialog().querySelector("video"), null);
      await buttonOf(topDialog(), t("common.again")).click();
    },
  );
  assert.deepEqual(sent.map(({ path }) => path), ["/pika/tasks/2/collect", "/pika/tasks/2/collect"]);
  assert.ok(topDialog().querySelector("video"));
  await close();
});

test("a file outside the output folder has no URL: an error says so, and there is no link", async () => {
  await withAnswer(
    () => json({ task: task(3, { file: null, kind: "video" }) }),
    () => actions.open(known(3, { state: "saved", file: null, kind: "video" })),
  );
  assert.ok(topDialog().textContent.includes(t("tasks.unplayable")));
  assert.equal(topDialog().querySelector("video"), null);
  assert.equal(topDialog().querySelector("a"), null);
  await close();
});

test("an error takes the place of a player that cannot play the file", async () => {
  await actions.open(known(1, { file: FILE, kind: "video" }));
  topDialog().querySelector("video").onerror();
  assert.equal(topDialog().querySelector("video"), null);
  assert.ok(topDialog().textContent.includes(t("tasks.unplayable")));
  await close();
});

test("a task without a file shows its state, its error and what to do", async () => {
  const failed = known(4, { state: "failed", error: "Moderation: <b>no pears</b>" });
  await withAnswer(
    () => json({ tasks: [], cursor: 0, more: false }),
    async () => {
      const opened = actions.open(failed);
      const texts = topDialog().all.filter(({ tagName }) => tagName === "p").map(({ textContent }) => textContent);
      assert.deepEqual(texts, [t("tasks.state.failed"), "Moderation: <b>no pears</b>", t("tasks.explain.failed")]);
      await close();
      await opened;
    },
  );
});

test("an id is copied, and a tick shows it for a moment", async (context) => {
  const pass = fakeTimeouts(context);
  const button = iconButton("copy", "Copy id", () => {});
  const mark = button.querySelector("i");
  await actions.copy(known(5), button);
  assert.equal(clipboard.text, "task-5");
  assert.equal(mark.className, "pi pi-check");
  await pass(1500);
  assert.equal(mark.className, "pi pi-copy");
});

test("copied twice within a moment, the button gets its icon back", async (context) => {
  const pass = fakeTimeouts(context);
  const button = iconButton("copy", "Copy id", () => {});
  await actions.copy(known(5), button);
  await pass(1000);
  await actions.copy(known(5), button);
  await pass(5000);
  assert.equal(button.querySelector("i").className, "pi pi-copy");
  assert.equal(button.all.length, 1);
});

test("a copy that the browser refuses shows an error", async () => {
  clipboard.works = false;
  await actions.copy(known(5), iconButton("copy", "Copy id", () => {}));
  clipboard.works = true;
  assert.equal(toasts.at(-1).summary, t("common.not_copied"));
});

test("the request of a task is shown as JSON", async () => {
  const request = { promptText: "A <b>quince</b>" };
  const [sent] = await withAnswer(() => json({ request }), () => actions.request(known(6)));
  assert.equal(sent.path, "/pika/tasks/6/request");
  assert.deepEqual(JSON.parse(topDialog().querySelector("pre").textContent), request);
  await close();
});

test("the gateway's answer is shown as text below the request; without one there is no heading", async () => {
  const texts = () => topDialog().all.filter(({ tagName }) => tagName === "pre").map(({ textContent }) => textContent);
  for (const [answer, expected] of [["<b>502</b>\nBad gateway", ["<b>502</b>\nBad gateway"]], ["", []], [undefined, []]]) {
    await withAnswer(() => json({ request: {}, answer }), () => actions.request(known(6)));
    assert.deepEqual(texts().slice(1), expected);
    assert.equal(topDialog().textContent.includes(t("tasks.answer.title")), expected.length > 0);
    await close();
  }
});

test("forgetting asks first; the answer decides", async () => {
  const requests = [];
  for (const answer of [t("common.cancel"), t("tasks.do.forget")]) {
    const sent = await withAnswer(
      () => json({ task: task(7, { forgotten: true }) }),
      async () => {
        const forgetting = actions.forget(known(7));
        assert.ok(topDialog().textContent.includes(t("tasks.forget.money")));
        assert.ok(topDialog().textContent.includes("Prompt 7"));
        buttonOf(topDialog(), answer).click();
        await forgetting;
      },
    );
    requests.push(sent.map(({ path }) => path));
  }
  assert.deepEqual(requests, [[], ["/pika/tasks/7/forget"]]);
});

test("a task that cannot be forgotten shows an error", async () => {
  await withAnswer(
    () => json({ error: "Task #7 is being sent at this moment." }, 409),
    async () => {
      const forgetting = actions.forget(known(7));
      buttonOf(topDialog(), t("tasks.do.forget")).click();
      await forgetting;
    },
  );
  assert.equal(toasts.at(-1).summary, t("tasks.forget.failed"));
  assert.equal(toasts.at(-1).detail, "Task #7 is being sent at this moment.");
});

/** A card that shows a task, and the actions that its buttons were pressed for. */
function card(changes) {
  const pressed = [];
  const recorded = Object.fromEntries(Object.keys(actions).map((name) => [name, ({ number }) => pressed.push([name, number])]));
  const entry = known(8, changes);
  const created = new Card(entry, recorded);
  created.show(entry, 0, 1);
  return { created, pressed };
}

test("each button of a card does its action with the card's task", () => {
  const { created, pressed } = card();
  created.show(known(9), 0, 1);
  const names = ["add", "copy", "settle", "request", "forget"];
  for (const name of names) buttonOf(created.root, t(`tasks.do.${name}`)).click();
  created.thumbnail.click();
  assert.deepEqual(pressed, [...names, "open"].map((name) => [name, 9]));
});

test("a card shows the progress only while its task is under way", () => {
  const { created } = card({ state: "running", progress: 40 });
  assert.equal(created.bar.hidden, false);
  assert.equal(created.bar.ariaValueNow, "40");
  assert.equal(created.fill.style.width, "40%");
  created.show(known(8), 0, 1);
  assert.equal(created.bar.hidden, true);
});

test("a card without an id offers nothing that needs one", () => {
  const { created } = card({ state: "refused", task_id: null });
  assert.deepEqual([created.add.hidden, created.copy.hidden], [true, true]);
});

test("a card shows its prompt and its error as text, or that it belongs to another gateway", () => {
  const prompt = "<img src=x onerror=alert(1)>";
  const { created } = card({ state: "failed", prompt, error: "<b>no</b>" });
  assert.equal(created.prompt.textContent, prompt);
  assert.equal(created.error.textContent, "<b>no</b>");
  assert.ok(created.root.classList.contains("has-problem"));
  created.show({ ...task(8, { state: "running" }), elsewhere: true }, 0, 1);
  assert.equal(created.error.textContent, t("tasks.elsewhere"));
  created.show(known(8), 0, 1);
  assert.equal(created.root.classList.contains("has-problem"), false);
});

test("a thumbnail that the server does not have is asked for once", () => {
  const { created } = card({ number: 80 });
  const picture = created.thumbnail.querySelector("img");
  assert.ok(picture.src.includes("/pika/tasks/80/"));
  picture.onerror();
  assert.equal(created.thumbnail.querySelector("img"), null);
  assert.equal(card({ number: 80 }).created.thumbnail.querySelector("img"), null);
  assert.ok(card({ number: 81 }).created.thumbnail.querySelector("img"));
});

test("a task without a file has an icon in place of a thumbnail", () => {
  const { created } = card({ state: "failed" });
  assert.equal(created.thumbnail.querySelector("img"), null);
  assert.equal(created.thumbnail.title, t("tasks.do.details"));
});
