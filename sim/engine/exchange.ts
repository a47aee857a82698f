import type { BufferSource } from "./census.js";
import type { Packets } from "./packets.js";

/** Bytes of what one shard can hand another at once; more goes in rounds. */
const MAILBOX_BYTES = 4 * 1_048_576;
/** due, key, from, to as doubles; source node, island, length as words; then the bytes, up to a multiple of 8. */
const HEAD_BYTES = 48;
const COUNT = 0;
const GENERATION = 1;
const MORE = 2;
const STOP = 3;
const CONTROL_WORDS = 4;
/** Looks at the barrier before it sleeps there: some microseconds. */
const SPINS = 2_000;
const SUM_WORDS = 8;

/** What the shards of one run share besides the census. */
export interface ExchangeBuffers {
  readonly control: ArrayBufferLike;
  readonly next: ArrayBufferLike;
  readonly sums: ArrayBufferLike;
  /** `mail[from * shards + to]` */
  readonly mail: readonly ArrayBufferLike[];
}

export function exchangeBuffers(shards: number, make: BufferSource): ExchangeBuffers {
  return {
    control: make(CONTROL_WORDS * 4),
    next: make(shards * 8),
    sums: make(shards * SUM_WORDS * 4),
    mail: Array.from({ length: shards * shards }, (_, i) =>
      make(i % (shards + 1) === 0 || shards === 1 ? 8 : MAILBOX_BYTES),
    ),
  };
}

/** Where the shards meet: a barrier, mailboxes, and sums over all. One of a single shard never waits. */
export class Exchange {
  private readonly shard: number;
  private readonly shards: number;
  private readonly control: Int32Array;
  private readonly next: Float64Array;
  private readonly sums: Int32Array;
  private readonly doubles: readonly Float64Array[];
  private readonly words: readonly Int32Array[];
  private readonly octets: readonly Uint8Array[];
  /** Records that did not go yet, by shard. */
  private readonly waiting: Uint8Array[][];

  constructor(shard: number, shards: number, buffers: ExchangeBuffers) {
    this.shard = shard;
    this.shards = shards;
    this.control = new Int32Array(buffers.control);
    this.next = new Float64Array(buffers.next);
    this.sums = new Int32Array(buffers.sums);
    this.doubles = buffers.mail.map((buffer) => new Float64Array(buffer));
    this.words = buffers.mail.map((buffer) => new Int32Array(buffer));
    this.octets = buffers.mail.map((buffer) => new Uint8Array(buffer));
    this.waiting = Array.from({ length: shards }, () => []);
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
    for (let spin = 0; spin < SPINS; spin += 1) if (Atomics.load(control, GENERATION) !== generation) return;
    while (Atomics.load(control, GENERATION) === generation) Atomics.wait(control, GENERATION, generation, 1_000);
  }

  /** Keeps a copy of the datagram for the shard of its island. */
  post(slot: number, packets: Packets, island: number): void {
    const length = packets.length[slot]!;
    const record = new Uint8Array(HEAD_BYTES + ((length + 7) & ~7));
    const heads = new Float64Array(record.buffer, 0, 4);
    heads[0] = packets.dueUs[slot]!;
    heads[1] = packets.key[slot]!;
    heads[2] = packets.from[slot]!;
    heads[3] = packets.to[slot]!;
    const words = new Int32Array(record.buffer, 32, 3);
    words[0] = packets.fromNode[slot]!;
    words[1] = island;
    words[2] = length;
    const at = packets.at[slot]!;
    record.set(packets.chunk[slot]!.subarray(at, at + length), HEAD_BYTES);
    this.waiting[island % this.shards]!.push(record);
  }

  /** Gives and takes all mail. Afterwards every shard stands at the same point, and none goes on before all are done. */
  swap(packets: Packets, accept: (slot: number) => void): void {
    if (this.shards === 1) return;
    for (;;) {
      if (this.give()) Atomics.add(this.control, MORE, 1);
      this.meet();
      for (let from = 0; from < this.shards; from += 1) if (from !== this.shard) this.take(from, packets, accept);
      const isMore = Atomics.load(this.control, MORE) > 0;
      this.meet();
      if (!isMore) return;
      if (this.shard === 0) Atomics.store(this.control, MORE, 0);
      this.meet();
    }
  }

  /** The least of what all shards say. */
  least(value: number): number {
    this.next[this.shard] = value;
    this.meet();
    let least = value;
    for (let shard = 0; shard < this.shards; shard += 1) least = Math.min(least, this.next[shard]!);
    this.meet();
    return least;
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

  /** True when not all fitted. */
  private give(): boolean {
    let isMore = false;
    for (let to = 0; to < this.shards; to += 1) {
      if (to === this.shard) continue;
      const box = this.shard * this.shards + to;
      const octets = this.octets[box]!;
      const records = this.waiting[to]!;
      let end = 8;
      let given = 0;
      while (given < records.length && end + records[given]!.length <= octets.length) {
        octets.set(records[given]!, end);
        end += records[given]!.length;
        given += 1;
      }
      this.words[box]![0] = end;
      if (given === records.length) records.length = 0;
      else records.splice(0, given);
      if (records.length > 0) isMore = true;
    }
    return isMore;
  }

  private take(from: number, packets: Packets, accept: (slot: number) => void): void {
    const box = from * this.shards + this.shard;
    const words = this.words[box]!;
    const doubles = this.doubles[box]!;
    const end = words[0]!;
    for (let at = 8; at < end; ) {
      const word = at >> 2;
      const double = at >> 3;
      const length = words[word + 10]!;
      const slot = packets.make(this.octets[box]!, at + HEAD_BYTES, length);
      packets.dueUs[slot] = doubles[double]!;
      packets.key[slot] = doubles[double + 1]!;
      packets.from[slot] = doubles[double + 2]!;
      packets.to[slot] = doubles[double + 3]!;
      packets.fromNode[slot] = words[word + 8]!;
      packets.island[slot] = words[word + 9]!;
      accept(slot);
      at += HEAD_BYTES + ((length + 7) & ~7);
    }
  }
}
