// Stands in for ComfyUI's /scripts/app.js.

export const app = {
  /** The pack's extensions, by name. */
  extensions: {},
  registerExtension(extension) {
    this.extensions[extension.name] = extension;
  },
};
