// What ComfyUI's editor gives to extensions, in the editor's own published types. 1.45.6 is their
// newest version that has types in it: the later packages are empty.

declare module "*/scripts/app.js" {
  import type { ComfyApp } from "@comfyorg/comfyui-frontend-types";
  export const app: ComfyApp;
}

declare module "*/scripts/api.js" {
  import type { ComfyApi } from "@comfyorg/comfyui-frontend-types";
  export const api: ComfyApi;
}

// A global of the editor that its types do not have.
interface Window {
  LiteGraph?: {
    createNode(type: string): import("../../web/js/types.mjs").GraphNode | null;
    slot_types_default_out?: Record<string, unknown>;
    registered_node_types: Record<
      string,
      { nodeData?: import("../../web/js/types.mjs").NodeDefinition }
    >;
  };
}
