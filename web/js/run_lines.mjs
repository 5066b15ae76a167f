// @ts-check
// What the pack's nodes say about a run: their progress, and after it what it means for the money.
//
// The server sends the texts (nodes/progress.py). The editor shows a progress text only until the
// run ends (from 1.58 on), and not on the node of a subgraph; so the pack shows it itself.

/** @import { NodeOutput, OutputFile } from "./types.mjs" */

import { t } from "./i18n.mjs";

/**
 * What a node shows.
 * @typedef {object} Line
 * @property {string} text plain text
 * @property {"" | "bad"} look
 * @property {readonly string[]} tasks whole ids of tasks, of which the text has the first characters
 * @property {readonly OutputFile[]} files of the run; shown on the node of a subgraph only
 * @property {boolean} isVideo whether the files are videos
 * @property {Blob | undefined} poster a picture until there is a file
 */

/**
 * The graph, by the ids that the server uses: "4", and "1:4" for the node 4 in the subgraph of node 1.
 * @typedef {object} RunView
 * @property {(id: string) => boolean} isOurs whether it is a node of the pack that says something
 * @property {(id: string) => boolean} isGenerate whether it creates tasks
 * @property {(id: string, line: Line) => void} show on a node of the pack
 * @property {(id: string, line: Line) => void} showOnSubgraph
 * @property {(id: string) => void} removeOutput the video or the picture of an earlier run
 * @property {(id: string) => string[]} nodesBehind all nodes that depend on a node
 */

/** How many characters of an id the server's texts have (pika_api/text.py). */
const SHORT_ID = 8;
const WHOLE_ID = 12;

/** @type {Line} */
const NOTHING = { text: "", look: "", tasks: [], files: [], isVideo: false, poster: undefined };

export class RunLines {
  #view;
  /** The current or last run: its text by node, and the nodes whose output is there.
   * @type {Map<string, string>} */
  #texts = new Map();
  /** @type {Set<string>} */
  #cached = new Set();
  /** @type {Set<string>} */
  #done = new Set();
  /** What each node shows, also from earlier runs.
   * @type {Map<string, Line>} */
  #lines = new Map();
  /** @type {Set<string>} */
  #tasks = new Set();

  /** @param {RunView} view */
  constructor(view) {
    this.#view = view;
  }

  /** Another workflow is open: its nodes have the same ids. */
  clear() {
    this.start();
    this.#lines.clear();
  }

  start() {
    this.#texts.clear();
    this.#cached.clear();
    this.#done.clear();
  }

  /** @param {readonly string[]} ids */
  cached(ids) {
    this.#cached = new Set(ids);
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  text(id, text) {
    if (!this.#view.isOurs(id)) return;
    const isFirst = !this.#texts.has(id);
    this.#texts.set(id, text);
    if (this.#done.has(id)) return;
    if (isFirst) {
      this.#view.removeOutput(id);
      this.#set(id, { ...NOTHING, text });
    } else {
      this.#set(id, { text });
    }
  }

  /**
   * @param {string} id
   * @param {Blob} poster
   */
  poster(id, poster) {
    if (this.#view.isOurs(id) && !this.#done.has(id)) this.#set(id, { poster });
  }

  /**
   * The output of a node: of this run, or of an earlier one that did the same.
   * @param {string} id
   * @param {NodeOutput | undefined} output
   */
  executed(id, output) {
    if (!output || !this.#view.isOurs(id)) return;
    this.#done.add(id);
    const text = this.#texts.get(id) ?? (this.#reused(id, output) || saying(output));
    this.#set(id, { ...NOTHING, ...outputLine(output), text });
  }

  /**
   * An output of an earlier run, which comes back with its workflow.
   * @param {string} id
   * @param {NodeOutput} output
   */
  restored(id, output) {
    if (this.#lines.has(id) || !this.#view.isOurs(id)) return;
    this.#set(id, { ...NOTHING, ...outputLine(output), text: saying(output) });
  }

  /** @param {string} id of the node with the error */
  failed(id) {
    this.stopped([id]);
    if (this.#texts.has(id)) this.#set(id, { look: "bad" });
  }

  /**
   * The run has ended early. What was shown before it is not its result.
   * @param {readonly string[]} [others] nodes that have not ended, besides those with a text
   */
  stopped(others = []) {
    const all = new Set([...this.#texts.keys(), ...others]);
    const unfinished = [...all].filter((id) => !this.#done.has(id));
    const behind = unfinished.flatMap((id) => this.#view.nodesBehind(id));
    for (const id of new Set([...others, ...behind])) {
      if (this.#done.has(id) || this.#texts.has(id) || !this.#view.isOurs(id)) continue;
      this.#view.removeOutput(id);
      this.#set(id, NOTHING);
    }
    for (const id of unfinished) {
      if (!this.#texts.has(id)) continue;
      this.#view.removeOutput(id);
      this.#set(id, { poster: undefined });
    }
  }

  /** Shows everything again: newer editors remove it at the end of a run. */
  again() {
    for (const [id, line] of this.#lines) this.#show(id, line);
  }

  /**
   * @param {string} id
   * @param {Partial<Line>} changes
   */
  #set(id, changes) {
    for (const task of changes.tasks ?? []) this.#tasks.add(task);
    const line = { ...(this.#lines.get(id) ?? NOTHING), ...changes, tasks: [...this.#tasks] };
    this.#lines.set(id, line);
    this.#show(id, line);
  }

  /**
   * @param {string} id
   * @param {Line} line
   */
  #show(id, line) {
    this.#view.show(id, line);
    for (const host of hostsOf(id)) this.#view.showOnSubgraph(host, this.#together(host));
  }

  /**
   * What the nodes in a subgraph say, in the order in which they began.
   * @param {string} host
   */
  #together(host) {
    const inner = [...this.#lines].filter(([id]) => id.startsWith(`${host}:`)).map(([, line]) => line);
    const last = inner.findLast(({ files, poster }) => files.length || poster) ?? NOTHING;
    return {
      ...last,
      text: inner.map(({ text }) => text).filter(Boolean).join("\n"),
      look: inner.some(({ look }) => look === "bad") ? /** @type {const} */ ("bad") : /** @type {const} */ (""),
      tasks: [...this.#tasks],
    };
  }

  /**
   * @param {string} id
   * @param {NodeOutput} output
   * @returns {string} empty where the node was not reused, or creates no task
   */
  #reused(id, output) {
    const [task, ...others] = output.pika_tasks ?? [];
    if (task === undefined || !this.#cached.has(id) || !this.#view.isGenerate(id)) return "";
    if (others.length) return t("lines.reused_all", { count: others.length + 1 });
    return t("lines.reused", { task: shortId(task) });
  }
}

/** @param {NodeOutput} output */
function saying(output) {
  return (output.text ?? []).join("\n");
}

/** @param {NodeOutput} output */
function outputLine(output) {
  const isResult = output.animated !== undefined;
  const files = /** @type {OutputFile[]} */ (isResult ? output.images ?? [] : []);
  return { files, isVideo: Boolean(output.animated?.[0]), tasks: output.pika_tasks ?? [] };
}

/**
 * The nodes of the subgraphs around a node: "1" and "1:2" of "1:2:5".
 * @param {string} id
 */
export function hostsOf(id) {
  const parts = id.split(":");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join(":"));
}

/** @param {string} id */
export function shortId(id) {
  const characters = [...id];
  return characters.length <= WHOLE_ID ? id : characters.slice(0, SHORT_ID).join("");
}

/**
 * A text in parts: texts, and the tasks whose first characters stand between them.
 * @param {string} text
 * @param {readonly string[]} tasks whole ids
 * @returns {(string | { task: string })[]}
 */
export function partsOf(text, tasks) {
  /** @type {(string | { task: string })[]} */
  let parts = [text];
  for (const task of tasks) {
    parts = parts.flatMap((part) => (typeof part === "string" ? split(part, task) : [part]));
  }
  return parts.filter((part) => part !== "");
}

/**
 * @param {string} text
 * @param {string} task
 */
function split(text, task) {
  return text.split(shortId(task)).flatMap((part, index) => (index ? [{ task }, part] : [part]));
}
