import type { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/** So long nobody on the path is a neighbour, whoever dials. */
export const BAN_US = 60 * SECOND_US;

/** Paths whose neighbour broke the rules again and again (routing/conduct.ts). */
export class Bans {
  private readonly untilUs = new Map<number, number>();
  private readonly cap: Cap;

  /** @param cap  its limit is how many there are at a time; beyond, the oldest ends early */
  constructor(cap: Cap) {
    this.cap = cap;
  }

  add(nowUs: number, path: number): void {
    this.untilUs.delete(path);
    this.untilUs.set(path, nowUs + BAN_US);
    for (const [oldest, untilUs] of this.untilUs) {
      if (untilUs > nowUs && this.untilUs.size <= this.cap.limit) break;
      this.untilUs.delete(oldest);
    }
    this.cap.note(this.untilUs.size);
  }

  has(nowUs: number, path: number): boolean {
    const untilUs = this.untilUs.get(path);
    if (untilUs === undefined || untilUs > nowUs) return untilUs !== undefined;
    this.untilUs.delete(path);
    return false;
  }

  digest(into: Digest): void {
    into.number(this.untilUs.size);
    for (const [path, untilUs] of this.untilUs) into.number(path).number(untilUs);
  }
}
