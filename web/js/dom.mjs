// @ts-check
// Small parts of the page. Texts are always set as text: a prompt is not markup.

/**
 * Creates an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties] the element's own: className, onclick, …
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

/**
 * One of the editor's icons (PrimeIcons). A text beside it, or a label, says what it means.
 * @param {string} name
 */
export function icon(name) {
  return element("i", { className: `pi pi-${name}`, ariaHidden: "true" });
}

export function spinner() {
  return element("span", { className: "pika-spinner", ariaHidden: "true" });
}

/**
 * @param {string} text
 * @param {() => unknown} onclick
 * @param {{ look?: "" | "primary" | "danger", iconName?: string }} [options]
 */
export function button(text, onclick, { look = "", iconName = "" } = {}) {
  const created = element("button", { type: "button", className: `pika-button ${look}`, onclick });
  if (iconName) created.append(icon(iconName));
  created.append(element("span", { textContent: text }));
  return created;
}

/**
 * @param {string} iconName
 * @param {string} label
 * @param {() => unknown} onclick
 */
export function iconButton(iconName, label, onclick) {
  const properties = { type: /** @type {const} */ ("button"), className: "pika-icon-button", onclick };
  return element("button", { ...properties, title: label, ariaLabel: label }, icon(iconName));
}

/** Loads the pack's style sheet, once per page. */
export function loadStyle() {
  if (document.querySelector("link[data-pika]")) return;
  const href = new URL("../css/pika.css", import.meta.url).href;
  const link = element("link", { rel: "stylesheet", href });
  link.dataset.pika = "";
  document.head.append(link);
}

/**
 * Copies a text. A page without TLS, such as a ComfyUI in the local network, has no
 * navigator.clipboard; there a selected field does it.
 * @param {string} text
 * @param {HTMLElement} [within] where that field can have the focus: only inside a modal dialog
 *   that is open
 */
export async function copyText(text, within = document.body) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const focused = document.activeElement;
  const field = element("textarea", { className: "pika-offscreen", value: text });
  within.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  if (!isCopied) throw new Error("the browser refused");
}
