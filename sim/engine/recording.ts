/**
 * All that the fingerprints see in a stretch of virtual time, written down: what each node sends, and each fact of its state
 * that comes or goes. Two runs that differ in a second are held against each other by it (sim/report/first-difference.ts).
 */
import type { Moment } from "./moment.js";

/** Microseconds of virtual time, the end not included. */
export interface Span {
  readonly fromUs: number;
  readonly untilUs: number;
}

/**
 * In a row, columns:
 *
 *   0  virtual time, microseconds
 *   1  node
 *   2  SENT, CHANGED
 *   3  endpoint that it goes to     1 it comes, -1 it goes
 *   4  PacketType                   about which node
 *   5  bytes                        route: node of the next hop + 1 << 8 | metric; link: -1 - its number
 *   6  the four bytes in clear      0
 *
 * Rows of one node stand in the order in which things happened.
 */
export interface Recorded {
  readonly rows: Float64Array;
  /** Nothing is missing before this time. */
  readonly completeUs: number;
}

export const ROW = 7;
export const SENT = 0;
export const CHANGED = 1;

/** Rows of one shard, 112 MB. What is more is left out, and `completeUs` says from when on. */
const ROWS_MAX = 2_000_000;

export class Recording {
  private readonly span: Span;
  private readonly moment: Readonly<Moment>;
  private readonly rowsMax: number;
  private rows = new Float64Array(1_024 * ROW);
  private count = 0;
  private completeUs: number;

  constructor(span: Span, moment: Readonly<Moment>, rowsMax = ROWS_MAX) {
    this.span = span;
    this.moment = moment;
    this.rowsMax = rowsMax;
    this.completeUs = span.untilUs;
  }

  handleSent(node: number, to: number, type: number, length: number, clear: number): void {
    this.add(node, SENT, to, type, length, clear);
  }

  handleChanged(sign: number, node: number, about: number, value: number): void {
    this.add(node, CHANGED, sign, about, value, 0);
  }

  get recorded(): Recorded {
    return { rows: this.rows.slice(0, this.count * ROW), completeUs: this.completeUs };
  }

  private add(node: number, kind: number, a: number, b: number, c: number, d: number): void {
    const { nowUs } = this.moment;
    if (nowUs < this.span.fromUs || nowUs >= this.span.untilUs) return;
    if (this.count === this.rowsMax) {
      this.completeUs = Math.min(this.completeUs, nowUs); // islands run one behind the other: a later one may be earlier
      return;
    }
    const at = this.count * ROW;
    if (at === this.rows.length) this.grow();
    const { rows } = this;
    rows[at] = nowUs;
    rows[at + 1] = node;
    rows[at + 2] = kind;
    rows[at + 3] = a;
    rows[at + 4] = b;
    rows[at + 5] = c;
    rows[at + 6] = d;
    this.count += 1;
  }

  private grow(): void {
    const wide = new Float64Array(Math.min(this.rowsMax * ROW, this.rows.length * 2));
    wide.set(this.rows);
    this.rows = wide;
  }
}

/** What the shards of one run wrote down, as one. */
export function joined(parts: readonly Recorded[]): Recorded {
  const rows = new Float64Array(parts.reduce((sum, part) => sum + part.rows.length, 0));
  let at = 0;
  for (const part of parts) {
    rows.set(part.rows, at);
    at += part.rows.length;
  }
  return { rows, completeUs: Math.min(...parts.map(({ completeUs }) => completeUs)) };
}
