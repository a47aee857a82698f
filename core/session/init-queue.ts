import { sameBytes } from "../collections/bytes.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { INIT_TAIL_BYTES, MAC_BYTES } from "../wire/init.js";
import { RateLimit } from "./rate-limit.js";

/** INITs answered in a second: about half a core. */
export const SERVED_INITS = 400;
export const SERVED_BURST = 32;
/** INITs that wait, for each link they came by. */
export const INITS_PER_LINK = 64;
/** Whoever sent it has given up by now (initiator.ts). */
export const INIT_WAIT_US = 4 * SECOND_US;

interface Waiting {
  readonly arrivedUs: number;
  readonly destination: number;
  readonly init: Uint8Array;
}

/** "now": serve it at once, it was not kept. "kept": it waits. Else why it is dropped. */
export type QueueVerdict = "now" | "kept" | "crowded" | "repeat";

/**
 * End to end there is no address that a cookie could prove: an INIT comes by a neighbour, who cannot tell whose it is.
 * So they share half a core fairly by the link they came in by, and a flood through one neighbour starves only that one.
 */
export class InitQueue {
  /** What waits on the fullest link. */
  readonly cap = new Cap("initQueue", INITS_PER_LINK);
  /** By link; the first one's turn is next. Links are bounded, so these are. */
  private readonly queues = new Map<number, Waiting[]>();
  private readonly served: RateLimit;
  private waiting = 0;

  constructor(perSecond = SERVED_INITS, burst = SERVED_BURST) {
    this.served = new RateLimit(perSecond, burst);
  }

  /** INITs that wait. */
  get size(): number {
    return this.waiting;
  }

  /** When the next one may be served. */
  get nextTimeoutUs(): number {
    return this.waiting === 0 ? NEVER : this.served.nextUs;
  }

  /** One more INIT, whose mac1 is right. Copied when it is kept. */
  offer(nowUs: number, link: number, destination: number, bytes: Uint8Array, at: number, length: number): QueueVerdict {
    if (this.waiting === 0 && this.served.take(nowUs)) return "now";
    const queue = this.queues.get(link) ?? [];
    if (isAmong(queue, bytes, at + length - INIT_TAIL_BYTES)) return "repeat";
    if (queue.length >= INITS_PER_LINK) return "crowded";
    queue.push({ arrivedUs: nowUs, destination, init: bytes.slice(at, at + length) });
    this.queues.set(link, queue);
    this.waiting += 1;
    this.cap.note(queue.length);
    return "kept";
  }

  /** Serves as many as the time allows, one link after the other. `late` hears of each that waited too long. */
  handleTimeout(nowUs: number, serve: (destination: number, init: Uint8Array) => void, late: () => void): void {
    for (const [link, queue] of this.queues) {
      // This runs in the order of insertion, and visits again what is deleted and set anew: a link after its turn.
      let oldest = queue[0];
      while (oldest !== undefined && nowUs - oldest.arrivedUs >= INIT_WAIT_US) {
        this.take(queue);
        late();
        oldest = queue[0];
      }
      if (oldest !== undefined && !this.served.take(nowUs)) return;
      this.queues.delete(link);
      if (oldest === undefined) continue;
      this.take(queue);
      if (queue.length > 0) this.queues.set(link, queue);
      serve(oldest.destination, oldest.init);
    }
  }

  digest(into: Digest): void {
    into.number(this.waiting);
    this.served.digest(into);
    for (const [link, queue] of this.queues) into.number(link).number(queue.length);
  }

  private take(queue: Waiting[]): void {
    queue.shift();
    this.waiting -= 1;
  }
}

/** mac1 covers every byte that counts, so two INITs with the same one are the same. */
function isAmong(queue: readonly Waiting[], bytes: Uint8Array, mac1At: number): boolean {
  const mac1 = bytes.subarray(mac1At, mac1At + MAC_BYTES);
  return queue.some(({ init }) => {
    const ownAt = init.length - INIT_TAIL_BYTES;
    return sameBytes(init.subarray(ownAt, ownAt + MAC_BYTES), mac1);
  });
}
