// The nodes in the user's language.
//
// The editor translates nodes by itself, from locales/. But for a while (frontends of about November
// 2025, ComfyUI 0.3.75 among them) it loaded its own languages after the packs', which went lost in
// every language but English. Where it works, this sets the same texts once more.

import { app } from "../../../scripts/app.js";
import { loadStrings, nodeTexts } from "./i18n.mjs";

app.registerExtension({
  name: "pika.node_texts",

  // The last moment that the editor waits for: it does not for the one below.
  addCustomNodeDefs: loadStrings,

  beforeRegisterNodeDef(_nodeType, definition) {
    const texts = textsOf(definition);
    if (!texts) return;
    definition.display_name = texts.display_name;
    definition.description = texts.description;
    definition.output_tooltips = Object.values(texts.outputs).map((output) => output.tooltip);
    for (const inputs of [definition.input?.required, definition.input?.optional]) {
      for (const [name, [, details]] of Object.entries(inputs ?? {})) {
        const text = texts.inputs[name];
        if (!details || !text) continue;
        details.tooltip = text.tooltip;
        // A large field has no label: in English its placeholder is the schema's, or the id.
        if (details.multiline && text.name !== name) details.placeholder = text.name;
      }
    }
  },

  nodeCreated(node) {
    const texts = textsOf(node.constructor.nodeData);
    if (!texts) return;
    for (const widget of node.widgets ?? []) {
      widget.label = texts.inputs[widget.name]?.name ?? widget.label;
    }
    for (const slot of node.inputs ?? []) {
      slot.localized_name = texts.inputs[slot.name]?.name ?? slot.localized_name;
    }
    node.outputs?.forEach((slot, index) => {
      slot.localized_name = texts.outputs[index]?.name ?? slot.localized_name;
    });
  },
});

function textsOf(definition) {
  return definition?.category === "Pika" ? nodeTexts(definition.name) : undefined;
}
