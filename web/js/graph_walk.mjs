// @ts-check
// Nodes by the ids that the server uses for a run: "4", and "1:4" for the node 4 in the subgraph of
// node 1.

/** @import { Graph, GraphNode } from "./types.mjs" */

/** @typedef {GraphNode & { subgraph?: Graph }} AnyNode `subgraph`: of a node that has one */

/**
 * @param {Graph | undefined} root
 * @param {string} id
 * @returns {AnyNode | undefined}
 */
export function nodeAt(root, id) {
  let graph = root;
  /** @type {AnyNode | undefined} */
  let node;
  for (const part of id.split(":")) {
    node = /** @type {AnyNode | undefined} */ (graph?.getNodeById?.(/** @type {any} */ (part)) ?? undefined);
    graph = node?.subgraph;
  }
  return node;
}

/**
 * The ids of all nodes that depend on a node, whatever lies between them.
 * @param {Graph | undefined} root
 * @param {string} id
 */
export function nodesBehind(root, id) {
  /** @type {Set<string>} */
  const seen = new Set([id]);
  const queue = [id];
  /** @param {string} next */
  const visit = (next) => {
    if (seen.has(next)) return;
    seen.add(next);
    queue.push(next);
  };
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const node = nodeAt(root, at);
    if (!node) continue;
    // What goes into a subgraph may reach any of its nodes.
    if (node.subgraph && !id.startsWith(`${at}:`)) for (const inner of node.subgraph.nodes) visit(`${at}:${inner.id}`);
    const parent = at.includes(":") ? at.slice(0, at.lastIndexOf(":")) : "";
    for (const target of targets(node)) {
      const next = parent ? `${parent}:${target}` : String(target);
      if (nodeAt(root, next)) visit(next);
      else if (parent) visit(parent); // the subgraph's own outputs
    }
  }
  seen.delete(id);
  return [...seen];
}

/**
 * The ids of the nodes that a node's outputs are connected to, within its graph.
 * @param {AnyNode} node
 */
function targets(node) {
  const { graph } = node;
  /** @type {any} */
  const links = graph?.links;
  return (node.outputs ?? []).flatMap(({ links: ids }) =>
    (ids ?? []).flatMap((id) => {
      const link = graph?.getLink?.(id) ?? links?.get?.(id) ?? links?.[id];
      return link ? [link.target_id] : [];
    }),
  );
}
