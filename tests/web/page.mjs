// As much of a browser's page as the pack's small controls use. What needs layout, focus or real
// events is tested in Chromium.

/** An element without layout; what an event handler does is tried by calling it. */
class Element {
  children = [];
  dataset = {};
  style = {};
  value = "";
  className = "";
  hidden = false;
  disabled = false;
  scrollTop = 0;
  clientHeight = 500;
  ariaInvalid = null;
  validity = { badInput: false };
  parent = null;
  isConnected = false;
  #text = "";

  constructor(tagName) {
    this.tagName = tagName;
  }

  get textContent() {
    return this.#text + this.children.map(({ textContent }) => textContent).join("");
  }

  set textContent(text) {
    this.#text = String(text);
  }

  get classList() {
    const names = this.className.split(" ").filter(Boolean);
    return {
      contains: (name) => names.includes(name),
      toggle: (name, isOn) => {
        this.className = [...names.filter((other) => other !== name), ...(isOn ? [name] : [])].join(" ");
      },
    };
  }

  append(...children) {
    for (const child of children) Object.assign(child, { parent: this, isConnected: true });
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }

  replaceWith(...others) {
    const { children } = this.parent;
    for (const other of others) other.parent = this.parent;
    children.splice(children.indexOf(this), 1, ...others);
  }

  remove() {
    this.isConnected = false;
    const { children } = this.parent;
    children.splice(children.indexOf(this), 1);
  }

  /** Every element below this one. */
  get all() {
    return this.children.flatMap((child) => [child, ...child.all]);
  }

  /** By tag name only. */
  querySelector(tagName) {
    return this.all.find((child) => child.tagName === tagName) ?? null;
  }

  insertBefore(child, next) {
    Object.assign(child, { parent: this, isConnected: true });
    this.children.splice(next ? this.children.indexOf(next) : this.children.length, 0, child);
  }

  contains(other) {
    return this.all.includes(other);
  }

  getBoundingClientRect() {
    return this.box;
  }

  setAttribute() {}
  getAttribute() {
    return null;
  }
  addEventListener() {}
  showModal() {}

  close() {
    this.onclose?.();
  }

  focus() {
    document.activeElement = this;
  }

  click() {
    return this.disabled ? undefined : this.onclick?.();
  }
}

globalThis.document = {
  activeElement: null,
  hidden: false,
  body: new Element("body"),
  head: new Element("head"),
  createElement: (tagName) => new Element(tagName),
  querySelector: () => null,
  querySelectorAll: () => [],
  addEventListener() {},
  removeEventListener() {},
};
globalThis.Element = globalThis.HTMLElement = Element;
globalThis.ResizeObserver = class {
  observe() {}
};
globalThis.window = globalThis;

/** The text that was copied last. */
export const clipboard = { text: "", works: true };
Object.defineProperty(globalThis, "navigator", {
  configurable: true,
  value: {
    language: "en",
    clipboard: {
      async writeText(text) {
        if (!clipboard.works) throw new Error("not allowed");
        clipboard.text = text;
      },
    },
  },
});

// A timer of the pack, such as that of the next poll, does not keep a test's process alive.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (action, delay) => start(action, delay).unref();

/** The button below an element with this text or label. */
export function buttonOf(root, label) {
  const button = root.all.find(
    ({ tagName, textContent, ariaLabel }) =>
      tagName === "button" && (textContent === label || ariaLabel === label),
  );
  if (!button) throw new Error(`There is no button “${label}”.`);
  return button;
}

/** The dialog on top. */
export function topDialog() {
  return document.body.children.at(-1);
}
