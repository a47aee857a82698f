import type { Digest } from "../collections/digest.js";
import { type Identity, identityFromSeeds } from "../crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../crypto/suite.js";
import { NEVER, SECOND_US } from "../time/instant.js";
import { FormerNac } from "./former-nac.js";
import { type Plane, type Timed, timed } from "./plane.js";
import type { FormerIdentity } from "./ports.js";

/** The client NAC is withdrawn when nothing used it for so long. */
const CLIENT_IDLE_US = 600 * SECOND_US;
/** Former identities served beside the service: more would keep NACs that nobody uses any longer. */
const FORMER_MAX = 2;

/** An address of our own, as the dictionary numbers it. */
export interface LocalNac {
  readonly identity: Identity;
  readonly number: number;
  readonly epoch: number;
}

/**
 * Our own NACs. We are called by the service NAC, which is announced from the start, and for a while after a rotation by
 * the former one. We call from the client NAC, which is announced when a request first needs it and withdrawn when it was
 * idle. No message names two of them.
 */
export class Addresses {
  readonly service: LocalNac;
  private readonly former: readonly FormerNac[];
  private born: LocalNac | undefined;
  /** How often it was announced. */
  private announcements = 0;
  private readonly plane: Plane;
  /** Which epoch of the service was its last nobody knows. */
  private readonly isFresh: boolean;
  private readonly isCalling: () => boolean;
  private readonly onWithdrawn: (nowUs: number, destination: number) => void;
  /** When the client NAC is withdrawn; NEVER while it is not announced. */
  private readonly rest = { nextTimeoutUs: NEVER };
  private readonly resting: Timed;
  private readonly ageing: readonly Timed[];

  /**
   * Throws RangeError for more than two former identities.
   *
   * @param isCalling    whether a session of the client NAC stands: then it is not withdrawn
   * @param onWithdrawn  a former NAC is ours no longer
   */
  constructor(args: {
    plane: Plane;
    service: Identity;
    epoch: number;
    isFresh: boolean;
    former: readonly FormerIdentity[];
    wallClockSeconds: number;
    isCalling: () => boolean;
    onWithdrawn: (nowUs: number, destination: number) => void;
  }) {
    if (args.former.length > FORMER_MAX) {
      throw new RangeError(`Addresses: ${args.former.length} former identities, not ${FORMER_MAX} at most`);
    }
    const { plane } = args;
    const { dictionary } = plane.ports;
    this.plane = plane;
    this.isFresh = args.isFresh;
    this.isCalling = args.isCalling;
    this.onWithdrawn = args.onWithdrawn;
    this.service = { identity: args.service, number: dictionary.intern(args.service.nac), epoch: args.epoch };
    this.resting = timed(plane, this.rest, (now) => this.withdrawClient(now));
    this.former = args.former.map((one) => new FormerNac(one, args.wallClockSeconds, plane.ports));
    this.ageing = this.former.map((one) => timed(plane, one, (now) => this.handleFormer(now, one)));
  }

  /** The NAC that we call from, made when it is first asked for: a node that calls nobody has none. */
  get client(): LocalNac {
    this.born ??= this.bear();
    return this.born;
  }

  start(nowUs: number): void {
    this.plane.routing.originate(nowUs, this.service.number, this.service.epoch, this.isFresh);
    for (const one of this.former) one.start(nowUs);
    for (const one of this.ageing) this.plane.watch(one);
  }

  /** The NACs that others may call us by: the service's and those of former identities whose time is not over. */
  get called(): readonly LocalNac[] {
    return [this.service, ...this.former.filter((one) => one.state !== "over").map((one) => one.local)];
  }

  isCalled(destination: number): boolean {
    if (destination === this.service.number) return true;
    for (const one of this.former) if (one.local.number === destination && one.state !== "over") return true;
    return false;
  }

  isLocal(destination: number): boolean {
    return destination === this.born?.number || this.isCalled(destination);
  }

  isReachable(destination: number): boolean {
    const { routing } = this.plane;
    return this.isLocal(destination) || routing.nextHop(destination) >= 0 || routing.hostLink >= 0;
  }

  /** The client NAC is needed now: announced if it is not, and kept for ten minutes more. */
  announceClient(nowUs: number): void {
    if (this.rest.nextTimeoutUs === NEVER) {
      this.plane.routing.originate(nowUs, this.client.number, this.client.epoch + this.announcements);
      this.announcements += 1; // no epoch is begun twice
    }
    this.rest.nextTimeoutUs = nowUs + CLIENT_IDLE_US;
    this.plane.watch(this.resting);
  }

  digest(into: Digest): void {
    if (this.born !== undefined) into.bytes(this.born.identity.nac);
    into.number(this.rest.nextTimeoutUs);
    for (const one of this.former) one.digest(into);
  }

  private bear(): LocalNac {
    const { suite, entropy, dictionary, random32 } = this.plane.ports;
    const { networkId } = this.plane.session;
    const identity = identityFromSeeds(suite, networkId, entropy(KEM_SEED_BYTES), entropy(SIGNATURE_SEED_BYTES));
    // Drawn, not derived: the client's epoch must not remind anybody of the service's.
    return { identity, number: dictionary.intern(identity.nac), epoch: (random32() >>> 1) + 1 };
  }

  private handleFormer(nowUs: number, former: FormerNac): void {
    former.handleTimeout(nowUs);
    const { identity, number, epoch } = former.local;
    if (former.state === "announced") {
      this.plane.routing.originate(nowUs, number, epoch);
    } else {
      this.onWithdrawn(nowUs, number);
      this.plane.routing.withdraw(nowUs, number);
      this.plane.ports.sink.event({ kind: "formerWithdrawn", nac: identity.nac });
    }
  }

  private withdrawClient(nowUs: number): void {
    if (this.isCalling()) return this.announceClient(nowUs);
    this.rest.nextTimeoutUs = NEVER;
    this.plane.routing.withdraw(nowUs, this.client.number);
  }
}
