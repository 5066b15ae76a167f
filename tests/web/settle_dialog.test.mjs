import assert from "node:assert/strict";
import { test } from "node:test";

import { buttonOf, topDialog } from "./page.mjs";
import { settled } from "./clock.mjs";
import { app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, moment, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
const { actions } = await load("task_actions.mjs");
const { Card } = await load("task_card.mjs");
const { STATES } = await load("task_states.mjs");
const { tasks } = await load("task_store.mjs");

const toasts = [];
app.extensionManager.toast = { add: (toast) => toasts.push(toast) };

const unknown = (number, changes) => ({
  ...task(number, { task_id: null, state: "unknown", error: "No answer.", ...changes }),
  elsewhere: false,
});
const found = (number, changes) => json({ task: task(number, { state: "running", ...changes }) });

/** The parts of the dialog on top. */
function parts() {
  const dialog = topDialog();
  return { dialog, input: dialog.querySelector("input"), use: buttonOf(dialog, t("tasks.settle.use")) };
}

function type(input, text) {
  input.value = text;
  input.oninput();
}

/** Opens the dialog of a request, gives it to `use`, and returns what the action returned. */
async function open(entry, use) {
  toasts.length = 0;
  const asking = actions.settle(entry);
  await use(parts());
  await settled();
  assert.equal(document.body.children.length, 0);
  return asking;
}

test("only a request with an unknown outcome offers to enter its task id", () => {
  const offering = STATES.filter((state) => {
    const entry = unknown(1, { state });
    const card = new Card(entry, actions);
    card.show(entry, 0, 1);
    return !card.settle.hidden;
  });
  assert.deepEqual(offering, ["unknown"]);
});

test("the dialog shows what to compare, as text, and the focus is in its empty field", async () => {
  const prompt = "<img src=x onerror=alert(1)> quince";
  const isSettled = await open(unknown(1, { prompt, created_at: 1_800_000_000 }), ({ dialog, input, use }) => {
    const texts = dialog.all.filter(({ tagName }) => tagName === "p").map(({ textContent }) => textContent);
    const time = t("tasks.settle.sent", { time: moment(1_800_000_000) });
    assert.deepEqual(texts, [t("tasks.settle.text"), prompt, time]);
    assert.equal(document.activeElement, input);
    assert.equal(use.disabled, true);
    buttonOf(dialog, t("common.cancel")).click();
  });
  assert.equal(isSettled, false);
});

test("Enter sends the trimmed id once; then the list has the task, and a toast says what follows", async () => {
  let isSettled;
  const sent = await withAnswer(
    () => found(2, { task_id: "the-id" }),
    async () => {
      isSettled = await open(unknown(2), ({ input, use }) => {
        type(input, "\t the-id \n");
        input.onkeydown({ key: "a" });
        input.onkeydown({ key: "Enter", isComposing: true });
        assert.equal(use.disabled, false);
        input.onkeydown({ key: "Enter" });
        assert.deepEqual([use.disabled, input.readOnly], [true, true]);
        input.onkeydown({ key: "Enter" });
      });
    },
  );
  assert.equal(isSettled, true);
  assert.deepEqual(
    sent.map(({ path, method, body }) => [path, method, JSON.parse(body)]),
    [["/pika/tasks/2/settle", "POST", { task_id: "the-id" }]],
  );
  assert.equal(tasks.task(2).state, "running");
  assert.deepEqual(
    toasts.map(({ summary, detail }) => [summary, detail]),
    [[t("tasks.settle.done"), t("tasks.settle.reused", { id: "the-id" })]],
  );
});

test("a task that failed is not promised to the next run", async () => {
  await withAnswer(
    () => found(3, { state: "failed", error: "Moderation." }),
    () =>
      open(unknown(3), ({ input, use }) => {
        type(input, "the-id");
        use.click();
      }),
  );
  assert.equal(toasts[0].detail, t("tasks.explain.failed"));
});

test("blanks are not sent", async () => {
  const sent = await withAnswer(
    () => found(4),
    () =>
      open(unknown(4), ({ dialog, input, use }) => {
        type(input, " \u00a0\t ");
        assert.equal(use.disabled, true);
        input.onkeydown({ key: "Enter" });
        dialog.close();
      }),
  );
  assert.deepEqual(sent, []);
});

test("an error is shown as text in the dialog, and the id can be corrected", async () => {
  const problem = "The gateway does not know task <b>x</b>.";
  const answers = [json({ error: problem, code: "task_not_found" }, 404), found(5)];
  const sent = await withAnswer(
    () => answers.shift(),
    () =>
      open(unknown(5), async ({ dialog, input, use }) => {
        type(input, "mistyped");
        use.click();
        assert.ok(dialog.textContent.includes(t("tasks.settle.checking")));
        await settled();
        assert.ok(dialog.textContent.includes(problem));
        assert.equal(dialog.querySelector("b"), null);
        assert.equal(tasks.task(5), undefined);
        assert.deepEqual([input.value, input.ariaInvalid, input.readOnly], ["mistyped", "true", false]);
        assert.equal(document.activeElement, input);
        assert.deepEqual(toasts, []);
        type(input, "task-5");
        use.click();
        assert.equal(input.ariaInvalid, null);
      }),
  );
  assert.equal(sent.length, 2);
  assert.equal(tasks.task(5).task_id, "task-5");
});

test("what the server says after the dialog was closed is in a toast", async () => {
  for (const [answer, summary] of [
    [json({ error: "Unknown.", code: "task_not_found" }, 404), t("tasks.settle.failed")],
    [found(6), t("tasks.settle.done")],
  ]) {
    let respond = () => {};
    await withAnswer(
      () => new Promise((resolve) => (respond = resolve)),
      async () => {
        const isSettled = await open(unknown(6), ({ dialog, input, use }) => {
          type(input, "the-id");
          use.click();
          dialog.close();
        });
        assert.equal(isSettled, false);
        respond(answer);
        await settled();
      },
    );
    assert.deepEqual(toasts.map((toast) => toast.summary), [summary]);
  }
});

test("the details of an unknown request lead to the dialog, and are closed after it", async () => {
  const list = { tasks: [unknown(7)], cursor: 0, more: false };
  await withAnswer(
    (path) => {
      if (path.endsWith("/collect")) return json({ task: task(70) });
      return path.endsWith("/settle") ? found(7) : json(list);
    },
    async () => {
      const details = actions.open(unknown(7));
      const button = buttonOf(topDialog(), t("tasks.do.settle"));
      button.click();
      topDialog().close();
      await settled();
      // Another task changes: the button stays, since it has the focus.
      await tasks.act(70, "collect");
      assert.equal(buttonOf(topDialog(), t("tasks.do.settle")), button);
      button.click();
      const { input, use } = parts();
      type(input, "task-7");
      use.click();
      await details;
    },
  );
  assert.equal(document.body.children.length, 0);
});

test("a button that is gone after its dialog leaves the focus to its card", async () => {
  for (const hides of [true, false]) {
    const entry = unknown(8);
    const card = new Card(entry, { ...actions, settle: (_task, button) => (button.hidden = hides) });
    document.activeElement = document.body;
    await card.settle.click();
    assert.equal(document.activeElement === card.root, hides);
  }
});
