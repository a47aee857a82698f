import { utf8 } from "../address/text.js";
import type { Digest } from "../collections/digest.js";
import type { Initiator } from "../session/initiator.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import type { EndSession } from "./end-session.js";
import type { Plane, Timed } from "./plane.js";
import type { PingFailure } from "./ports.js";

/** How long whoever asked for a NAC is kept waiting. */
export const CONTACT_WAIT_US = 10 * SECOND_US;
const KEY_REPEAT_US = [250 * MILLISECOND_US, 500 * MILLISECOND_US, 1000 * MILLISECOND_US];

/** Why a contact came to nothing. */
export type ContactFault = Exclude<PingFailure, "timeout">;

/**
 * The way to an end-to-end session with one NAC, for the streams of one isolation tag.
 *
 *   idle --(wanted)--> seeking route --> asking for the key --> shaking hands --> open
 *
 * Everything that wants the NAC meanwhile waits here, at most ten seconds.
 */
export type ContactState =
  | { readonly kind: "idle" }
  | { readonly kind: "routing" }
  | { readonly kind: "asking"; readonly nonce: Uint8Array; attempts: number; untilUs: number }
  | { readonly kind: "shaking"; readonly initiator: Initiator; readonly sinceUs: number; isRepeated: boolean }
  | { readonly kind: "open"; readonly end: EndSession };

/** What waits for a session. */
export type Wish =
  | { readonly kind: "stream"; readonly stream: number; readonly port: number }
  | { readonly kind: "flow"; readonly flow: number }
  | { readonly kind: "ping"; readonly id: number };

export class Contact implements Timed {
  /** The NAC's number. */
  readonly destination: number;
  /** Streams of another tag never come here; empty when the application gave none. */
  readonly isolation: string;
  timer: number;
  state: ContactState = { kind: "idle" };
  /** H over the NAC's keys, 32 bytes, once they are known: what a long name is compared with. */
  nacHash: Uint8Array | undefined;
  readonly wishes: { readonly wish: Wish; readonly untilUs: number; readonly nacHash: Uint8Array | undefined }[] = [];
  private readonly onTimeout: (nowUs: number, contact: Contact) => void;

  constructor(
    plane: Plane,
    destination: number,
    isolation: string,
    onTimeout: (nowUs: number, contact: Contact) => void,
  ) {
    this.destination = destination;
    this.isolation = isolation;
    this.onTimeout = onTimeout;
    this.timer = plane.enrol(this);
  }

  get nextTimeoutUs(): number {
    const patienceUs = this.wishes[0]?.untilUs ?? NEVER;
    if (this.state.kind === "asking") return Math.min(patienceUs, this.state.untilUs);
    if (this.state.kind === "shaking") return Math.min(patienceUs, this.state.initiator.nextTimeoutUs);
    return patienceUs;
  }

  handleTimeout(nowUs: number): void {
    this.onTimeout(nowUs, this);
  }

  /** Enters or goes on with the asking: the next request leaves now. */
  ask(nowUs: number, nonce: Uint8Array): void {
    const attempts = this.state.kind === "asking" ? this.state.attempts : 0;
    const gapUs = KEY_REPEAT_US[Math.min(attempts, KEY_REPEAT_US.length - 1)]!;
    this.state = { kind: "asking", nonce, attempts: attempts + 1, untilUs: nowUs + gapUs };
  }

  digest(into: Digest): void {
    into.number(STATES.indexOf(this.state.kind)).number(this.nextTimeoutUs).number(this.wishes.length);
    into.bytes(utf8(this.isolation));
    if (this.state.kind === "asking") into.bytes(this.state.nonce).number(this.state.attempts);
    if (this.state.kind === "shaking") this.state.initiator.digest(into);
    for (const { untilUs } of this.wishes) into.number(untilUs);
  }

  /** What the wait has come to, in words for whoever waited. */
  get fault(): ContactFault {
    if (this.state.kind === "asking") return "noKey";
    return this.state.kind === "shaking" ? "handshake" : "noRoute";
  }
}

// The numbers that stand for states in a digest.
const STATES: readonly ContactState["kind"][] = ["idle", "routing", "asking", "shaking", "open"];
