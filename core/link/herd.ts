import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/** Neighbours find each other dead within so long of each other when all fail at once: their hellos are two seconds apart. */
const HERD_WINDOW_US = 3 * SECOND_US;
/** Fewer are no herd: a node with three links is back at once. */
const HERD_LEAST = 4;
/** Then each is dialled so much later at most, at random. */
const HERD_SPREAD_US = 3 * SECOND_US;

/**
 * Whether most links of this node were lost at about the same time: then it was not they, but what all of them went through, and
 * when that is back everybody comes back. Who dials spreads it over three seconds.
 */
export class Herd {
  private sinceUs = 0;
  private lost = 0;

  /** One more link was lost, `left` are up. How much longer to wait before it is dialled again. */
  handleLost(nowUs: number, left: number, random32: () => number): number {
    if (nowUs - this.sinceUs > HERD_WINDOW_US) {
      this.sinceUs = nowUs;
      this.lost = 0;
    }
    this.lost += 1;
    return this.lost >= HERD_LEAST && this.lost > left ? random32() % HERD_SPREAD_US : 0;
  }

  digest(into: Digest): void {
    into.number(this.sinceUs).number(this.lost);
  }
}
