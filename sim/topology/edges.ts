/** What a generator answers: pairs of node numbers, no pair twice, none with itself. The first of a pair dials when both can. */
export type Edge = readonly [number, number];

/** A set of pairs in the order in which they were added. */
export class EdgeSet {
  readonly edges: Edge[] = [];
  readonly neighbours: Set<number>[];

  constructor(count: number) {
    this.neighbours = Array.from({ length: count }, () => new Set());
  }

  /** False when the pair is there already, or is no pair. */
  add(a: number, b: number): boolean {
    if (a === b || this.neighbours[a]!.has(b)) return false;
    this.neighbours[a]!.add(b);
    this.neighbours[b]!.add(a);
    this.edges.push([a, b]);
    return true;
  }

  /** The last edge takes the place of the one that goes. */
  remove(place: number): void {
    const [a, b] = this.edges[place]!;
    this.neighbours[a]!.delete(b);
    this.neighbours[b]!.delete(a);
    const last = this.edges.pop()!;
    if (place < this.edges.length) this.edges[place] = last;
  }

  degree(node: number): number {
    return this.neighbours[node]!.size;
  }
}

/** A node of each part of the graph that hangs together, the least of it. */
export function parts(count: number, edges: readonly Edge[]): number[] {
  const parent = Int32Array.from({ length: count }, (_, i) => i);
  const root = (node: number): number => {
    let at = node;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  };
  for (const [a, b] of edges) {
    const [x, y] = [root(a), root(b)];
    if (x !== y) parent[Math.max(x, y)] = Math.min(x, y);
  }
  return Array.from(parent.keys()).filter((node) => parent[node] === node);
}
