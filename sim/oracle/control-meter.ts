import { Urgency } from "../../core/routing/neighbour.js";
import { SECOND_US } from "../../core/time/instant.js";
import type { Plan } from "../plan/plan.js";
import type { EntryCount, Observations } from "../report/tally.js";
import type { Happenings } from "./happenings.js";

/** Entries about a node this young are those of its join. */
const JOINING_US = 60_000_000;
const CAUSES = ["death", "join", "snapshot", "other"] as const;
const DEATH = 0;
const JOIN = 1;
const SNAPSHOT = 2;
const OTHER = 3;

/**
 * Bytes that the nodes of one shard send for the network's own sake, from the warmup on.
 *
 * Entries of ROUTES are told apart by whom they are about, since what DESIGN.md promises is entries per announced NAC:
 * those about a node that has ended are of its death, those about a node in its first minute are of its join (when the
 * event came after the warmup); entries of a snapshot for a new link are counted apart; all others are routes of the
 * living that moved. A datagram's bytes on the wire, hello and padding included, are shared out among the entries in it by
 * their lengths, so what is repeated without new entries belongs to nobody.
 */
export class ControlMeter {
  readonly ordinaryBytes: number[] = [];
  readonly publicBytes: number[] = [];
  readonly ordinaryUs: number[] = [];
  readonly publicUs: number[] = [];
  deathWitnesses = 0;
  joinWitnesses = 0;

  private readonly plan: Plan;
  private readonly happenings: Happenings;
  private readonly bytes: Float64Array;
  private readonly aliveUs: Float64Array;
  /** Since when the life of a node is not yet added up; -1 while it does not live. */
  private readonly sinceUs: Float64Array;
  private readonly counts: EntryCount[] = CAUSES.map(() => ({ entries: 0, bytes: 0, wireBytes: 0 }));
  /** By node and cause: bytes of entries written since its last datagram. */
  private readonly unsent: Uint32Array;

  constructor(plan: Plan, happenings: Happenings) {
    const nodes = plan.nodes.length;
    this.plan = plan;
    this.happenings = happenings;
    this.bytes = new Float64Array(nodes);
    this.aliveUs = new Float64Array(nodes);
    this.sinceUs = new Float64Array(nodes).fill(-1);
    this.unsent = new Uint32Array(nodes * CAUSES.length);
  }

  handleStart(nowUs: number, node: number): void {
    this.sinceUs[node] = nowUs;
    this.unsent.fill(0, node * CAUSES.length, (node + 1) * CAUSES.length);
    if (nowUs >= this.plan.warmupUs) this.joinWitnesses += this.happenings.liveCount;
  }

  handleEnd(nowUs: number, node: number): void {
    this.settle(nowUs, node);
    this.sinceUs[node] = -1;
    if (nowUs >= this.plan.warmupUs) this.deathWitnesses += this.happenings.liveCount;
  }

  handleEntry(nowUs: number, node: number, destination: number, bytes: number, urgency: number): void {
    if (nowUs < this.plan.warmupUs) return;
    const cause = urgency === Urgency.snapshot ? SNAPSHOT : this.causeOf(nowUs, destination);
    const count = this.counts[cause]!;
    count.entries += 1;
    count.bytes += bytes;
    this.unsent[node * CAUSES.length + cause]! += bytes;
  }

  handleTransmit(nowUs: number, node: number, length: number): void {
    const second = Math.floor(nowUs / SECOND_US);
    add(this.plan.nodes[node]!.role === "private" ? this.ordinaryBytes : this.publicBytes, second, length);
    if (nowUs < this.plan.warmupUs) return;
    this.bytes[node]! += length;
    const at = node * CAUSES.length;
    const { unsent } = this;
    const total = unsent[at]! + unsent[at + 1]! + unsent[at + 2]! + unsent[at + 3]!;
    if (total === 0) return;
    for (let cause = 0; cause < CAUSES.length; cause += 1) {
      const share = unsent[at + cause]!;
      if (share === 0) continue;
      this.counts[cause]!.wireBytes += Math.round((length * share) / total);
      unsent[at + cause] = 0;
    }
  }

  /** The lives of the second that ends now are added up. */
  handleSecond(nowUs: number): void {
    for (let node = 0; node < this.sinceUs.length; node += 1) if (this.sinceUs[node]! >= 0) this.settle(nowUs, node);
  }

  finish(nowUs: number): Pick<Observations, "control" | "entries"> {
    this.handleSecond(nowUs);
    const control = [];
    for (let node = 0; node < this.bytes.length; node += 1) {
      if (this.aliveUs[node] === 0) continue;
      const isPublic = this.plan.nodes[node]!.role !== "private";
      control.push({ node, isPublic, bytes: this.bytes[node]!, aliveUs: this.aliveUs[node]! });
    }
    const [death, join, snapshot, other] = this.counts;
    return { control, entries: { death: death!, join: join!, snapshot: snapshot!, other: other! } };
  }

  private causeOf(nowUs: number, destination: number): number {
    const { happenings } = this;
    const { warmupUs } = this.plan;
    if (!happenings.isAlive(destination)) return happenings.diedAtUs(destination) >= warmupUs ? DEATH : OTHER;
    const bornUs = happenings.bornAtUs(destination);
    return bornUs >= warmupUs && nowUs - bornUs < JOINING_US ? JOIN : OTHER;
  }

  private settle(nowUs: number, node: number): void {
    const since = this.sinceUs[node]!;
    this.sinceUs[node] = nowUs;
    if (since < 0 || nowUs <= since) return;
    const second = Math.floor(since / SECOND_US); // never more than a second: settled at each
    add(this.plan.nodes[node]!.role === "private" ? this.ordinaryUs : this.publicUs, second, nowUs - since);
    const counted = nowUs - Math.max(since, this.plan.warmupUs);
    if (counted > 0) this.aliveUs[node]! += counted;
  }
}

function add(column: number[], second: number, value: number): void {
  while (column.length <= second) column.push(0);
  column[second]! += value;
}
