import { type Descriptor, type EpochStatement, signDescriptor } from "../chain/descriptor.js";
import type { Digest } from "../collections/digest.js";
import type { Identity } from "../crypto/identity.js";
import type { Verdict } from "../routing/elements.js";
import { NEVER } from "../time/instant.js";
import type { Writer } from "../wire/cursor.js";
import { encodeDescriptorPart } from "../wire/descriptor-frames.js";
import type { Addresses, LocalNac } from "./addresses.js";
import { type Plane, type Timed, timed } from "./plane.js";

/** The chains of a node, as far as descriptors speak of them (HashChains). */
export interface DescribedChains {
  isUnbound(destination: number): boolean;
  statement(destination: number, issuedSlot: number): EpochStatement | undefined;
  bind(nowUs: number, destination: number, descriptor: Descriptor): Verdict;
}

interface Signed {
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

/**
 * The descriptors of a node: makes those of the NACs that it is called by, one for each epoch and only when somebody asks, and
 * judges those of others. A signature takes milliseconds, so it is made by a timer, and whoever asked asks again.
 */
export class DescriptorDesk {
  private readonly plane: Plane;
  private readonly addresses: Addresses;
  private readonly chains: DescribedChains;
  private readonly signed = new Map<number, Signed>();
  /** NACs whose descriptor is to be made. */
  private readonly wanted = new Map<number, Identity>();
  private readonly due = { nextTimeoutUs: NEVER };
  private readonly signing: Timed;

  constructor(plane: Plane, addresses: Addresses, chains: DescribedChains) {
    this.plane = plane;
    this.addresses = addresses;
    this.chains = chains;
    this.signing = timed(plane, this.due, (now) => this.sign(now));
  }

  /** Whether what is held of the destination is taken on trust: its descriptor would bind it. */
  isUnbound(destination: number): boolean {
    return this.chains.isUnbound(destination);
  }

  /** Judges a descriptor that came in a session with the destination. `busy`: to be shown again soon. */
  judge(nowUs: number, destination: number, descriptor: Descriptor): Verdict {
    return this.chains.bind(nowUs, destination, descriptor);
  }

  /** Writes one part of the descriptor of an own NAC. False when it is not made yet, or not ours any more. */
  write(nowUs: number, destination: number, part: number, out: Writer): boolean {
    const local = this.addresses.called.find(({ number }) => number === destination);
    if (local === undefined) return false;
    const statement = this.chains.statement(destination, 0);
    if (statement === undefined) return false;
    const signed = this.signed.get(destination);
    if (signed === undefined || signed.epoch !== statement.epoch) {
      this.order(nowUs, local);
      return false;
    }
    encodeDescriptorPart(out, part, signed.epoch, signed.bytes);
    return true;
  }

  digest(into: Digest): void {
    into.number(this.signed.size).number(this.wanted.size);
  }

  private order(nowUs: number, { number, identity }: LocalNac): void {
    this.wanted.set(number, identity);
    this.due.nextTimeoutUs = Math.min(this.due.nextTimeoutUs, nowUs);
    this.plane.watch(this.signing);
  }

  private sign(nowUs: number): void {
    const { ports, session, time } = this.plane;
    for (const [destination, identity] of this.wanted) {
      const statement = this.chains.statement(destination, time.slot(nowUs));
      if (statement === undefined) continue;
      const bytes = signDescriptor(ports.suite, session.networkId, identity, statement);
      this.signed.set(destination, { epoch: statement.epoch, bytes });
    }
    this.wanted.clear();
    this.due.nextTimeoutUs = NEVER;
  }
}
