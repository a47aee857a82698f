import type { NacDictionary } from "../address/dictionary.js";
import { Cap } from "../collections/cap.js";
import type { Digest } from "../collections/digest.js";
import { SECOND_US } from "../time/instant.js";

/** Traffic to a destination counts this long. */
const WANTED_US = 60 * SECOND_US;
/** Noted at most once in this time per destination: `add` is called for every packet. */
const REFRESH_US = SECOND_US;
/** Beyond: the one longest without traffic is no longer wanted. */
const WANTED_MAX = 65_536;

/** Destinations with traffic of our own in the last minute, the longest unused first. Their numbers are held. */
export class Wanted {
  readonly cap = new Cap("wanted", WANTED_MAX);
  private readonly untilUs = new Map<number, number>();
  private readonly dictionary: NacDictionary;

  constructor(dictionary: NacDictionary) {
    this.dictionary = dictionary;
  }

  add(nowUs: number, destination: number): void {
    const untilUs = this.untilUs.get(destination);
    if (untilUs !== undefined) {
      if (untilUs > nowUs + WANTED_US - REFRESH_US) return;
      this.untilUs.delete(destination);
    } else if (this.dictionary.isHeld(destination)) this.dictionary.hold(destination);
    else return; // whoever sent it gave the NAC up already
    this.untilUs.set(destination, nowUs + WANTED_US);
    for (const [oldest, endUs] of this.untilUs) {
      if (endUs > nowUs && this.untilUs.size <= WANTED_MAX) break;
      this.untilUs.delete(oldest);
      this.dictionary.release(oldest);
    }
    this.cap.note(this.untilUs.size);
  }

  /** Those with traffic in the last minute, and some with none of late. */
  get destinations(): Iterable<number> {
    return this.untilUs.keys();
  }

  has(nowUs: number, destination: number): boolean {
    const untilUs = this.untilUs.get(destination);
    return untilUs !== undefined && untilUs > nowUs;
  }

  digest(into: Digest): void {
    into.number(this.untilUs.size);
    for (const [destination, endUs] of this.untilUs) into.bytes(this.dictionary.bytesOf(destination)).number(endUs);
  }
}
