// ComfyUI-Pika in the editor.

import { app } from "../../../scripts/app.js";

app.registerExtension({
  name: "pika.nodes",

  nodeCreated(node) {
    if (node.comfyClass === "PikaGenerate") keepSeed(node);
    if (node.comfyClass === "PikaResult") showVideoOverPoster(node);
  },

  // What earlier runs gave, shown again when the user comes back to a workflow's tab.
  onNodeOutputsUpdated(outputs) {
    for (const node of app.graph?.nodes ?? []) {
      if (node.comfyClass === "PikaResult") tellMediaType(node, outputs?.[node.id]);
    }
  },
});

// Another seed is another paid task, and ComfyUI's own default gives a new node another seed after
// every run. A node of ours starts with "fixed"; a saved workflow keeps what it has, since its
// values are laid over the new node after this.
function keepSeed(node) {
  const seed = node.widgets?.find((widget) => widget.name === "seed");
  const control = seed?.linkedWidgets?.find((widget) => widget.options?.values?.includes?.("fixed"));
  if (control) control.value = "fixed";
}

// The editor goes on showing a run's last preview, here the poster, in place of what the node gives
// in the end. With the poster taken away, the video shows.
function showVideoOverPoster(node) {
  const onExecuted = node.onExecuted;
  node.onExecuted = function (output, ...rest) {
    tellMediaType(this, output);
    takePosterAway(this);
    if (output?.animated?.[0]) {
      for (const delay of [300, 1000, 3000]) {
        setTimeout(() => {
          // A poster that was still loading comes a moment later, and would stay.
          takePosterAway(this);
          makeRoom(this);
        }, delay);
      }
    }
    return onExecuted?.call(this, output, ...rest);
  };
}

// The newer rendering (Nodes 2.0) takes anything for a picture that is not called a video.
function tellMediaType(node, output) {
  if (output?.images?.length) node.previewMediaType = output.animated?.[0] ? "video" : "image";
}

// In the classic rendering a video hangs over the edge of a node that is too small for it: the
// editor makes the node larger while it draws it, which shows when it is drawn the next time.
function makeRoom(node) {
  if (!node.widgets?.some((widget) => widget.name === "video-preview") || node.flags?.collapsed) return;
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  app.canvas?.setDirty?.(true, true);
}

function takePosterAway(node) {
  const inSubgraph = node.graph && node.graph.isRootGraph === false;
  const key = inSubgraph ? `${node.graph.id}:${node.id}` : String(node.id);
  // Nodes 2.0, and all editors from 2026 on, show what this store has, of which `app` has a copy. It
  // is no part of the editor's interface: where it is not found, the poster stays beside the video.
  const store = app.extensionManager?._p?._s?.get?.("nodeOutput");
  for (const previews of [app.nodePreviewImages, store?.nodePreviewImages]) {
    if (previews) delete previews[key];
  }
  node.imgs = undefined;
  const poster = node.widgets?.find((widget) => widget.name === "$$canvas-image-preview");
  if (poster) node.removeWidget?.(poster);
}
