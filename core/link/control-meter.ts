import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

const WINDOW_US = 10 * SECOND_US;

/** What was sent on one link in windows of ten seconds: of the node itself and of routes, and for others. */
export class ControlMeter {
  /** Of the node itself and of routes, but for snapshots, in the window under way; and in the fullest of all. */
  bytes = 0;
  peakBytes = 0;
  /** Said since the last `note`, and not entered yet. */
  saidBytes = 0;
  /** For others, in the window under way; and in a second of the last one. */
  carriedBytes = 0;
  carriedPerSecond = 0;
  private sinceUs: number;

  constructor(nowUs: number) {
    this.sinceUs = nowUs;
  }

  /** Enters what was said. True when a window is over, so that `carriedPerSecond` is new. */
  note(nowUs: number, bytes: number): boolean {
    const passedUs = nowUs - this.sinceUs;
    const isOver = passedUs >= WINDOW_US;
    if (isOver) {
      this.carriedPerSecond = Math.floor((this.carriedBytes * SECOND_US) / passedUs);
      this.carriedBytes = 0;
      this.bytes = 0;
      this.sinceUs = nowUs;
    }
    this.bytes += bytes;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
    return isOver;
  }

  digest(into: Digest): void {
    into.number(this.bytes).number(this.saidBytes).number(this.carriedBytes).number(this.carriedPerSecond);
    into.number(this.sinceUs);
  }
}
