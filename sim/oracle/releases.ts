import type { RouteTable } from "../../core/routing/route-table.js";
import type { ShardView } from "../engine/observer.js";
import { insideOf } from "../fault/stack-inside.js";
import type { Happenings } from "./happenings.js";

/** Each node's table is looked at once in so many seconds; what it holds is confirmed two seconds later. */
const ROUND_SECONDS = 30;
const CONFIRM_SECONDS = 2;
/** An origin gives out two newer indexes in a second at most (core/routing/origins.ts), and one more is asked for. */
const INDEXES_AHEAD = 8;
/** Pairs that wait to be confirmed. Beyond: not counted this time. */
const PENDING_MAX = 65_536;

/**
 * What origins gave out, second by second, against what honest nodes of this shard believe: routes of an epoch that the
 * origin never had, and requests for an index that only a liar can have named. Nothing is looked at while nobody lies.
 */
export class Releases {
  newerEpochs = 0;
  forgedRequests = 0;
  private readonly view: ShardView;
  private readonly happenings: Happenings;
  /** By node: its service NAC's number in the dictionary of this shard. */
  private readonly numbers: Int32Array;
  /** Node * nodes + destination: the epoch that was too new, and the second. */
  private readonly pending = new Map<number, { readonly epoch: number; readonly second: number }>();
  /** Of the last whole second. */
  private parity = 0;

  constructor(view: ShardView, happenings: Happenings) {
    this.view = view;
    this.happenings = happenings;
    this.numbers = new Int32Array(view.census.nodes).fill(-1);
  }

  handleRequest(node: number, destination: number, index: number): void {
    const { happenings } = this;
    if (happenings.liars.length === 0 || !happenings.isHonest(node) || !happenings.isHonest(destination)) return;
    const released = this.at(this.parity, destination);
    if (released.epoch !== 0 && index > released.index + INDEXES_AHEAD) this.forgedRequests += 1;
  }

  handleSecond(_nowUs: number, second: number): void {
    if (this.happenings.liars.length === 0) return;
    this.parity = second % 2;
    for (let node = 0; node < this.view.census.nodes; node += 1) if (this.view.owns(node)) this.release(node);
    this.confirm(second);
    for (let node = second % ROUND_SECONDS; node < this.view.census.nodes; node += ROUND_SECONDS) {
      if (this.view.owns(node) && this.happenings.isHonest(node)) this.look(node, second);
    }
  }

  private release(node: number): void {
    const table = this.tableOf(node);
    if (table === undefined) return;
    const number = this.numberOf(node, table);
    const { released, nodes } = this.view.census;
    const at = (this.parity * nodes + node) * 2;
    released[at] = table.knows(number) ? table.records.epoch(number) : 0;
    released[at + 1] = table.knows(number) ? table.records.index(number) : 0;
  }

  private look(node: number, second: number): void {
    const table = this.tableOf(node);
    if (table === undefined) return;
    const { nodes, hop } = this.view.census;
    for (let destination = 0; destination < nodes; destination += 1) {
      const pair = node * nodes + destination;
      if (hop[pair] === 0 || !this.happenings.isAlive(destination) || !this.happenings.isHonest(destination)) continue;
      const epoch = table.records.epoch(this.numberOf(destination, table));
      const released = this.at(1 - this.parity, destination);
      if (released.epoch === 0 || epoch <= released.epoch || this.pending.size >= PENDING_MAX) continue;
      this.pending.set(pair, { epoch, second });
    }
  }

  /** An epoch that was new two seconds ago is told by its origin by now. */
  private confirm(second: number): void {
    const { nodes, hop } = this.view.census;
    for (const [pair, { epoch, second: since }] of this.pending) {
      if (second - since < CONFIRM_SECONDS) return;
      this.pending.delete(pair);
      const destination = pair % nodes;
      if (hop[pair] !== 0 && epoch > this.at(1 - this.parity, destination).epoch) this.newerEpochs += 1;
    }
  }

  private at(parity: number, node: number): { readonly epoch: number; readonly index: number } {
    const { released, nodes } = this.view.census;
    const at = (parity * nodes + node) * 2;
    return { epoch: released[at]!, index: released[at + 1]! };
  }

  private tableOf(node: number): RouteTable | undefined {
    const host = this.view.host(node);
    return host === undefined ? undefined : insideOf(host.stack).table;
  }

  private numberOf(node: number, table: RouteTable): number {
    if (this.numbers[node]! < 0) this.numbers[node] = table.dictionary.find(this.view.nacOf(node));
    return this.numbers[node]!;
  }
}
