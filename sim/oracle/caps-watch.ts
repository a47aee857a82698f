import type { ShardView, Violation } from "../engine/observer.js";
import { firstViolation } from "./first-violation.js";

/** Each node is looked at once in so many seconds, and when it ends. */
const ROUND_SECONDS = 60;

/** What strangers can fill is never fuller than its bound. */
export class CapsWatch {
  readonly peaks: Record<string, { limit: number; peak: number }> = {};
  private readonly view: ShardView;
  found: Violation | undefined;

  constructor(view: ShardView) {
    this.view = view;
  }

  handleSecond(nowUs: number, second: number): Violation | undefined {
    const { nodes } = this.view.census;
    for (let node = second % ROUND_SECONDS; node < nodes; node += ROUND_SECONDS) this.look(nowUs, node);
    const found = this.found;
    this.found = undefined;
    return found;
  }

  /** Peaks are for life, so a node's last look shows all that was before. */
  look(nowUs: number, node: number): void {
    if (!this.view.owns(node)) return;
    const caps = this.view.host(node)?.stack.status().caps;
    if (caps !== undefined) this.note(nowUs, node, caps);
  }

  note(
    nowUs: number,
    node: number,
    caps: Readonly<Record<string, { readonly limit: number; readonly peak: number }>>,
  ): void {
    for (const [name, { limit, peak }] of Object.entries(caps)) {
      const known = this.peaks[name];
      if (known === undefined) this.peaks[name] = { limit, peak };
      else if (peak > known.peak) known.peak = peak;
      if (peak <= limit) continue;
      this.found = firstViolation([
        this.found,
        {
          oracle: "caps",
          atUs: nowUs,
          nodes: [node],
          text: `${name} of node ${node} held ${peak}, more than its bound of ${limit}`,
        },
      ]);
    }
  }
}
