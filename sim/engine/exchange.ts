import type { BufferSource } from "./census.js";
import { Mailbox } from "./mailbox.js";
import type { Packets } from "./packets.js";

/** Bytes of what one shard can hand another at once; more goes in rounds. Only what is used of it takes memory. */
const MAILBOX_BYTES = 16 * 1_048_576;
const COUNT = 0;
const GENERATION = 1;
const STOP = 2;
const CONTROL_WORDS = 4;
/** Looks at the barrier before it sleeps there: some microseconds. */
const SPINS = 4_000;
const SUM_WORDS = 8;
/** By shard: when something is due next; and 1 when mail did not fit. */
const NOTE_DOUBLES = 2;

/** What the shards of one run share besides the census. */
export interface ExchangeBuffers {
  readonly control: ArrayBufferLike;
  readonly notes: ArrayBufferLike;
  readonly sums: ArrayBufferLike;
  /** `mail[from * shards + to]` */
  readonly mail: readonly ArrayBufferLike[];
}

export function exchangeBuffers(shards: number, make: BufferSource, mailboxBytes = MAILBOX_BYTES): ExchangeBuffers {
  return {
    control: make(CONTROL_WORDS * 4),
    notes: make(shards * NOTE_DOUBLES * 8),
    sums: make(shards * SUM_WORDS * 4),
    mail: Array.from({ length: shards * shards }, (_, i) => make(i % (shards + 1) === 0 ? 8 : mailboxBytes)),
  };
}

/**
 * Where the shards meet: a barrier, mailboxes, and sums over all. One of a single shard never waits. All shards call the
 * same methods in the same order.
 */
export class Exchange {
  /** Wall time spent waiting for others, as `clockMs` tells it. */
  waitedMs = 0;
  private readonly shard: number;
  private readonly shards: number;
  private readonly clockMs: (() => number) | undefined;
  private readonly control: Int32Array;
  private readonly notes: Float64Array;
  private readonly sums: Int32Array;
  private readonly mail: readonly Mailbox[];
  /** By shard: what did not fit into its mailbox, and what of it is gone by now. */
  private readonly spilled: readonly Mailbox[];
  private readonly poured: Int32Array;
  private postedUs = Number.POSITIVE_INFINITY;

  constructor(shard: number, shards: number, buffers: ExchangeBuffers, clockMs?: () => number) {
    this.shard = shard;
    this.shards = shards;
    this.clockMs = clockMs;
    this.control = new Int32Array(buffers.control);
    this.notes = new Float64Array(buffers.notes);
    this.sums = new Int32Array(buffers.sums);
    this.mail = buffers.mail.map((buffer) => new Mailbox(buffer));
    this.spilled = Array.from({ length: shards }, () => new Mailbox(new ArrayBuffer(8)));
    this.poured = new Int32Array(shards);
  }

  /** All wait until all are here. */
  meet(): void {
    if (this.shards === 1) return;
    const { control } = this;
    const generation = Atomics.load(control, GENERATION);
    if (Atomics.add(control, COUNT, 1) + 1 === this.shards) {
      Atomics.store(control, COUNT, 0);
      Atomics.add(control, GENERATION, 1);
      Atomics.notify(control, GENERATION);
      return;
    }
    const beganMs = this.clockMs?.() ?? 0;
    for (let spin = 0; spin < SPINS; spin += 1) if (Atomics.load(control, GENERATION) !== generation) break;
    while (Atomics.load(control, GENERATION) === generation) Atomics.wait(control, GENERATION, generation, 1_000);
    this.waitedMs += (this.clockMs?.() ?? 0) - beganMs;
  }

  /** Keeps a copy of the datagram for shard `to`. */
  post(slot: number, packets: Packets, island: number, to: number): void {
    const box = this.boxTo(to);
    const spill = this.spilled[to]!;
    const length = packets.length[slot]!;
    this.postedUs = Math.min(this.postedUs, packets.dueUs[slot]!);
    if (spill.isEmpty && box.fits(length)) {
      box.write(slot, packets, island);
      return;
    }
    spill.grow(length);
    spill.write(slot, packets, island);
  }

  /**
   * Gives and takes all mail; answers the least of what all shards name as the next window, their mail included. All shards
   * have then done their window, and may look at everything; before one of them writes again, all must `meet`.
   *
   * @param windowOf  the window in which a time lies
   */
  swap(packets: Packets, accept: (slot: number) => void, next: number, windowOf: (timeUs: number) => number): number {
    if (this.shards === 1) return next;
    const { notes, shards, shard } = this;
    const own = this.postedUs === Number.POSITIVE_INFINITY ? next : Math.min(next, windowOf(this.postedUs));
    this.postedUs = Number.POSITIVE_INFINITY;
    for (;;) {
      let isMore = false;
      for (let to = 0; to < shards; to += 1) {
        if (to === shard) continue;
        this.boxTo(to).publish();
        if (!this.spilled[to]!.isEmpty) isMore = true;
      }
      notes[shard * NOTE_DOUBLES] = own;
      notes[shard * NOTE_DOUBLES + 1] = isMore ? 1 : 0;
      this.meet();
      let least = Number.POSITIVE_INFINITY;
      let isAnyMore = false;
      for (let from = 0; from < shards; from += 1) {
        least = Math.min(least, notes[from * NOTE_DOUBLES]!);
        if (notes[from * NOTE_DOUBLES + 1] !== 0) isAnyMore = true;
        if (from !== shard) this.mail[from * shards + shard]!.read(packets, accept);
      }
      for (let to = 0; to < shards; to += 1) if (to !== shard) this.boxTo(to).clear();
      if (!isAnyMore) return least;
      this.meet();
      for (let to = 0; to < shards; to += 1) if (to !== shard) this.refill(to);
    }
  }

  /** Adds up eight words of every shard. */
  sum(words: Int32Array): Int32Array {
    this.sums.set(words, this.shard * SUM_WORDS);
    this.meet();
    const total = new Int32Array(SUM_WORDS);
    for (let i = 0; i < this.sums.length; i += 1) total[i % SUM_WORDS]! += this.sums[i]!;
    this.meet();
    return total;
  }

  /** Does any shard want to stop? */
  isStopped(wanted: boolean): boolean {
    if (wanted) Atomics.store(this.control, STOP, 1);
    this.meet();
    return Atomics.load(this.control, STOP) === 1;
  }

  private boxTo(to: number): Mailbox {
    return this.mail[this.shard * this.shards + to]!;
  }

  /** The emptied box takes what did not fit before. */
  private refill(to: number): void {
    const spill = this.spilled[to]!;
    if (!spill.isEmpty) this.poured[to] = spill.pour(this.poured[to]!, this.boxTo(to));
  }
}
