import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { load, speak } from "./host.mjs";

const { loadStrings } = await load("i18n.mjs");
await loadStrings();
const { RunLines, hostsOf, partsOf, shortId } = await load("run_lines.mjs");

const TASK = "12345678-aaaa-4bbb-8ccc-0123456789ab";
const OTHER = "9abcdef0-aaaa-4bbb-8ccc-0123456789ab";
const VIDEO = { filename: "a.mp4", subfolder: "pika", type: "output" };

/** Generate 4 → Result 5, a foreign node 6, and the same pair as 3 and 4 in the subgraph of node 1. */
const GRAPH = {
  4: { ours: true, creates: true, behind: ["5", "6"] },
  5: { ours: true, behind: ["6"] },
  6: { ours: false, behind: [] },
  "1:3": { ours: true, creates: true, behind: ["1:4", "1"] },
  "1:4": { ours: true, behind: ["1"] },
};
let shown;
let removed;
let lines;

beforeEach(() => {
  speak("en");
  shown = {};
  removed = [];
  const put = (id, line) => (shown[id] = line);
  lines = new RunLines({
    isOurs: (id) => GRAPH[id]?.ours ?? false,
    isGenerate: (id) => GRAPH[id]?.creates ?? false,
    nodesBehind: (id) => GRAPH[id]?.behind ?? [],
    show: put,
    showOnSubgraph: put,
    removeOutput: (id) => removed.push(id),
  });
  lines.start();
  lines.cached([]);
});

const submitted = { text: ["task 12345678"], images: [], pika_tasks: [TASK] };
const saved = { text: ["2.0 s · 12345678"], images: [VIDEO], animated: [true], pika_tasks: [TASK] };

/** A whole run of both nodes. */
function run(prefix = "", generate = "4", result = "5") {
  lines.start();
  lines.cached([]);
  lines.text(prefix + generate, "Sending the request");
  lines.executed(prefix + generate, submitted);
  lines.text(prefix + result, "pending 47 %");
  lines.text(prefix + result, "2.0 s · 12345678");
  lines.executed(prefix + result, saved);
}

test("a node shows its progress, and after the run what came of it", () => {
  lines.text("4", "Sending the request");
  assert.equal(shown[4].text, "Sending the request");
  run();
  assert.equal(shown[4].text, "Sending the request", "its last progress text, which is the summary");
  assert.equal(shown[5].text, "2.0 s · 12345678");
  assert.deepEqual(shown[5].tasks, [TASK]);
});

test("an unchanged workflow that runs again says that the task was reused", () => {
  run();
  lines.start();
  lines.cached(["4", "5"]);
  lines.executed("5", saved);
  lines.executed("4", submitted);
  assert.match(shown[4].text, /^Reused task 12345678, no new charge\./);
  assert.equal(shown[5].text, "2.0 s · 12345678");
  lines.executed("4", { ...submitted, pika_tasks: [TASK, OTHER] });
  assert.match(shown[4].text, /^Reused 2 tasks, no new charge\./);
  speak("zh");
  lines.executed("4", submitted);
  assert.match(shown[4].text, /^已复用任务 12345678/);
});

test("a node that skipped its request reused nothing", () => {
  lines.cached(["4"]);
  lines.executed("4", { text: ["skipped: HTTP 400"], pika_tasks: [] });
  assert.equal(shown[4].text, "skipped: HTTP 400");
});

test("a new run removes the video of the one before, before it has one itself", () => {
  run();
  removed.length = 0;
  lines.start();
  lines.text("5", "queued");
  lines.text("5", "pending 10 %");
  assert.deepEqual(removed, ["5"]);
});

test("a stopped run says so, and shows no video of an earlier one on any node behind", () => {
  run();
  removed.length = 0;
  lines.start();
  lines.text("4", "Stopped. If the request was sent, …");
  lines.stopped();
  assert.deepEqual(new Set(removed), new Set(["4", "5"]));
  assert.equal(shown[4].text, "Stopped. If the request was sent, …");
  assert.equal(shown[5].text, "");
});

test("a failure has its own look; what had ended before it stays", () => {
  run();
  removed.length = 0;
  lines.start();
  lines.text("4", "Sending");
  lines.executed("4", submitted);
  lines.text("5", "Moderation: <b>no pears</b>");
  removed.length = 0;
  lines.failed("5");
  assert.deepEqual([shown[5].text, shown[5].look], ["Moderation: <b>no pears</b>", "bad"]);
  assert.equal(shown[4].look, "");
  assert.deepEqual(removed, ["5"]);
});

test("the failure of another pack's node clears what depends on it, and nothing that has ended", () => {
  GRAPH[6].behind = ["5"];
  run();
  removed.length = 0;
  lines.start();
  lines.failed("6");
  assert.deepEqual(removed, ["5"]);
  run();
  removed.length = 0;
  lines.failed("6");
  assert.deepEqual(removed, []);
  GRAPH[6].behind = [];
});

test("a text that arrives after the end of the run is shown", () => {
  lines.text("5", "pending 10 %");
  lines.failed("4");
  lines.text("5", "Stopped. The task is kept; …");
  assert.equal(shown[5].text, "Stopped. The task is kept; …");
});

test("a subgraph's node says what its nodes say, and shows their picture, then their video", () => {
  const poster = new Blob(["picture"]);
  lines.text("1:3", "task 12345678");
  lines.text("1:4", "pending 47 %");
  lines.poster("1:4", poster);
  assert.deepEqual([shown[1].text, shown[1].poster], ["task 12345678\npending 47 %", poster]);
  run("1:", "3", "4");
  assert.deepEqual([shown[1].files, shown[1].isVideo, shown[1].poster], [[VIDEO], true, undefined]);
  lines.start();
  lines.text("1:4", "Moderation");
  lines.failed("1:4");
  assert.deepEqual([shown[1].files, shown[1].look], [[], "bad"]);
});

test("everything is shown again where the editor removes it", () => {
  run();
  shown = {};
  lines.again();
  assert.deepEqual(Object.keys(shown), ["4", "5"]);
});

test("an output that comes back is shown, but never over a line of this page", () => {
  lines.restored("5", saved);
  assert.equal(shown[5].text, "2.0 s · 12345678");
  lines.text("4", "Sending");
  lines.restored("4", submitted);
  assert.equal(shown[4].text, "Sending");
  lines.clear();
  lines.restored("4", submitted);
  assert.equal(shown[4].text, "task 12345678");
});

test("nodes of other packs and nodes that are not there are left alone", () => {
  for (const id of ["6", "99", "1:99"]) {
    lines.text(id, "text");
    lines.executed(id, submitted);
    lines.restored(id, submitted);
    lines.poster(id, new Blob());
  }
  lines.executed("5", undefined);
  lines.failed("99");
  assert.deepEqual([shown, removed], [{}, []]);
});

test("the subgraphs around a node", () => {
  assert.deepEqual([hostsOf("5"), hostsOf("1:5"), hostsOf("1:2:5")], [[], ["1"], ["1", "1:2"]]);
});

test("the first characters of an id become its parts of the text", () => {
  assert.equal(shortId(TASK), "12345678");
  assert.equal(shortId("task-12"), "task-12");
  assert.deepEqual(partsOf("2 s · 12345678", [TASK, OTHER]), ["2 s · ", { task: TASK }]);
  assert.deepEqual(partsOf("12345678 and 9abcdef0.", [TASK, OTHER]), [{ task: TASK }, " and ", { task: OTHER }, "."]);
  assert.deepEqual(partsOf("none <b>", [TASK]), ["none <b>"]);
  assert.deepEqual(partsOf("", [TASK]), []);
});
