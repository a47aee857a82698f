import { SECOND_US } from "../time/instant.js";

/**
 * How many hashes neighbours may make this node compute. There is one pool for all, and a share of its own for each link that
 * the pool's emptiness does not touch: who lies fast empties the pool, not the shares of the others. In all never more than
 * 260,000 hashes a second, about an eighth of a core, however many neighbours.
 *
 * Honest need, 5,000 destinations that are quiet: one generation of each in 450 s, walked 90 slots * 64: 64,000 a second.
 */
const POOL_PER_SECOND = 100_000;
const POOL_BURST = 400_000;
const SHARE_PER_SECOND_MAX = 20_000;
const SHARES_PER_SECOND = 160_000;
const SHARE_BURST = 200_000;
/** Links with a share at a time. One more gets from the pool only. */
const SHARES_MAX = 256;

/** Of the pool and of each share: millionths of a hash that are there, and since when. Exact in whole numbers below 2^53. */
interface Bucket {
  fill: number;
  atUs: number;
}

export class HashBudget {
  private readonly pool: Bucket = { fill: POOL_BURST * SECOND_US, atUs: 0 };
  private readonly shares = new Map<number, Bucket>();

  /** Hashes that may be computed for the link now. */
  available(nowUs: number, link: number): number {
    refill(this.pool, nowUs, POOL_PER_SECOND, POOL_BURST);
    const share = this.shareOf(nowUs, link);
    return Math.floor(this.pool.fill / SECOND_US) + Math.floor((share?.fill ?? 0) / SECOND_US);
  }

  /** At most `available` of them were. */
  spend(nowUs: number, link: number, hashes: number): void {
    const fromPool = Math.min(hashes, Math.floor(this.pool.fill / SECOND_US));
    this.pool.fill -= fromPool * SECOND_US;
    const share = this.shareOf(nowUs, link);
    if (share !== undefined) share.fill -= (hashes - fromPool) * SECOND_US;
  }

  forget(link: number): void {
    this.shares.delete(link);
  }

  private shareOf(nowUs: number, link: number): Bucket | undefined {
    let share = this.shares.get(link);
    if (share === undefined) {
      if (this.shares.size >= SHARES_MAX) return undefined;
      share = { fill: SHARE_PER_SECOND_MAX * SECOND_US, atUs: nowUs }; // a second's worth: coming anew pays nothing
      this.shares.set(link, share);
    }
    const perSecond = Math.min(SHARE_PER_SECOND_MAX, Math.floor(SHARES_PER_SECOND / this.shares.size));
    refill(share, nowUs, perSecond, SHARE_BURST);
    return share;
  }
}

function refill(bucket: Bucket, nowUs: number, perSecond: number, burst: number): void {
  const passedUs = Math.min(nowUs - bucket.atUs, 3_600 * SECOND_US);
  if (passedUs <= 0) return;
  bucket.fill = Math.min(burst * SECOND_US, bucket.fill + passedUs * perSecond);
  bucket.atUs = nowUs;
}
