import type { Digest } from "../collections/digest.js";
import { type Identity, identityFromSeeds } from "../crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../crypto/suite.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { type Plane, type Timed, timed } from "./plane.js";

/** The client NAC is withdrawn when nothing used it for so long. */
const CLIENT_IDLE_US = 600 * SECOND_US;

/** An address of our own, as the dictionary numbers it. */
export interface LocalNac {
  readonly identity: Identity;
  readonly number: number;
  readonly epoch: number;
}

/**
 * Our own NACs. We are called by the service NAC, which is announced from the start, and call from the client NAC, which is
 * announced when a request first needs it and withdrawn when it was idle. No message names both.
 */
export class Addresses {
  readonly service: LocalNac;
  readonly client: LocalNac;
  private readonly plane: Plane;
  private readonly isCalling: () => boolean;
  /** When the client NAC is withdrawn; NEVER while it is not announced. */
  private readonly rest = { nextTimeoutUs: NEVER };
  private readonly resting: Timed;

  /** @param isCalling whether a session of the client NAC stands: then it is not withdrawn */
  constructor(args: { plane: Plane; service: Identity; epoch: number; isCalling: () => boolean }) {
    const { plane } = args;
    const { suite, entropy, dictionary, random32 } = plane.ports;
    this.plane = plane;
    this.isCalling = args.isCalling;
    this.service = { identity: args.service, number: dictionary.intern(args.service.nac), epoch: args.epoch };
    const fresh = identityFromSeeds(
      suite,
      plane.session.networkId,
      entropy(KEM_SEED_BYTES),
      entropy(SIGNATURE_SEED_BYTES),
    );
    // Drawn, not derived: the client's epoch must not remind anybody of the service's.
    this.client = { identity: fresh, number: dictionary.intern(fresh.nac), epoch: (random32() >>> 1) + 1 };
    this.resting = timed(plane, this.rest, (now) => this.withdrawClient(now));
  }

  start(nowUs: number): void {
    this.plane.routing.originate(nowUs, this.service.number, this.service.epoch);
  }

  isLocal(destination: number): boolean {
    return destination === this.service.number || destination === this.client.number;
  }

  isReachable(destination: number): boolean {
    return this.isLocal(destination) || this.plane.routing.nextHop(destination) >= 0;
  }

  /** The client NAC is needed now: announced if it is not, and kept for ten minutes more. */
  announceClient(nowUs: number): void {
    if (this.rest.nextTimeoutUs === NEVER) {
      this.plane.routing.originate(nowUs, this.client.number, this.client.epoch);
    }
    this.rest.nextTimeoutUs = nowUs + CLIENT_IDLE_US;
    this.plane.watch(this.resting);
  }

  digest(into: Digest): void {
    into.bytes(this.client.identity.nac).number(this.rest.nextTimeoutUs);
  }

  private withdrawClient(nowUs: number): void {
    if (this.isCalling()) return this.announceClient(nowUs);
    this.rest.nextTimeoutUs = NEVER;
    this.plane.routing.withdraw(nowUs, this.client.number);
  }
}
