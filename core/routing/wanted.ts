import { SECOND_US } from "../time/instant.js";

/** Traffic to a destination counts this long. */
const WANTED_US = 60 * SECOND_US;
/** Noted at most once in this time per destination: `add` is called for every packet. */
const REFRESH_US = SECOND_US;
/** Beyond: the one longest without traffic is no longer wanted. */
const WANTED_MAX = 65_536;

/** Destinations with traffic of our own in the last minute, the longest unused first. */
export class Wanted {
  private readonly untilUs = new Map<number, number>();

  add(nowUs: number, destination: number): void {
    const untilUs = this.untilUs.get(destination);
    if (untilUs !== undefined) {
      if (untilUs > nowUs + WANTED_US - REFRESH_US) return;
      this.untilUs.delete(destination);
    }
    this.untilUs.set(destination, nowUs + WANTED_US);
    if (this.untilUs.size <= WANTED_MAX) return;
    for (const oldest of this.untilUs.keys()) {
      this.untilUs.delete(oldest);
      return;
    }
  }

  has(nowUs: number, destination: number): boolean {
    const untilUs = this.untilUs.get(destination);
    return untilUs !== undefined && untilUs > nowUs;
  }
}
