import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

const INITIAL_RTT_US = 100_000;
const RTT_MAX_US = 10 * SECOND_US;
/** The smallest rtt is remembered for one to two of these. */
const MINIMUM_SPAN_US = 10 * SECOND_US;

/** Round-trip time: smoothed mean and deviation (RFC 6298) and a windowed minimum, microseconds. */
export class Rtt {
  smoothedUs: number;
  variationUs: number;
  latestUs = 0;
  samples = 0;
  private minimumUs = RTT_MAX_US;
  private previousMinimumUs = RTT_MAX_US;
  private spanStartUs = 0;

  /** @param knownUs a first estimate, as the handshake measured it */
  constructor(knownUs = INITIAL_RTT_US) {
    this.smoothedUs = Math.max(1, Math.min(knownUs, RTT_MAX_US));
    this.variationUs = this.smoothedUs >>> 1;
  }

  /** The smallest of the last 10 to 20 seconds. */
  get minUs(): number {
    return this.samples === 0 ? this.smoothedUs : Math.min(this.minimumUs, this.previousMinimumUs);
  }

  handleSample(nowUs: number, sampleUs: number): void {
    const rttUs = Math.max(1, Math.min(sampleUs, RTT_MAX_US));
    this.latestUs = rttUs;
    if (this.samples === 0) {
      this.smoothedUs = rttUs;
      this.variationUs = rttUs >>> 1;
      this.spanStartUs = nowUs;
    } else {
      const deviationUs = Math.abs(this.smoothedUs - rttUs);
      this.variationUs = Math.floor((3 * this.variationUs + deviationUs) / 4);
      this.smoothedUs = Math.max(1, Math.floor((7 * this.smoothedUs + rttUs) / 8));
    }
    this.samples += 1;
    if (nowUs - this.spanStartUs >= MINIMUM_SPAN_US) {
      this.previousMinimumUs = this.minimumUs;
      this.minimumUs = RTT_MAX_US;
      this.spanStartUs = nowUs;
    }
    this.minimumUs = Math.min(this.minimumUs, rttUs);
  }

  /** Nothing was heard for so long that the path may be another: the next sample begins anew. */
  forget(): void {
    this.samples = 0;
    this.minimumUs = RTT_MAX_US;
    this.previousMinimumUs = RTT_MAX_US;
  }

  digest(into: Digest): void {
    into.number(this.smoothedUs).number(this.variationUs).number(this.minUs).number(this.samples);
  }
}
