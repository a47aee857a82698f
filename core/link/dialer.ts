import type { Digest } from "../collections/digest.js";
import type { Initiator } from "../session/initiator.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";

/**
 * Keeps a link to one configured peer: asks for its link key, shakes hands, and tries again with growing pauses.
 *
 *   waiting --(pause over)--> asking --(key)--> shaking --(first record)--> linked
 *      ^                         |                  |                          |
 *      +-----------(no answer)---+------(failed)----+------(link lost)---------+
 *
 * A pinned peer is known by the hash of its link key. An unpinned one is whoever answers at that address: used, shown
 * as unpinned, never trusted for more than carrying.
 */
export type DialState =
  | { readonly kind: "waiting"; readonly untilUs: number }
  | { readonly kind: "asking"; readonly nonce: Uint8Array; attempts: number; untilUs: number }
  | { readonly kind: "shaking"; readonly initiator: Initiator }
  | { readonly kind: "linked" };

// Tuning constants.
const ASK_INTERVAL_US = 300 * MILLISECOND_US;
const ASK_ATTEMPTS = 4;
const PAUSE_FIRST_US = 500 * MILLISECOND_US;
const PAUSE_MAX_US = 30 * SECOND_US;
/** A hint that the peer lost our session is believed at most this often: anybody can send one. */
const HINT_INTERVAL_US = SECOND_US;

export type DialStep =
  | { readonly kind: "ask"; readonly nonce: Uint8Array }
  | { readonly kind: "flight"; readonly flight: Uint8Array }
  | { readonly kind: "failed" };

export class Dialer {
  readonly path: number;
  /** Hash of the peer's link key, 32 bytes; undefined for an unpinned peer. */
  pin: Uint8Array | undefined;
  state: DialState;

  private readonly random32: () => number;
  private readonly newNonce: () => Uint8Array;
  private pauseUs = PAUSE_FIRST_US;
  private hintUs = -HINT_INTERVAL_US;

  constructor(
    nowUs: number,
    args: { path: number; pin: Uint8Array | undefined; random32: () => number; newNonce: () => Uint8Array },
  ) {
    this.path = args.path;
    this.pin = args.pin;
    this.random32 = args.random32;
    this.newNonce = args.newNonce;
    this.state = { kind: "waiting", untilUs: nowUs };
  }

  /** The address was given once more, with a pin: it holds from now on, unless a key was taken on first use already. */
  tighten(pin: Uint8Array | undefined): void {
    if (this.state.kind === "waiting" || this.state.kind === "asking") this.pin ??= pin;
  }

  get nextTimeoutUs(): number {
    const { state } = this;
    if (state.kind === "linked") return NEVER;
    return state.kind === "shaking" ? state.initiator.nextTimeoutUs : state.untilUs;
  }

  /** What to send now, if anything. "failed": nobody answered; a pause has begun. */
  handleTimeout(nowUs: number): DialStep | undefined {
    if (nowUs < this.nextTimeoutUs) return undefined;
    switch (this.state.kind) {
      case "waiting": {
        const nonce = this.newNonce();
        this.state = { kind: "asking", nonce, attempts: 1, untilUs: nowUs + ASK_INTERVAL_US };
        return { kind: "ask", nonce };
      }
      case "asking": {
        if (this.state.attempts >= ASK_ATTEMPTS) return this.fail(nowUs);
        this.state.attempts += 1;
        this.state.untilUs = nowUs + ASK_INTERVAL_US;
        return { kind: "ask", nonce: this.state.nonce };
      }
      case "shaking": {
        const step = this.state.initiator.handleTimeout(nowUs);
        if (step === "failed") return this.fail(nowUs);
        return step === undefined ? undefined : { kind: "flight", flight: step };
      }
      case "linked":
        return undefined;
    }
  }

  /** The peer's key came and its INIT is on the way. */
  handleKey(initiator: Initiator): void {
    this.state = { kind: "shaking", initiator };
  }

  /** There is a link to look after: the one that was dialled, or one that the peer opened. */
  handleLinked(nowUs: number): void {
    this.hintUs = nowUs;
    this.state = { kind: "linked" };
  }

  /** The link works both ways: the next pause is short again. */
  handleUp(): void {
    this.pauseUs = PAUSE_FIRST_US;
  }

  /** The link is gone: dial again, after a pause that grows while nothing works, and not before `leastUs` went by. */
  handleLost(nowUs: number, leastUs = 0): void {
    this.pause(nowUs);
    if (this.state.kind === "waiting") this.state = { kind: "waiting", untilUs: this.state.untilUs + leastUs };
  }

  /** Dial at once, beside a link that still stands. False when hints came too quickly. */
  redial(nowUs: number): boolean {
    if (this.state.kind !== "linked" || nowUs - this.hintUs < HINT_INTERVAL_US) return false;
    this.hintUs = nowUs;
    this.state = { kind: "waiting", untilUs: nowUs };
    return true;
  }

  /** Somebody speaks to us from there: the pause is over. False when there is none, or this was heard too often. */
  hurry(nowUs: number): boolean {
    if (this.state.kind !== "waiting" || nowUs - this.hintUs < HINT_INTERVAL_US) return false;
    this.hintUs = nowUs;
    this.state = { kind: "waiting", untilUs: Math.min(nowUs, this.state.untilUs) };
    return true;
  }

  digest(into: Digest): void {
    into.number(this.path).number(STATES.indexOf(this.state.kind)).number(this.nextTimeoutUs);
    into.number(this.pauseUs).number(this.hintUs);
    if (this.state.kind === "asking") into.number(this.state.attempts);
    if (this.state.kind === "shaking") this.state.initiator.digest(into);
  }

  private fail(nowUs: number): DialStep {
    this.pause(nowUs);
    return { kind: "failed" };
  }

  private pause(nowUs: number): void {
    const jitterUs = this.random32() % Math.max(1, this.pauseUs >> 1);
    this.state = { kind: "waiting", untilUs: nowUs + (this.pauseUs >> 1) + jitterUs };
    this.pauseUs = Math.min(PAUSE_MAX_US, this.pauseUs * 2);
  }
}

// The numbers that stand for states in a digest.
const STATES: readonly DialState["kind"][] = ["waiting", "asking", "shaking", "linked"];
