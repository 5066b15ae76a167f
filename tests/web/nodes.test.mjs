import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { buttonOf, topDialog } from "./page.mjs";
import { fakeTimeouts, until } from "./clock.mjs";
import { app, json, load, speak, task, withAnswer } from "./host.mjs";

const { loadStrings, nodeTexts, t } = await load("i18n.mjs");
await loadStrings();
speak("en");
for (const name of ["pika.js", "history.js", "node_texts.js"]) await load(name);

const extension = (name) => app.extensions[name];
let store;

beforeEach(() => {
  speak("en");
  app.graph = { nodes: [], setDirtyCanvas() {} };
  app.nodePreviewImages = {};
  app.canvas = { setDirty() {} };
  store = { nodePreviewImages: {} };
  app.extensionManager._p = { _s: new Map([["nodeOutput", store]]) };
});

/** A Pika Result with its thumbnail in every place where editors keep one. */
function resultNode(changes = {}) {
  const node = {
    id: 5,
    comfyClass: "PikaResult",
    graph: { isRootGraph: true },
    size: [200, 80],
    imgs: [{}],
    widgets: [{ name: "$$canvas-image-preview" }],
    removeWidget(widget) {
      this.widgets.splice(this.widgets.indexOf(widget), 1);
    },
    computeSize: () => [100, 300],
    setSize(size) {
      this.size = size;
    },
    ...changes,
  };
  app.nodePreviewImages = { 5: ["blob:1"], 6: ["blob:2"], "sub:5": ["blob:3"] };
  store.nodePreviewImages = { ...app.nodePreviewImages };
  extension("pika.nodes").nodeCreated(node);
  return node;
}

test("a new Pika Generate keeps its seed after a run", () => {
  const control = { name: "control_after_generate", value: "randomize", options: { values: ["fixed", "randomize"] } };
  const filter = { name: "filter", value: "", options: {} };
  const node = { comfyClass: "PikaGenerate", widgets: [{ name: "prompt_text" }, { name: "seed", linkedWidgets: [filter, control] }] };
  extension("pika.nodes").nodeCreated(node);
  assert.equal(control.value, "fixed");
  assert.equal(filter.value, "");
});

test("another pack's node with a seed is left alone", () => {
  const control = { value: "randomize", options: { values: ["fixed", "randomize"] } };
  extension("pika.nodes").nodeCreated({ comfyClass: "KSampler", widgets: [{ name: "seed", linkedWidgets: [control] }] });
  assert.equal(control.value, "randomize");
});

test("a node without a control for its seed causes no error", () => {
  extension("pika.nodes").nodeCreated({ comfyClass: "PikaGenerate", widgets: [{ name: "seed" }] });
  extension("pika.nodes").nodeCreated({ comfyClass: "PikaGenerate" });
});

test("after a run the node's thumbnail is removed everywhere, and no other node's", () => {
  const node = resultNode();
  node.onExecuted({ images: [{}], animated: [false] });
  assert.equal(node.imgs, undefined);
  assert.deepEqual(node.widgets, []);
  for (const previews of [app.nodePreviewImages, store.nodePreviewImages]) {
    assert.deepEqual(Object.keys(previews), ["6", "sub:5"]);
  }
});

test("in a subgraph the thumbnail is that of the node in the subgraph", () => {
  const node = resultNode({ graph: { isRootGraph: false, id: "sub" } });
  node.onExecuted({ images: [{}] });
  assert.deepEqual(Object.keys(store.nodePreviewImages), ["5", "6"]);
});

test("a run without outputs, and a node without widgets, cause no error", () => {
  const node = resultNode({ widgets: undefined });
  node.onExecuted(undefined);
  node.onExecuted({});
  assert.equal(node.previewMediaType, undefined);
});

test("an editor without the store of previews causes no error", () => {
  app.extensionManager._p = undefined;
  const node = resultNode();
  node.onExecuted({ images: [{}] });
  assert.deepEqual(Object.keys(app.nodePreviewImages), ["6", "sub:5"]);
});

test("a video is declared one, also when the user comes back to the workflow's tab", () => {
  const node = resultNode();
  node.onExecuted({ images: [{}], animated: [false] });
  assert.equal(node.previewMediaType, "image");
  app.graph.nodes = [node, { id: 6, comfyClass: "SaveImage" }];
  extension("pika.nodes").onNodeOutputsUpdated({ 5: { images: [{}], animated: [true] }, 6: { images: [{}] } });
  assert.equal(node.previewMediaType, "video");
  assert.equal(app.graph.nodes[1].previewMediaType, undefined);
  extension("pika.nodes").onNodeOutputsUpdated({});
  assert.equal(node.previewMediaType, "video");
});

test("the node's own handler still gets the output and its result counts", () => {
  const seen = [];
  const node = resultNode({
    onExecuted(...values) {
      seen.push([this.id, ...values]);
      return "own";
    },
  });
  const output = { images: [{}] };
  assert.equal(node.onExecuted(output, "more"), "own");
  assert.deepEqual(seen, [[5, output, "more"]]);
});

test("a small node grows for its video, and a late thumbnail is removed", async (context) => {
  const pass = fakeTimeouts(context);
  const node = resultNode();
  node.onExecuted({ images: [{}], animated: [true] });
  node.widgets.push({ name: "video-preview" }, { name: "$$canvas-image-preview" });
  node.imgs = [{}];
  await pass(300);
  assert.deepEqual(node.size, [200, 300]);
  assert.equal(node.imgs, undefined);
  assert.deepEqual(node.widgets.map(({ name }) => name), ["video-preview"]);
  node.imgs = [{}];
  await pass(2700);
  assert.equal(node.imgs, undefined);
});

test("a collapsed node and one without a video keep their size", async (context) => {
  const pass = fakeTimeouts(context);
  const collapsed = resultNode({ flags: { collapsed: true } });
  const still = resultNode();
  for (const node of [collapsed, still]) node.onExecuted({ images: [{}], animated: [true] });
  collapsed.widgets.push({ name: "video-preview" });
  await pass(3000);
  assert.deepEqual([collapsed.size, still.size], [[200, 80], [200, 80]]);
});

/** A Pika History with its button. */
function historyNode() {
  const node = {
    comfyClass: "PikaHistory",
    widgets: [{ name: "task_id", value: "" }],
    addWidget(type, name, value, callback, options) {
      const widget = { type, name, value, callback, options };
      this.widgets.push(widget);
      return widget;
    },
  };
  extension("pika.history").nodeCreated(node);
  return node;
}

test("the button of Pika History is neither saved nor sent", () => {
  const button = historyNode().widgets[1];
  assert.equal(button.name, t("choose.button"));
  assert.equal(button.serialize, false);
  assert.equal(button.options.serialize, false);
});

test("the chosen task goes into task_id, and a closed dialog changes nothing", async () => {
  const node = historyNode();
  const page = { tasks: [task(2), task(1), task(3, { task_id: null, prompt: "Never sent" })], cursor: 1, more: false };
  await withAnswer(
    () => json(page),
    async () => {
      const choosing = node.widgets[1].callback();
      await until(() => topDialog().querySelector("li"), "the rows");
      assert.doesNotMatch(topDialog().textContent, /Never sent/);
      topDialog().close();
      await choosing;
      assert.equal(node.widgets[0].value, "");
      const again = node.widgets[1].callback();
      await until(() => topDialog().querySelector("li"), "the rows");
      const row = topDialog().all.find(({ dataset }) => dataset.number === "1");
      row.click();
      await again;
    },
  );
  assert.equal(node.widgets[0].value, "task-1");
  assert.throws(() => buttonOf(document.body, "Prompt 1"));
});

const definition = () => ({
  name: "PikaGenerate",
  category: "Pika",
  display_name: "Pika Generate",
  description: "English",
  output_tooltips: ["English"],
  input: {
    required: { prompt_text: ["STRING", { multiline: true, tooltip: "English" }], seed: ["INT", {}], unknown: ["INT"] },
    optional: { image: ["IMAGE", {}] },
  },
});

test("a definition without inputs, and a node without outputs, cause no error", () => {
  const bare = { name: "PikaStatus", category: "Pika" };
  extension("pika.node_texts").beforeRegisterNodeDef(null, bare);
  assert.equal(bare.display_name, nodeTexts("PikaStatus").display_name);
  class Node {
    static nodeData = bare;
  }
  extension("pika.node_texts").nodeCreated(new Node());
  extension("pika.node_texts").nodeCreated({ constructor: Object });
});

test("in Chinese, a node's definition gets the Chinese texts", () => {
  speak("zh");
  const texts = nodeTexts("PikaGenerate");
  const node = definition();
  extension("pika.node_texts").beforeRegisterNodeDef(null, node);
  assert.equal(node.display_name, texts.display_name);
  assert.equal(node.description, texts.description);
  assert.deepEqual(node.output_tooltips, [texts.outputs[0].tooltip]);
  const { prompt_text: prompt, seed } = node.input.required;
  assert.equal(prompt[1].tooltip, texts.inputs.prompt_text.tooltip);
  assert.equal(prompt[1].placeholder, texts.inputs.prompt_text.name);
  assert.equal(seed[1].tooltip, texts.inputs.seed.tooltip);
  assert.equal(seed[1].placeholder, undefined);
  assert.equal(node.input.optional.image[1].tooltip, texts.inputs.image.tooltip);
});

test("in English, a large text field keeps the schema's placeholder", () => {
  const node = definition();
  extension("pika.node_texts").beforeRegisterNodeDef(null, node);
  assert.equal(node.input.required.prompt_text[1].placeholder, undefined);
});

test("a node on the canvas gets the Chinese names of its widgets and slots", () => {
  speak("zh");
  const texts = nodeTexts("PikaGenerate");
  class Node {
    static nodeData = definition();
    widgets = [{ name: "seed" }, { name: "control_after_generate", label: "own" }];
    inputs = [{ name: "image" }, { name: "unknown", localized_name: "own" }];
    outputs = [{}, { localized_name: "own" }];
  }
  const node = new Node();
  extension("pika.node_texts").nodeCreated(node);
  assert.deepEqual(node.widgets.map(({ label }) => label), [texts.inputs.seed.name, "own"]);
  assert.deepEqual(node.inputs.map(({ localized_name: name }) => name), [texts.inputs.image.name, "own"]);
  assert.deepEqual(node.outputs.map(({ localized_name: name }) => name), [texts.outputs[0].name, "own"]);
});

test("another pack's node with the same name keeps its texts", () => {
  speak("zh");
  const node = { ...definition(), category: "Another" };
  extension("pika.node_texts").beforeRegisterNodeDef(null, node);
  assert.deepEqual(node, { ...definition(), category: "Another" });
});

/** A Pika Generate, whose editor sets its seed to 2^50 around each run, as editors up to 1.45 do. */
function seedNode(value, changes = {}) {
  const calls = [];
  const seed = { name: "seed", value, callback: (given) => calls.push(given) };
  const clamp = () => {
    seed.value = Math.min(seed.value, 2 ** 50);
  };
  const control = { value: "randomize", options: { values: ["fixed", "increment"] }, beforeQueued: clamp, afterQueued: clamp };
  seed.linkedWidgets = [control];
  const node = { comfyClass: "PikaGenerate", widgets: [seed], ...changes };
  extension("pika.nodes").nodeCreated(node);
  return { node, seed, control, calls };
}

test("a seed under «fixed» stays as it is around a run, however large", () => {
  for (const value of [7, 2 ** 50 + 1, 2 ** 53, 2 ** 63]) {
    const { seed, control } = seedNode(value);
    control.beforeQueued();
    control.afterQueued({ isPartialExecution: false });
    assert.equal(seed.value, value);
    control.value = "increment";
    control.afterQueued();
    assert.equal(seed.value, Math.min(value, 2 ** 50), "the editor's own work is left to it");
  }
});

/** The warnings that the editor shows while `work` runs. */
function warnings(work) {
  const shown = [];
  app.extensionManager.toast = { add: (toast) => shown.push(toast) };
  work();
  return shown.filter(({ severity }) => severity === "warn").map(({ detail }) => detail);
}

test("a seed that the editor may have rounded is warned about, typed or loaded", () => {
  for (const [value, count] of [[0, 0], [2 ** 53 - 1, 0], [2 ** 53, 1], [2 ** 64, 1], ["7", 0], [undefined, 0]]) {
    const { node, seed, calls } = seedNode(value);
    const loaded = warnings(() => extension("pika.nodes").loadedGraphNode(node));
    const typed = warnings(() => seed.callback(value));
    assert.deepEqual([loaded.length, typed.length], [count, count], String(value));
    assert.deepEqual(calls, [value], "the widget's own callback is called");
    if (count) assert.match(loaded[0], new RegExp(`9007199254740991.*${value}`));
  }
});

test("so is the first seed of Pika Prompts, which has no control", () => {
  const widget = { name: "first_seed", value: 2 ** 60 };
  const node = { comfyClass: "PikaPrompts", widgets: [{ name: "takes", value: 2 ** 60 }, widget] };
  extension("pika.nodes").nodeCreated(node);
  assert.equal(warnings(() => extension("pika.nodes").loadedGraphNode(node)).length, 1);
  assert.equal(warnings(() => widget.callback(2 ** 60)).length, 1);
  widget.value = 7;
  assert.deepEqual(warnings(() => extension("pika.nodes").loadedGraphNode(node)), []);
});

test("a linked seed, and another pack's, are not warned about", () => {
  const inputs = [{ widget: { name: "seed" }, link: 0 }];
  const { node } = seedNode(2 ** 60, { inputs });
  const other = { comfyClass: "KSampler", widgets: [{ name: "seed", value: 2 ** 60 }] };
  assert.deepEqual(warnings(() => [node, other].forEach((each) => extension("pika.nodes").loadedGraphNode(each))), []);
});

/** A node as the editor creates it, with a prompt of the editor's own least height. */
function promptNode(comfyClass = "PikaGenerate", name = "prompt_text") {
  const prompt = { name, options: {} };
  const node = {
    comfyClass,
    widgets: [prompt],
    size: [400, 300],
    computeSize: () => [200, 250 + (prompt.options.getMinHeight?.() ?? 50)],
    setSize(size) {
      this.size = size;
    },
  };
  extension("pika.nodes").nodeCreated(node);
  return { node, prompt };
}

test("a new node's prompt has room for four lines of 15 pixels, and the node is large enough", () => {
  for (const [comfyClass, name] of [["PikaGenerate", "prompt_text"], ["PikaPrompts", "prompts"]]) {
    const { node, prompt } = promptNode(comfyClass, name);
    assert.ok(prompt.options.getMinHeight() >= 60);
    assert.equal(node.size[0], 400);
    assert.ok(node.size[1] >= node.computeSize()[1]);
  }
});

test("a saved node that is smaller stays as it was saved; one with enough room keeps it", () => {
  const small = promptNode();
  small.node.size = [400, 300];
  extension("pika.nodes").loadedGraphNode(small.node);
  assert.equal(small.prompt.options.getMinHeight, undefined);
  const large = promptNode();
  large.node.size = [400, 500];
  extension("pika.nodes").loadedGraphNode(large.node);
  assert.ok(large.prompt.options.getMinHeight() >= 60);
});

test("the text of another pack's node keeps the editor's height", () => {
  assert.equal(promptNode("CLIPTextEncode", "prompt_text").prompt.options.getMinHeight, undefined);
});
