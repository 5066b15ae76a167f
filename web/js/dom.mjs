// Small pieces of the page. Text is always set as text: a prompt is no markup.

// Properties are the element's own: {className, textContent, ariaLabel, onclick, …}.
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// One of the icons that the editor brings (PrimeIcons). Never the only thing that says what is meant.
export function icon(name) {
  return element("i", { className: `pi pi-${name}`, ariaHidden: "true" });
}

export function spinner() {
  return element("span", { className: "pika-spinner", ariaHidden: "true" });
}

// `look` is "", "primary" or "danger".
export function button(text, onclick, { look = "", iconName = "" } = {}) {
  const made = element("button", { type: "button", className: `pika-button ${look}`, onclick });
  if (iconName) made.append(icon(iconName));
  made.append(element("span", { textContent: text }));
  return made;
}

export function iconButton(iconName, label, onclick) {
  const properties = { type: "button", className: "pika-icon-button", title: label, onclick };
  return element("button", { ...properties, ariaLabel: label }, icon(iconName));
}

// The look of everything of ours, once a page.
export function loadStyle() {
  if (document.querySelector("link[data-pika]")) return;
  const href = new URL("../css/pika.css", import.meta.url).href;
  const link = element("link", { rel: "stylesheet", href });
  link.dataset.pika = "";
  document.head.append(link);
}

// Copies a text. On a page without TLS, such as a ComfyUI in the home network, there is no
// navigator.clipboard; a selected field does it there. `within` is where that field may have the
// focus: behind a modal dialog nothing has.
export async function copyText(text, within = document.body) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const focused = document.activeElement;
  const field = element("textarea", { className: "pika-offscreen", value: text });
  within.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus?.();
  if (!copied) throw new Error("the browser refused");
}
