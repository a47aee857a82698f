import type { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/** Half of a path's drops are forgotten when so much time went by. */
const HALF_LIFE_US = 60 * SECOND_US;
/** The first hold; each drop doubles it. */
const HOLD_FIRST_US = 2 * SECOND_US;
const HOLD_MAX_US = 60 * SECOND_US;
/** More drops than this change nothing: the hold is at its longest. */
const DROPS_MAX = 8;

interface Drops {
  /** Of the process at the other end: one that was restarted is another neighbour, and welcome at once. */
  readonly mark: number;
  count: number;
  sinceUs: number;
}

/**
 * Links that go down again and again are kept out of routing for a while when they are back: 2, 4, 8 .. 60 s. What they
 * teach would be told to the whole network each time. The first drop in a while costs nothing, and what is forgotten is
 * forgotten by halves (as RFC 2439, but for links alone: RFC 7196 tells what comes of punishing routes).
 *
 * Links are known by their paths. A path that drops no more leaves within minutes.
 */
export class FlapDamping {
  private readonly drops = new Map<number, Drops>();
  private readonly cap: Cap;

  /** @param cap  its limit is how many paths are remembered; beyond, the one that has waited longest is forgotten */
  constructor(cap: Cap) {
    this.cap = cap;
  }

  /** A link on `path` was lost. */
  noteDrop(nowUs: number, path: number, mark = 0): void {
    if (!this.isOf(path, mark)) this.drops.delete(path);
    const count = Math.min(DROPS_MAX, this.countOf(nowUs, path) + 1);
    const sinceUs = this.drops.get(path)?.sinceUs ?? nowUs; // else who drops every 59 s would never be forgiven
    this.drops.delete(path);
    this.drops.set(path, { mark, count, sinceUs });
    for (const oldest of this.drops.keys()) {
      if (this.drops.size <= this.cap.limit) break;
      this.drops.delete(oldest);
    }
    this.cap.note(this.drops.size);
  }

  /** It was this neighbour that dropped there. */
  isOf(path: number, mark: number): boolean {
    return this.drops.get(path)?.mark === mark;
  }

  /** How long the next link on `path` is to stay up before routing hears of it. */
  holdUs(nowUs: number, path: number): number {
    const count = this.countOf(nowUs, path);
    return count < 2 ? 0 : Math.min(HOLD_MAX_US, HOLD_FIRST_US * 2 ** (count - 2));
  }

  digest(into: Digest): void {
    into.number(this.drops.size);
    for (const [path, { count, sinceUs }] of this.drops) into.number(path).number(count).number(sinceUs);
  }

  private countOf(nowUs: number, path: number): number {
    const known = this.drops.get(path);
    if (known === undefined) return 0;
    while (known.count > 0 && nowUs - known.sinceUs >= HALF_LIFE_US) {
      known.count >>= 1;
      known.sinceUs += HALF_LIFE_US;
    }
    if (known.count === 0) this.drops.delete(path);
    return known.count;
  }
}
