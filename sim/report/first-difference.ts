import { CHANGED, type Recorded, ROW } from "../engine/recording.js";

/** A datagram. */
export interface Sent {
  readonly kind: "sent";
  /** Endpoint. */
  readonly to: number;
  /** PacketType. */
  readonly type: number;
  readonly length: number;
  /** Four bytes that no crypto suite changes: a session's index, a nonce. */
  readonly clear: number;
}

/** A route or a link comes or goes. */
export interface Changed {
  readonly kind: "changed";
  readonly comes: boolean;
  /** The destination of the route, the other end of the link. */
  readonly about: number;
  /** As in a row of the recording. */
  readonly value: number;
}

/** The first thing that two recordings do not have in common. `one` or `other` is undefined where nothing happened then. */
export interface Difference {
  readonly atUs: number;
  readonly node: number;
  readonly one: Sent | Changed | undefined;
  readonly other: Sent | Changed | undefined;
}

/**
 * By time, at equal times by node. Of what a node does at one moment, datagrams are compared in their order; facts of its
 * state by what comes out, since a route that comes and goes at once leaves no trace in a fingerprint either. Undefined when
 * there is no difference as far as both are complete.
 */
export function firstDifference(one: Recorded, other: Recorded): Difference | undefined {
  const untilUs = Math.min(one.completeUs, other.completeUs);
  const [a, b] = [new Reading(one.rows, untilUs), new Reading(other.rows, untilUs)];
  while (!a.isOver || !b.isOver) {
    const first = a.precedes(b) ? a : b;
    const { atUs, node } = first;
    const differing = differenceOf(a.take(atUs, node), b.take(atUs, node));
    if (differing !== undefined) return { atUs, node, ...differing };
  }
  return undefined;
}

/** What one node does at one moment. */
interface Doing {
  readonly sent: readonly Sent[];
  readonly changed: readonly Changed[];
}

/** A recording, read in order of time and node. */
class Reading {
  private readonly rows: Float64Array;
  private readonly order: Uint32Array;
  private place = 0;

  constructor(rows: Float64Array, untilUs: number) {
    this.rows = rows;
    const count = rows.length / ROW;
    const kept = new Uint32Array(count);
    let size = 0;
    for (let row = 0; row < count; row += 1) {
      if (rows[row * ROW]! >= untilUs) continue;
      kept[size] = row;
      size += 1;
    }
    this.order = kept
      .subarray(0, size)
      .sort((a, b) => rows[a * ROW]! - rows[b * ROW]! || rows[a * ROW + 1]! - rows[b * ROW + 1]! || a - b);
  }

  get isOver(): boolean {
    return this.place === this.order.length;
  }

  /** Infinity at the end. */
  get atUs(): number {
    return this.isOver ? Number.POSITIVE_INFINITY : this.rows[this.order[this.place]! * ROW]!;
  }

  get node(): number {
    return this.isOver ? Number.POSITIVE_INFINITY : this.rows[this.order[this.place]! * ROW + 1]!;
  }

  precedes(other: Reading): boolean {
    return this.atUs < other.atUs || (this.atUs === other.atUs && this.node <= other.node);
  }

  take(atUs: number, node: number): Doing {
    const { rows, order } = this;
    const sent: Sent[] = [];
    const changed: number[] = [];
    for (; this.atUs === atUs && this.node === node; this.place += 1) {
      const at = order[this.place]! * ROW;
      if (rows[at + 2] === CHANGED) changed.push(at);
      else sent.push(sentAt(rows, at));
    }
    return { sent, changed: netOf(rows, changed) };
  }
}

function sentAt(rows: Float64Array, at: number): Sent {
  return { kind: "sent", to: rows[at + 3]!, type: rows[at + 4]!, length: rows[at + 5]!, clear: rows[at + 6]! };
}

/** What is left when all that came and went again is taken away, in an order that does not tell when it came. */
function netOf(rows: Float64Array, places: readonly number[]): Changed[] {
  const facts = places.map((at) => ({ sign: rows[at + 3]!, about: rows[at + 4]!, value: rows[at + 5]! }));
  facts.sort((a, b) => a.about - b.about || a.value - b.value);
  const net: Changed[] = [];
  for (let from = 0; from < facts.length; ) {
    const { about, value } = facts[from]!;
    let sum = 0;
    for (; from < facts.length && facts[from]!.about === about && facts[from]!.value === value; from += 1)
      sum += facts[from]!.sign;
    for (let left = Math.abs(sum); left > 0; left -= 1) net.push({ kind: "changed", comes: sum > 0, about, value });
  }
  // What is new says more about a destination than what it is in place of.
  return net.sort((a, b) => a.about - b.about || Number(b.comes) - Number(a.comes) || a.value - b.value);
}

function differenceOf(a: Doing, b: Doing): Pick<Difference, "one" | "other"> | undefined {
  for (let i = 0; i < Math.max(a.sent.length, b.sent.length); i += 1) {
    const [one, other] = [a.sent[i], b.sent[i]];
    if (one === undefined || other === undefined || !isSameSent(one, other)) return { one, other };
  }
  for (let i = 0; i < Math.max(a.changed.length, b.changed.length); i += 1) {
    const [one, other] = [a.changed[i], b.changed[i]];
    if (one !== undefined && other !== undefined && isSameChange(one, other)) continue;
    const about = Math.min(one?.about ?? Number.POSITIVE_INFINITY, other?.about ?? Number.POSITIVE_INFINITY);
    return { one: one?.about === about ? one : undefined, other: other?.about === about ? other : undefined };
  }
  return undefined;
}

function isSameSent(a: Sent, b: Sent): boolean {
  return a.to === b.to && a.type === b.type && a.length === b.length && a.clear === b.clear;
}

function isSameChange(a: Changed, b: Changed): boolean {
  return a.comes === b.comes && a.about === b.about && a.value === b.value;
}
