import type { Digest } from "../collections/digest.js";
import { NEVER } from "../time/instant.js";

/** Cells that may leave at once, however coarse the shell's timer: a third of what a kernel socket buffer holds. */
export const BURST_CELLS_MAX = 32;
const BURST_CELLS_MIN = 2;
/** A timer is up to this late: so much may accumulate and be made up for. */
const TIMER_GRAIN_US = 2_000;
/** Tokens are counted in thousandths of a cell. */
const CELL_TOKENS = 1_000;

/** A token bucket: spreads cells over time at a rate that is given anew whenever it changes. */
export class Pacer {
  private tokens = BURST_CELLS_MIN * CELL_TOKENS;
  private refilledUs = 0;
  /** Cells per second. */
  private rate = 1;

  setRate(nowUs: number, cellsPerSecond: number): void {
    this.refill(nowUs);
    this.rate = Math.max(1, cellsPerSecond);
  }

  /** May a cell leave now? */
  allows(nowUs: number): boolean {
    this.refill(nowUs);
    return this.tokens >= CELL_TOKENS;
  }

  handleSent(): void {
    this.tokens -= CELL_TOKENS;
  }

  /** When the next cell may leave; in the past when it may now. */
  get nextUs(): number {
    if (this.tokens >= CELL_TOKENS) return 0;
    const waitUs = Math.ceil(((CELL_TOKENS - this.tokens) * 1_000) / this.rate);
    return Math.min(NEVER, this.refilledUs + Math.max(1, waitUs));
  }

  digest(into: Digest): void {
    into
      .number(this.tokens + BURST_CELLS_MAX * CELL_TOKENS)
      .number(this.refilledUs)
      .number(this.rate);
  }

  private refill(nowUs: number): void {
    const elapsedUs = nowUs - this.refilledUs;
    if (elapsedUs <= 0) return;
    const earned = Math.floor((elapsedUs * this.rate) / 1_000);
    // Time that did not earn a whole token yet is kept for the next refill.
    if (earned === 0) return;
    this.refilledUs = nowUs;
    const cells = Math.floor((this.rate * TIMER_GRAIN_US) / 1_000_000);
    const burst = Math.max(BURST_CELLS_MIN, Math.min(cells, BURST_CELLS_MAX));
    this.tokens = Math.min(this.tokens + earned, burst * CELL_TOKENS);
  }
}
