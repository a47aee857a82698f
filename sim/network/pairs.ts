import { weatherKey } from "../random/weather.js";
import { PairIndex } from "./pair-index.js";

/**
 * Pairs for each interface: as many as node/udp.ts has paths. Beyond, the interface's oldest pair is forgotten; should it
 * come back, it has another weather, not the same from the start.
 */
export const PAIRS_PER_STATION_MAX = 4096;
const ROOM_MIN = 64;

/**
 * Directed pairs of a station and whom it sends to (or hears from): how many datagrams there were, and the weather that they
 * meet. What is kept belongs to the station alone, bound included, so that it does not depend on who else shares the shard.
 */
export class Pairs {
  /** Never looked up again while `stamp` is right: the model, and what the regions add to its delay. */
  model: Int32Array = new Int32Array(ROOM_MIN);
  extraUs: Float64Array = new Float64Array(ROOM_MIN);
  stamp: Int32Array = new Int32Array(ROOM_MIN);
  key: Int32Array = new Int32Array(ROOM_MIN);
  count: Uint32Array = new Uint32Array(ROOM_MIN);

  private readonly seed: number;
  private readonly index = new PairIndex(ROOM_MIN);
  private used = 0;
  private targets: Int32Array = new Int32Array(ROOM_MIN);
  /** Pairs of one station from the oldest on. */
  private nextOf: Int32Array = new Int32Array(ROOM_MIN);
  private readonly oldest: Int32Array;
  private readonly newest: Int32Array;
  private readonly held: Int32Array;
  private readonly forgotten: Int32Array;

  constructor(seed: number, stations: number) {
    this.seed = seed;
    this.oldest = new Int32Array(stations).fill(-1);
    this.newest = new Int32Array(stations).fill(-1);
    this.held = new Int32Array(stations);
    this.forgotten = new Int32Array(stations);
  }

  /** Pairs made so far are numbered below. */
  get size(): number {
    return this.used;
  }

  /** -1 if there is none yet. */
  find(station: number, target: number): number {
    return this.index.get(station, target);
  }

  /** A new pair, without a past. Its number may have been another pair's of the same station. */
  make(station: number, target: number): number {
    const pair = this.held[station]! < PAIRS_PER_STATION_MAX ? this.take(station) : this.retake(station);
    this.index.set(station, target, pair);
    this.targets[pair] = target;
    this.nextOf[pair] = -1;
    const newest = this.newest[station]!;
    if (newest < 0) this.oldest[station] = pair;
    else this.nextOf[newest] = pair;
    this.newest[station] = pair;
    this.key[pair] = weatherKey(this.seed + this.forgotten[station]!, station, target);
    this.count[pair] = 0;
    this.stamp[pair] = -1;
    return pair;
  }

  private take(station: number): number {
    this.held[station]! += 1;
    if (this.used === this.key.length) this.double();
    this.used += 1;
    return this.used - 1;
  }

  private retake(station: number): number {
    const pair = this.oldest[station]!;
    this.oldest[station] = this.nextOf[pair]!;
    this.index.delete(station, this.targets[pair]!);
    this.forgotten[station]! += 1;
    return pair;
  }

  private double(): void {
    const room = this.key.length * 2;
    this.model = grown(this.model, new Int32Array(room));
    this.extraUs = grown(this.extraUs, new Float64Array(room));
    this.stamp = grown(this.stamp, new Int32Array(room));
    this.key = grown(this.key, new Int32Array(room));
    this.count = grown(this.count, new Uint32Array(room));
    this.targets = grown(this.targets, new Int32Array(room));
    this.nextOf = grown(this.nextOf, new Int32Array(room));
  }
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
