// @ts-check
// The pack's nodes in the user's language.
//
// The editor translates nodes from locales/ by itself. Its version 1.32 (ComfyUI 0.3.75) replaces a
// pack's texts by its own when it loads a language other than English. For that version, this sets
// the same texts again; in the others (1.27, and from 1.35 on) it changes nothing. Only the texts of
// the nodes with the ids of ComfyUI's former Pika nodes come from here in all versions.

/** @import { NodeDefinition } from "./types.mjs" */

import { app } from "../../../scripts/app.js";
import { loadStrings, nodeTexts } from "./i18n.mjs";
import { definitionOf } from "./workarounds.mjs";

app.registerExtension({
  name: "pika.node_texts",

  // The last hook before the nodes are registered that the editor waits for.
  addCustomNodeDefs: loadStrings,

  /** @param {NodeDefinition} definition */
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
        // A large text field has no label. In English its placeholder is the schema's, or the id.
        if (details.multiline && text.name !== name) details.placeholder = text.name;
      }
    }
  },

  nodeCreated(node) {
    const texts = textsOf(definitionOf(node));
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

/** @param {NodeDefinition | undefined} definition */
function textsOf(definition) {
  return definition?.category === "Pika" ? nodeTexts(definition.name) : undefined;
}
