import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { clipboard } from "./page.mjs";
import { api, app, load, speak } from "./host.mjs";

const { loadStrings } = await load("i18n.mjs");
await loadStrings();
const { showLine } = await load("node_line.mjs");

const TASK = "12345678-aaaa-4bbb-8ccc-0123456789ab";
const VIDEO = { filename: "a.mp4", subfolder: "pika", type: "output" };
const NOTHING = { text: "", look: "", tasks: [], files: [], isVideo: false, poster: undefined };
const line = (changes) => ({ ...NOTHING, ...changes });

beforeEach(() => {
  speak("en");
  app.canvas = { setDirty() {} };
});

/** A node as the classic rendering has it: its prompt box gets the height that is left over. */
function graphNode(changes = {}) {
  const node = {
    id: 5,
    size: [340, 400],
    widgets: [{ name: "prompt_text" }],
    addDOMWidget(name, type, element, options) {
      const widget = { name, type, element, options };
      this.widgets.push(widget);
      this.size = [this.size[0], this.size[1] + 7]; // some editors change the size
      return widget;
    },
    removeWidget(widget) {
      this.widgets.splice(this.widgets.indexOf(widget), 1);
    },
    computeSize: () => [100, 100],
    setSize(size) {
      this.size = size;
      widgetOf(this)?.options.afterResize();
    },
    ...changes,
  };
  return node;
}

const widgetOf = (node) => node.widgets.find(({ type }) => type === "pika_line");
const heightOf = (node) => widgetOf(node).options.getMinHeight();
const mediaOf = (node) => widgetOf(node).element.children[1].children;

test("the node grows by the line, so its other widgets keep their height, and shrinks with it", () => {
  const node = graphNode();
  showLine(node, line({ text: "pending 47 %" }), { withMedia: false });
  const one = heightOf(node);
  assert.deepEqual(node.size, [340, 400 + one]);
  assert.equal(widgetOf(node).options.getMaxHeight(), one);
  showLine(node, line({ text: "word ".repeat(60) }), { withMedia: false });
  assert.ok(heightOf(node) > one);
  assert.deepEqual(node.size, [340, 400 + heightOf(node)]);
  showLine(node, NOTHING, { withMedia: false });
  assert.deepEqual([node.size, node.widgets.length], [[340, 400], 1]);
});

test("a very long text, and one in Chinese, have a height with a limit", () => {
  const node = graphNode();
  showLine(node, line({ text: "x".repeat(60) }), { withMedia: false });
  const latin = heightOf(node);
  showLine(node, line({ text: "停".repeat(60) }), { withMedia: false });
  assert.ok(heightOf(node) > latin);
  showLine(node, line({ text: "x\n".repeat(1000) }), { withMedia: false });
  assert.ok(heightOf(node) < 200);
});

test("a saved workflow has neither the line nor the height of it", () => {
  const node = graphNode({ onSerialize: (data) => (data.own = true) });
  const saved = () => {
    const data = { size: [...node.size], properties: { proxyWidgets: [["-1", "seed"], ["-1", "$$node-text-preview"]] } };
    node.onSerialize(data);
    return data;
  };
  showLine(node, line({ text: "pending" }), { withMedia: false });
  assert.deepEqual(saved(), { size: [340, 400], properties: { proxyWidgets: [["-1", "seed"]] }, own: true });
  assert.deepEqual([widgetOf(node).serialize, widgetOf(node).options.serialize], [false, false]);
  showLine(node, NOTHING, { withMedia: false });
  assert.deepEqual(saved().size, [340, 400]);
});

test("where the editor has removed the widget, or has its own, the line replaces it", () => {
  const node = graphNode();
  node.widgets.push({ name: "$$node-text-preview" });
  for (const text of ["one", "two"]) {
    showLine(node, line({ text }), { withMedia: false });
    assert.deepEqual(node.widgets.map(({ type }) => type), [undefined, "pika_line"]);
    const { size } = node;
    node.widgets.pop();
    showLine(node, line({ text }), { withMedia: false });
    assert.deepEqual([node.size, node.widgets.length], [size, 2]);
  }
});

test("texts are texts, and an id copies the whole of it", async () => {
  const node = graphNode();
  showLine(node, line({ text: "<b>no</b> · 12345678", tasks: [TASK], look: "bad" }), { withMedia: false });
  const [text] = widgetOf(node).element.children;
  assert.match(text.className, /\bbad\b/);
  assert.equal(text.children[0], "<b>no</b> · ");
  const button = text.children[1];
  assert.equal(button.textContent, "12345678");
  assert.match(button.title, new RegExp(TASK));
  await button.onclick();
  assert.equal(clipboard.text, TASK);
});

test("only a subgraph's node shows the files; they are loaded once", () => {
  const node = graphNode();
  const done = line({ text: "2.0 s", files: [VIDEO], isVideo: true });
  showLine(node, done, { withMedia: false });
  assert.equal(mediaOf(node).length, 0);
  const host = graphNode();
  showLine(host, done, { withMedia: true });
  const [video] = mediaOf(host);
  assert.equal(video.tagName, "video");
  assert.equal(video.src, api.apiURL("/view?filename=a.mp4&subfolder=pika&type=output"));
  const wide = heightOf(host);
  Object.assign(video, { videoWidth: 100, videoHeight: 100 });
  video.onloadedmetadata();
  assert.ok(heightOf(host) > wide);
  assert.deepEqual(host.size, [340, 400 + heightOf(host)]);
  showLine(host, { ...done, text: "Reused" }, { withMedia: true });
  assert.equal(mediaOf(host)[0], video);
  showLine(host, line({ text: "Stopped." }), { withMedia: true });
  assert.equal(mediaOf(host).length, 0);
  showLine(host, line({ files: [VIDEO, { ...VIDEO, filename: "b.png" }] }), { withMedia: true });
  assert.deepEqual(mediaOf(host).map(({ tagName }) => tagName), ["img", "img"]);
});

test("a wider node has room for a larger video", () => {
  const host = graphNode();
  showLine(host, line({ files: [VIDEO], isVideo: true }), { withMedia: true });
  const before = heightOf(host);
  host.setSize([680, 900]);
  assert.ok(heightOf(host) > before);
});

test("a collapsed node keeps its size, and an editor without such widgets shows nothing", () => {
  const collapsed = graphNode({ flags: { collapsed: true } });
  showLine(collapsed, line({ text: "pending" }), { withMedia: false });
  assert.deepEqual(collapsed.size, [340, 400]);
  const older = graphNode({ addDOMWidget: undefined });
  showLine(older, line({ text: "pending" }), { withMedia: false });
  assert.deepEqual([older.size, older.widgets.length], [[340, 400], 1]);
  showLine(older, NOTHING, { withMedia: false });
});
