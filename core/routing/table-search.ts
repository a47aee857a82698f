import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import {
  encodeTableQuery,
  TABLE_DEPTH_MAX,
  TABLE_LEAF_MAX,
  TABLE_QUERY_BYTES,
  type TableQuery,
} from "../wire/table-query.js";
import { TABLE_PARTS, type TableSums } from "../wire/table-sums.js";
import { METRIC_INFINITY } from "./feasible.js";
import type { Neighbour } from "./neighbour.js";
import { OURS, type RouteTable } from "./route-table.js";
import { isInside, partOf, partPrefix } from "./table-digest.js";

/** Disagreeing hellos in a row before anything is asked: one may be a message that a bound refused and that came again. */
const MISMATCHES_MIN = 2;
/** Queries of one search. Beyond: the rest is found by the next search. */
const QUERIES_MAX = 32;
/** Between the starts of two searches; doubled while the tables stay different. */
const SEARCH_SPACING_US = 4 * SECOND_US;
const SEARCH_SPACING_MAX_US = 64 * SECOND_US;
/** A query is not numbered and may be lost, or its answer be of another state: asked so often, so far apart. */
const QUERY_TRIES = 3;
const QUERY_REPEAT_US = 500 * MILLISECOND_US;

interface Bucket {
  readonly depth: number;
  readonly prefix: number;
}

/** Over all neighbours, since start. */
export interface TableCounts {
  /** Searches begun because two hellos in a row disagreed with what was learned. */
  searches: number;
  /** Sums kept in passing that did not fit the table any more. */
  miscounts: number;
  /** Entries repeated or taken back because a neighbour asked for a bucket. */
  repeats: number;
  /** Questions that found no answer, because there were too many. */
  refused: number;
}

/**
 * Finds what we learned wrongly from one neighbour. Each HELLO carries the digest of what it announced; while all its
 * messages are processed, ours must be the same. When not, twice in a row, buckets of the table are compared, sixteen parts
 * at a time, until one holds few entries; these the neighbour repeats. Nothing is asked and nothing counted while the digests
 * agree.
 */
export class TableSearch {
  private readonly table: RouteTable;
  private readonly neighbour: Neighbour;
  private mismatches = 0;
  private notBeforeUs = -NEVER;
  private spacingUs = SEARCH_SPACING_US;
  /** Buckets that differ; the last is asked about. Empty: no search. */
  private readonly open: Bucket[] = [];
  private tries = 0;
  private queriesLeft = 0;
  /** When to ask, again or at all. */
  private askAtUs = NEVER;

  constructor(table: RouteTable, neighbour: Neighbour) {
    this.table = table;
    this.neighbour = neighbour;
  }

  get nextTimeoutUs(): number {
    return this.askAtUs;
  }

  /** A hello came whose digest is of the state that we have processed. */
  compare(nowUs: number, high: number, low: number): void {
    const { learned } = this.neighbour;
    const { counts } = this.table;
    if (learned.isEqual(high, low)) {
      this.mismatches = 0;
      this.spacingUs = SEARCH_SPACING_US;
      return;
    }
    this.mismatches += 1;
    if (this.mismatches < MISMATCHES_MIN || this.open.length > 0 || nowUs < this.notBeforeUs) return;
    if (this.neighbour.recountLearned()) {
      counts.miscounts += 1;
      if (learned.isEqual(high, low)) return;
    }
    counts.searches += 1;
    this.notBeforeUs = nowUs + this.spacingUs;
    this.spacingUs = Math.min(SEARCH_SPACING_MAX_US, 2 * this.spacingUs);
    this.queriesLeft = QUERIES_MAX;
    this.open.push({ depth: 0, prefix: 0 });
    this.tries = 0;
    this.askAtUs = nowUs;
  }

  /** The tables agree, nothing is asked, and the next search may begin at once: there is nothing to remember. */
  isOver(nowUs: number): boolean {
    return this.mismatches === 0 && this.open.length === 0 && this.askAtUs === NEVER && nowUs >= this.notBeforeUs;
  }

  isDue(nowUs: number): boolean {
    return this.askAtUs <= nowUs;
  }

  /** Asks about the last open bucket: for its entries when we hold few, else for the sums of its parts. */
  write(nowUs: number, out: Writer): void {
    while (this.askAtUs <= nowUs) {
      const bucket = this.open[this.open.length - 1];
      if (bucket === undefined) {
        this.askAtUs = NEVER;
        return;
      }
      if (this.tries >= QUERY_TRIES || this.queriesLeft === 0) {
        this.next(nowUs);
        continue;
      }
      if (out.room < TABLE_QUERY_BYTES) return;
      const query = this.queryOf(bucket);
      encodeTableQuery(out, query);
      this.queriesLeft -= 1;
      // Entries come as ROUTES, numbered and repaired: not asked for twice. Sums may come instead.
      this.tries = query.nacs === undefined ? this.tries + 1 : QUERY_TRIES;
      this.askAtUs = nowUs + Math.max(QUERY_REPEAT_US, 2 * this.neighbour.stream.rttUs);
    }
  }

  handleSums(nowUs: number, { depth, prefix, sent, sums }: TableSums): void {
    const bucket = this.open[this.open.length - 1];
    if (bucket === undefined || bucket.depth !== depth || bucket.prefix !== prefix) return;
    if (sent !== this.neighbour.stream.processed) return; // of another state: asked again in a while
    this.open.pop();
    const ours = sumsOf(
      this.table,
      this.neighbour,
      (destination) => this.neighbour.learnedMetric(destination),
      depth,
      prefix,
    );
    for (let part = TABLE_PARTS - 1; part >= 0; part -= 1) {
      if (ours[part] === sums[part] || this.open.length >= QUERIES_MAX) continue;
      this.open.push({ depth: depth + 1, prefix: partPrefix(depth, prefix, part) });
    }
    this.tries = 0;
    this.askAtUs = nowUs;
  }

  digest(into: Digest): void {
    into.number(this.mismatches).number(this.notBeforeUs).number(this.spacingUs).number(this.askAtUs);
    into.number(this.tries).number(this.queriesLeft).number(this.open.length);
    for (const { depth, prefix } of this.open) into.number(depth).number(prefix);
  }

  private next(nowUs: number): void {
    if (this.queriesLeft === 0) this.open.length = 0;
    this.open.pop();
    this.tries = 0;
    this.askAtUs = this.open.length === 0 ? NEVER : nowUs;
  }

  private queryOf({ depth, prefix }: Bucket): TableQuery {
    const { order, listed, records, dictionary } = this.table;
    const { neighbour } = this;
    const nacs: Uint8Array[] = [];
    let namesOwn = false;
    for (let i = 0; i < listed; i += 1) {
      const destination = order[i]!;
      if (neighbour.learnedMetric(destination) >= METRIC_INFINITY) continue;
      if (!isInside(neighbour.hash.placeOf(destination), depth, prefix)) continue;
      const isOwn = (records.state(destination) & OURS) !== 0;
      if (isOwn && namesOwn) continue; // no message names two of ours
      if (nacs.length === TABLE_LEAF_MAX) {
        if (depth < TABLE_DEPTH_MAX) return { depth, prefix, nacs: undefined };
        break;
      }
      namesOwn ||= isOwn;
      nacs.push(dictionary.bytesOf(destination));
    }
    return { depth, prefix, nacs };
  }
}

/** The low words of the digests of a bucket's parts. */
export function sumsOf(
  table: RouteTable,
  neighbour: Neighbour,
  metricOf: (destination: number) => number,
  depth: number,
  prefix: number,
): Uint32Array {
  const sums = new Uint32Array(TABLE_PARTS);
  const { hash } = neighbour;
  for (let i = 0; i < table.listed; i += 1) {
    const destination = table.order[i]!;
    const metric = metricOf(destination);
    if (metric >= METRIC_INFINITY) continue;
    const place = hash.placeOf(destination);
    if (!isInside(place, depth, prefix)) continue;
    hash.of(destination, metric);
    sums[partOf(place, depth)]! += hash.low;
  }
  return sums;
}
