import type { Digest } from "../collections/digest.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import type { LocalNac } from "./addresses.js";
import type { FormerIdentity, StackPorts } from "./ports.js";

/** A former NAC is announced up to so long after the start; a request waits longer than that for a route. */
const FORMER_DELAY_US = 8 * SECOND_US;

/**
 * The NAC before a rotation, until its time is over.
 *
 *   waiting --(1 to 8 s)--> announced --(its time is over)--> over
 *
 * To others it is a node of its own that started a little later than this one: announced at another moment, in the
 * epoch that such a node would have. Neighbours are not deceived, both NACs come from the same link; nobody else finds
 * the two beside each other in one second or one number.
 */
export class FormerNac {
  readonly local: LocalNac;
  state: "waiting" | "announced" | "over" = "waiting";
  nextTimeoutUs = NEVER;
  private readonly delayUs: number;
  private readonly untilUs: number;

  constructor(former: FormerIdentity, wallClockSeconds: number, ports: StackPorts) {
    const { identity, storedEpoch, untilUs } = former;
    const delaySeconds = 1 + (ports.random32() % (FORMER_DELAY_US / SECOND_US));
    const epoch = storedEpoch > 0 ? storedEpoch + 1 : (wallClockSeconds + delaySeconds) >>> 0;
    this.local = { identity, number: ports.dictionary.intern(identity.nac), epoch };
    this.delayUs = delaySeconds * SECOND_US;
    this.untilUs = untilUs;
  }

  start(nowUs: number): void {
    this.nextTimeoutUs = Math.min(nowUs + this.delayUs, this.untilUs);
  }

  /** Takes the step that is due. */
  handleTimeout(nowUs: number): void {
    this.state = nowUs >= this.untilUs ? "over" : "announced";
    this.nextTimeoutUs = this.state === "over" ? NEVER : this.untilUs;
  }

  digest(into: Digest): void {
    into.bytes(this.local.identity.nac).number(this.local.epoch).number(this.nextTimeoutUs);
  }
}
