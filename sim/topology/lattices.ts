/** Topologies without chance. */
import type { Edge } from "./edges.js";

/** n0 - n1 - n2 - ... */
export function line(count: number): Edge[] {
  return Array.from({ length: Math.max(0, count - 1) }, (_, i): Edge => [i, i + 1]);
}

/** A line whose ends meet; two nodes have one edge, not two. */
export function ring(count: number): Edge[] {
  return count < 3 ? line(count) : [...line(count), [count - 1, 0]];
}

/** Node `row * columns + column`, joined with the one to the right and the one below. */
export function grid(rows: number, columns: number): Edge[] {
  const edges: Edge[] = [];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const node = row * columns + column;
      if (column + 1 < columns) edges.push([node, node + 1]);
      if (row + 1 < rows) edges.push([node, node + columns]);
    }
  }
  return edges;
}

/** n0 at the root, each node with `arity` below it, filled level by level. A star is a tree with an arity of count - 1. */
export function tree(count: number, arity: number): Edge[] {
  return Array.from({ length: Math.max(0, count - 1) }, (_, i): Edge => [i + 1, Math.floor(i / arity)]);
}
