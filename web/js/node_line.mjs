// @ts-check
// The line on a node: its text, and on the node of a subgraph the video too.

/** @import { Line } from "./run_lines.mjs" */
/** @import { GraphNode, Widget } from "./types.mjs" */

import { copyText, element } from "./dom.mjs";
import { fileUrl, showToast } from "./host.mjs";
import { t } from "./i18n.mjs";
import { partsOf, shortId } from "./run_lines.mjs";
import { changeHeight, forgetTextWidget, redraw, TEXT_WIDGET } from "./workarounds.mjs";

/**
 * What the editor adds to a node, which the published types lack.
 * @typedef {object} DomNode
 * @property {(name: string, type: string, element: HTMLElement, options: object) => Widget} [addDOMWidget]
 */

/** In the graph's units, which are CSS pixels at 100 %. */
const MARGIN = 6;
const LINE_HEIGHT = 17;
const CHARACTER_WIDTH = 6.6;
const MOST_LINES = 8;
/** Of several media. */
const COLUMNS = 2;
/** Between the text and the media. */
const GAP = 6;
const NARROWEST = 120;
/** Of a video until its own is known. */
const ASPECT_RATIO = 16 / 9;

/** @type {WeakMap<GraphNode, NodeLine>} */
const lines = new WeakMap();

/**
 * Shows a line on a node; an empty one removes it. Does nothing in an editor without such widgets.
 * @param {GraphNode} node
 * @param {Line} line
 * @param {{ withMedia: boolean }} options
 */
export function showLine(node, line, { withMedia }) {
  const isEmpty = !line.text && !(withMedia && (line.files.length || line.poster));
  const existing = lines.get(node);
  if (isEmpty && !existing) return;
  const created = existing ?? new NodeLine(node);
  lines.set(node, created);
  if (isEmpty) created.remove();
  else created.show(line, withMedia);
}

class NodeLine {
  #node;
  #text = element("div", { className: "pika-line-text" });
  #media = element("div", { className: "pika-line-media" });
  #root = element("div", { className: "pika-ui pika-line" }, this.#text, this.#media);
  /** @type {Widget | undefined} */
  #widget;
  #content = "";
  /** What the media are of: they are only loaded again when it changes. */
  #source = "";
  #aspectRatio = ASPECT_RATIO;
  #mediaCount = 0;
  /** By how much the node is higher than without the line: its other widgets keep their height. */
  #grown = 0;

  /** @param {GraphNode} node */
  constructor(node) {
    this.#node = node;
    const { onSerialize } = node;
    // A saved workflow has the size without the line, which it does not contain.
    node.onSerialize = (data) => {
      onSerialize?.call(node, data);
      if (!this.#grown) return;
      data.size = [data.size[0], Math.max(data.size[1] - this.#grown, 1)];
      forgetTextWidget(data);
    };
  }

  /**
   * @param {Line} line
   * @param {boolean} withMedia
   */
  show(line, withMedia) {
    this.#setText(line);
    this.#setMedia(withMedia ? line : undefined);
    this.#attach();
    this.#fit();
  }

  remove() {
    const widget = this.#node.widgets?.find((each) => each === this.#widget);
    if (widget) this.#node.removeWidget?.(widget);
    this.#widget = undefined;
    this.#setMedia(undefined);
    this.#resize(0);
  }

  /** Newer editors remove the widget at the end of a run, and keep the node's size. */
  #attach() {
    const { widgets } = this.#node;
    if (this.#widget && widgets?.includes(this.#widget)) return;
    // One of the editor's own, where its text came first.
    const other = widgets?.find(({ name }) => name === TEXT_WIDGET);
    if (other) this.#node.removeWidget?.(other);
    const [width = 0, height = 0] = this.#node.size;
    const { addDOMWidget } = /** @type {DomNode} */ (this.#node);
    this.#widget = addDOMWidget?.call(this.#node, TEXT_WIDGET, "pika_line", this.#root, {
      serialize: false,
      hideOnZoom: false,
      margin: MARGIN,
      // Only as high as it must be: what remains is for the prompt.
      getMinHeight: () => this.#height(),
      getMaxHeight: () => this.#height(),
      afterResize: () => this.#fit(),
      getValue: () => this.#content,
      setValue: () => {}, // the editor sets its progress text, which is the same
    });
    if (!this.#widget) return;
    this.#widget.serialize = false;
    this.#node.setSize([width, height]);
    redraw(this.#node, this.#root);
  }

  /** @param {Line} line */
  #setText({ text, look, tasks }) {
    this.#content = text;
    this.#text.className = `pika-line-text ${look}`;
    this.#text.replaceChildren(
      ...partsOf(text, tasks).map((part) => (typeof part === "string" ? part : idButton(part.task))),
    );
  }

  /** @param {Line | undefined} line */
  #setMedia(line) {
    const addresses = line?.files.map(fileUrl) ?? [];
    const { poster } = line ?? {};
    const source = addresses.join("\n") || (poster ? `poster ${posterNumber(poster)}` : "");
    if (source === this.#source) return;
    this.#source = source;
    this.#aspectRatio = ASPECT_RATIO;
    /** @param {number} ratio */
    const onSize = (ratio) => {
      if (source !== this.#source || !(ratio > 0)) return;
      this.#aspectRatio = ratio;
      this.#fit();
    };
    const media = addresses.map((address) => (line?.isVideo ? video(address, onSize) : picture(address, onSize)));
    if (!media.length && poster) media.push(posterOf(poster, onSize));
    this.#mediaCount = media.length;
    this.#media.className = `pika-line-media ${media.length > 1 ? "several" : ""}`;
    this.#media.replaceChildren(...media);
  }

  #height() {
    const width = Math.max(this.#node.size[0] - 2 * MARGIN, NARROWEST);
    const text = this.#content;
    const perLine = width / CHARACTER_WIDTH;
    const lineCount = text.split("\n").reduce((sum, line) => sum + Math.max(Math.ceil(widthOf(line) / perLine), 1), 0);
    const textHeight = text ? Math.min(lineCount, MOST_LINES) * LINE_HEIGHT : 0;
    const count = this.#mediaCount;
    const columns = count > 1 ? COLUMNS : 1;
    const rows = Math.ceil(count / columns);
    const mediaHeight = rows && rows * Math.ceil(width / columns / this.#aspectRatio) + GAP;
    return textHeight + mediaHeight + 2 * MARGIN;
  }

  #fit() {
    if (this.#widget) this.#resize(this.#height());
  }

  /** @param {number} height */
  #resize(height) {
    const difference = height - this.#grown;
    if (!difference || this.#node.flags?.collapsed) return;
    this.#grown = height;
    changeHeight(this.#node, difference);
    this.#node.setDirtyCanvas?.(true, true);
  }
}

/**
 * A text's width in characters of the Latin alphabet: a Chinese one is twice as wide.
 * @param {string} line
 */
function widthOf(line) {
  return [...line].reduce((sum, character) => sum + (character > "\u2e80" ? 2 : 1), 0);
}

/** @param {string} task */
function idButton(task) {
  const copy = async () => {
    try {
      await copyText(task);
      showToast("info", t("lines.copied"), task);
    } catch {
      showToast("warn", t("common.not_copied"), task);
    }
  };
  const label = t("lines.copy", { task });
  return element("button", {
    type: "button", className: "pika-id", textContent: shortId(task), title: label, ariaLabel: label,
    onclick: () => void copy(),
  });
}

/**
 * @param {string} address
 * @param {(aspectRatio: number) => void} onSize
 */
function video(address, onSize) {
  const created = element("video", { src: address, controls: true, loop: true, playsInline: true, preload: "metadata" });
  created.onloadedmetadata = () => onSize(created.videoWidth / created.videoHeight);
  return created;
}

/**
 * @param {string} address
 * @param {(aspectRatio: number) => void} onSize
 */
function picture(address, onSize) {
  const created = element("img", { src: address, alt: "" });
  created.onload = () => onSize(created.naturalWidth / created.naturalHeight);
  return created;
}

/**
 * @param {Blob} poster
 * @param {(aspectRatio: number) => void} onSize
 */
function posterOf(poster, onSize) {
  const address = URL.createObjectURL(poster);
  return picture(address, (ratio) => {
    URL.revokeObjectURL(address);
    onSize(ratio);
  });
}

/** @type {WeakMap<Blob, number>} */
const posterNumbers = new WeakMap();
let posters = 0;

/** @param {Blob} poster */
function posterNumber(poster) {
  const number = posterNumbers.get(poster) ?? (posters += 1);
  posterNumbers.set(poster, number);
  return number;
}
