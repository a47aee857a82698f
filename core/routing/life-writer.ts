import type { NacDictionary } from "../address/dictionary.js";
import { Trace, type TraceSink } from "../trace/trace.js";
import type { Writer } from "../wire/cursor.js";
import {
  ENTRY_EPOCH,
  ENTRY_LIFE,
  ENTRY_PROOF,
  ENTRY_SHORT,
  ENTRY_SUSPICION,
  EPOCH_ENTRY_BYTES,
  emptyRouteEntry,
  encodeRouteEntry,
  ROUTE_BYTES,
} from "../wire/routes.js";
import { type Cells, NAMED } from "./cells.js";
import type { Elements } from "./elements.js";
import { METRIC_NONE } from "./feasible.js";
import { BY_LIFE, type Lives, NEXT_PROVEN } from "./lives.js";
import type { Neighbour } from "./neighbour.js";
import type { RouteRecords } from "./records.js";
import { LOCAL, type RouteTable } from "./route-table.js";
import { ID_NONE } from "./short-ids.js";

/** The metric at which an element of the metric chain proves nothing but its generation. */
export const METRIC_LAST = 63;

/** Writes what ROUTES messages say of lives: proofs of generations, signs of life, suspicions, and whose successors epochs are. */
export class LifeWriter {
  private readonly table: RouteTable;
  private readonly records: RouteRecords;
  private readonly cells: Cells;
  private readonly lives: Lives;
  private readonly dictionary: NacDictionary;
  private readonly elements: Elements;
  private readonly trace: TraceSink;
  private readonly offered: (destination: number) => number;
  private readonly mayName: (destination: number) => boolean;
  private readonly entry = emptyRouteEntry();

  /**
   * @param args.offered  the metric that others would be told now
   * @param args.mayName  false for what must not be named in the message that is being written: then it ends
   */
  constructor(args: {
    table: RouteTable;
    lives: Lives;
    dictionary: NacDictionary;
    elements: Elements;
    trace: TraceSink;
    offered: (destination: number) => number;
    mayName: (destination: number) => boolean;
  }) {
    this.table = args.table;
    this.records = args.table.records;
    this.cells = args.table.cells;
    this.lives = args.lives;
    this.dictionary = args.dictionary;
    this.elements = args.elements;
    this.trace = args.trace;
    this.offered = args.offered;
    this.mayName = args.mayName;
  }

  /** Signs of life, suspicions, then proofs of epochs, as many as fit. Returns the number of entries. */
  writeUrgent(neighbour: Neighbour, out: Writer): number {
    const { outbox } = neighbour;
    if (outbox === undefined) return 0;
    let count = 0;
    for (const destination of outbox.lives) {
      if (out.room < ROUTE_BYTES || !this.mayName(destination)) return count;
      outbox.lives.delete(destination);
      if (this.writeLife(neighbour, destination, out)) count += 1;
    }
    for (const [destination, slot] of outbox.suspicions) {
      if (out.room < ROUTE_BYTES) return count;
      outbox.suspicions.delete(destination);
      if (!this.table.knows(destination)) continue;
      this.entry.slot = slot;
      this.write(neighbour, destination, ENTRY_SUSPICION, out);
      count += 1;
    }
    for (const [destination, vouched] of outbox.epochs) {
      if (!this.mayName(destination)) return count;
      for (const [place, { epoch, previous, proof }] of vouched.entries()) {
        if (out.room < EPOCH_ENTRY_BYTES) {
          outbox.epochs.set(destination, vouched.slice(place)); // the others in the next message
          return count;
        }
        if (!this.table.knows(destination)) break;
        this.entry.slot = previous;
        out.bytes.set(proof, this.write(neighbour, destination, ENTRY_EPOCH, out, epoch));
        count += 1;
      }
      outbox.epochs.delete(destination);
    }
    return count;
  }

  /** Proofs of what the neighbour was told, as many as fit before `end`. Returns the number of entries. */
  writeProofs(neighbour: Neighbour, out: Writer, end: number): number {
    const { outbox } = neighbour;
    if (outbox === undefined) return 0;
    let count = 0;
    for (const destination of outbox.proofs) {
      if (out.offset + ROUTE_BYTES > end || !this.mayName(destination)) return count;
      outbox.proofs.delete(destination);
      if (this.writeProof(neighbour, destination, out)) count += 1;
    }
    return count;
  }

  private writeProof(neighbour: Neighbour, destination: number, out: Writer): boolean {
    const { records, cells, lives } = this;
    if (!this.table.knows(destination)) return false;
    const next = records.next(destination);
    const isLocal = (records.state(destination) & LOCAL) !== 0;
    if (!isLocal && (next < 0 || next === neighbour.link || !lives.has(destination, NEXT_PROVEN))) return false;
    const told = cells.told(cells.at(destination, neighbour.slot));
    // A route that grew worse cannot prove what was told of it; the change itself is told soon.
    if (told === METRIC_NONE || told < this.offered(destination)) return false;
    const generation = lives.generation(destination);
    this.entry.generation = generation & 0xffff;
    const start = out.offset;
    const at = this.write(neighbour, destination, ENTRY_PROOF, out);
    if (this.elements.writeMetric(destination, records.epoch(destination), generation, told, out.bytes, at))
      return true;
    out.offset = start; // nobody proved as much to us
    return false;
  }

  private writeLife(neighbour: Neighbour, destination: number, out: Writer): boolean {
    const { lives } = this;
    if (!this.table.knows(destination)) return false;
    const isOfChain = lives.has(destination, BY_LIFE);
    const slot = isOfChain ? lives.proof(destination) : lives.generation(destination);
    const epoch = this.records.epoch(destination);
    this.entry.slot = slot;
    const start = out.offset;
    const at = this.write(neighbour, destination, isOfChain ? ENTRY_LIFE : ENTRY_LIFE | ENTRY_PROOF, out);
    const isProven = isOfChain
      ? this.elements.writeLife(destination, epoch, slot, out.bytes, at)
      : this.elements.writeMetric(destination, epoch, slot, METRIC_LAST, out.bytes, at);
    if (!isProven) out.offset = start; // our own, whose chain is not made yet, or what others proved before the epoch changed
    return isProven;
  }

  private write(
    neighbour: Neighbour,
    destination: number,
    kind: number,
    out: Writer,
    epoch = this.records.epoch(destination),
  ): number {
    const { records, cells, entry } = this;
    const isShort = (cells.flags(cells.at(destination, neighbour.slot)) & NAMED) !== 0;
    entry.flags = kind | (isShort ? ENTRY_SHORT : 0);
    entry.id = isShort ? records.id(destination) : ID_NONE;
    entry.epoch = epoch;
    if (!isShort) this.dictionary.write(destination, entry.bytes);
    const start = out.offset;
    const at = encodeRouteEntry(out, entry);
    this.trace(Trace.lifeWritten, destination, out.offset - start, kind);
    return at;
  }
}
