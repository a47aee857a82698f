import { performance } from "node:perf_hooks";
import type { Load } from "../core/stack/ports.js";
import { MILLISECOND_US, SECOND_US } from "../core/time/instant.js";

/** Of `Load.busy`. */
const BUSY_MAX = 255;

/** Once a second at most: how long datagrams and timers waited, and how much of the time there was work to do. */
export class LoadGauge {
  private load: Load = { queueDelayUs: 0, busy: 0 };
  private dueUs = 0;
  private lateUs = 0;
  private utilization = performance.eventLoopUtilization();

  isDue(nowUs: number): boolean {
    return nowUs >= this.dueUs;
  }

  /** A timer rang `lateUs` after its time. */
  noteLate(lateUs: number): void {
    this.lateUs = Math.max(this.lateUs, lateUs);
  }

  /** The load, if it is another than before. `waitedUs` is the longest that a datagram waited since the last time. */
  measure(nowUs: number, waitedUs: number): Load | undefined {
    this.dueUs = nowUs + SECOND_US;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.utilization);
    this.utilization = now;
    const queueDelayUs = Math.max(waitedUs, this.lateUs < MILLISECOND_US ? 0 : this.lateUs);
    this.lateUs = 0;
    const busy = Math.min(BUSY_MAX, Math.round(utilization * BUSY_MAX));
    if (queueDelayUs === this.load.queueDelayUs && busy === this.load.busy) return undefined;
    this.load = { queueDelayUs, busy };
    return this.load;
  }
}
