import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { SECOND_US } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import { TABLE_DEPTH_MAX, TABLE_LEAF_MAX, type TableQuery } from "../wire/table-query.js";
import { encodeTableSums, TABLE_SUMS_BYTES } from "../wire/table-sums.js";
import { METRIC_INFINITY } from "./feasible.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteTable } from "./route-table.js";
import { isInside } from "./table-digest.js";
import { sumsOf } from "./table-search.js";

/** Each question costs a walk over the table. Beyond: not answered; whoever asked asks again. */
const QUESTIONS_PER_SECOND = 16;
const QUESTIONS_BURST = 64;
/** And of a large table fewer: each entry walked over counts so long, up to some seconds at once. About 3 % of a core per neighbour. */
const ENTRY_US = 2;
const WALKS_BURST_US = 4 * SECOND_US;
/** Sums that wait to be written, and entries that wait to be repeated. Beyond: dropped; the next search finds them. */
const SUMS_MAX = 4;
const REPEATS_MAX = 64;

/** An announced destination to be said again, or a NAC that was never announced, to be retracted. */
export type Repeat = { readonly destination: number } | { readonly nac: Uint8Array };

/** Answers a neighbour that searches for what it learned wrongly from us. */
export class TableAnswers {
  readonly repeats: Repeat[] = [];
  private readonly sums: { readonly depth: number; readonly prefix: number }[] = [];
  private readonly questions = new RateLimit(QUESTIONS_PER_SECOND, QUESTIONS_BURST);
  /** When the neighbour has its whole allowance of walks again. */
  private walksWholeUs = 0;
  private readonly table: RouteTable;
  private readonly neighbour: Neighbour;

  constructor(table: RouteTable, neighbour: Neighbour) {
    this.table = table;
    this.neighbour = neighbour;
  }

  get isDue(): boolean {
    return this.sums.length > 0;
  }

  handleQuery(nowUs: number, query: TableQuery): void {
    const { listed, counts } = this.table;
    if (this.walksWholeUs > nowUs + WALKS_BURST_US || !this.questions.take(nowUs)) {
      counts.refused += 1;
      return;
    }
    this.walksWholeUs = Math.max(this.walksWholeUs, nowUs) + listed * ENTRY_US;
    const { depth, prefix, nacs } = query;
    if (depth === 0 && this.neighbour.recountAnnounced()) counts.miscounts += 1;
    const inside = this.toldInside(depth, prefix);
    const isLeaf = nacs !== undefined && (inside.length <= TABLE_LEAF_MAX || depth === TABLE_DEPTH_MAX);
    if (isLeaf) {
      for (const nac of nacs) if (!this.isAnnounced(nac)) this.add({ nac: nac.slice() });
      for (const destination of inside) this.add({ destination });
    } else if (depth < TABLE_DEPTH_MAX && this.sums.length < SUMS_MAX) {
      this.sums.push({ depth, prefix });
    } else counts.refused += 1;
  }

  /** Sums are of the moment in which they are written. */
  write(out: Writer): void {
    while (this.sums.length > 0 && out.room >= TABLE_SUMS_BYTES) {
      const { depth, prefix } = this.sums.shift()!;
      const { table, neighbour } = this;
      const sums = sumsOf(table, neighbour, (destination) => neighbour.toldMetric(destination), depth, prefix);
      encodeTableSums(out, { depth, prefix, sent: neighbour.stream.sent, sums });
    }
  }

  digest(into: Digest): void {
    this.questions.digest(into);
    into.number(this.walksWholeUs).number(this.sums.length).number(this.repeats.length);
  }

  private add(repeat: Repeat): void {
    if (this.repeats.length < REPEATS_MAX) this.repeats.push(repeat);
    else this.table.counts.refused += 1;
  }

  /** At most one more than a leaf has. */
  private toldInside(depth: number, prefix: number): number[] {
    const { order, listed } = this.table;
    const { neighbour } = this;
    const inside: number[] = [];
    for (let i = 0; i < listed && inside.length <= TABLE_LEAF_MAX; i += 1) {
      const destination = order[i]!;
      if (neighbour.toldMetric(destination) >= METRIC_INFINITY) continue;
      if (isInside(neighbour.hash.placeOf(destination), depth, prefix)) inside.push(destination);
    }
    return inside;
  }

  private isAnnounced(nac: Uint8Array): boolean {
    const destination = this.table.dictionary.find(nac);
    if (destination < 0 || !this.table.knows(destination)) return false;
    return this.neighbour.toldMetric(destination) < METRIC_INFINITY;
  }
}
