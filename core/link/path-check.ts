import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";

// Tuning constants.
const TRIES_MAX = 3;
const TRY_INTERVAL_US = 70 * MILLISECOND_US;
/** The path that carried the link so far gets this long, and two round trips, to show that it still does. */
const SILENCE_US = 200 * MILLISECOND_US;
/** How long an answer on the new path is waited for, beside two round trips. */
const ANSWER_US = SECOND_US;
/** Between the starts of two checks of one link, whoever causes them. */
const CHECK_SPACING_US = SECOND_US;
/** Answers of one link in a second: two checks of the neighbour may begin in it, each with three questions on two paths. */
const ANSWERS_MAX = 12;

/**
 *   settled   the neighbour is where it was
 *   checking  its newest record came from `path`: both paths are asked, that one with a token that must come back on it
 */
export type PathCheckState =
  | { readonly kind: "settled" }
  | {
      readonly kind: "checking";
      readonly path: number;
      /** Asked on `path`, and nowhere else. */
      readonly token: Uint8Array;
      /** Without an answer on the new path the check is over then. */
      readonly endUs: number;
      /** The old path must be silent until then. */
      readonly silentUntilUs: number;
      /** Of authentic records on `path`, not yet spent on challenges. */
      creditBytes: number;
      tries: number;
      tryUs: number;
      isAnswered: boolean;
    };

const SETTLED: PathCheckState = { kind: "settled" };

/** What to do about a check: ask again (`isNewToo`: the new path may be asked as well), or the neighbour has moved. */
export type PathCheckStep = { readonly kind: "ask"; readonly isNewToo: boolean } | { readonly kind: "moved" };

/**
 * Has a neighbour moved to another path, as one behind a NAT does without knowing it?
 *
 *   settled --(newest record from elsewhere)--> checking --(answered there, and silence on the old path)--> moved
 *      ^                                           |
 *      +--(the old path lives, or no answer)-------+
 *
 * Whoever copies records and is quicker than the originals also shows up "elsewhere", and may pass our question on to the
 * neighbour and his answer back to us. But the originals still arrive on the old path, if only as replays, and for as long
 * as anything does the link stays where it is (RFC 9000 section 9.3.3 has the attack). One check at a time, a few
 * datagrams each, never more bytes to the new path than came from it, answers to the neighbour's own questions included.
 */
export class PathCheck {
  state: PathCheckState = SETTLED;
  private restUntilUs: number = -NEVER;
  private answers = 0;
  private answersSinceUs: number = -NEVER;

  get nextTimeoutUs(): number {
    const { state } = this;
    if (state.kind === "settled") return NEVER;
    const endUs = state.isAnswered ? state.silentUntilUs : state.endUs;
    return Math.min(endUs, state.tries < TRIES_MAX ? state.tryUs : NEVER);
  }

  /** An authentic record of `bytes` came on `path`, which is not the link's. True when a check begins by it. */
  handleElsewhere(
    nowUs: number,
    args: { path: number; bytes: number; isNewest: boolean; rttUs: number; newToken: () => Uint8Array },
  ): boolean {
    const { state } = this;
    if (state.kind === "checking") {
      if (state.path === args.path) state.creditBytes += args.bytes;
      return false;
    }
    if (!args.isNewest || nowUs < this.restUntilUs) return false;
    this.restUntilUs = nowUs + CHECK_SPACING_US;
    this.state = {
      kind: "checking",
      path: args.path,
      token: args.newToken(),
      endUs: nowUs + ANSWER_US + 2 * args.rttUs,
      silentUntilUs: nowUs + SILENCE_US + 2 * args.rttUs,
      creditBytes: args.bytes,
      tries: 0,
      tryUs: nowUs,
      isAnswered: false,
    };
    return true;
  }

  /** The neighbour's newest record, or one that was copied on the way, came on the link's own path: it is still there. */
  handleHere(): void {
    this.state = SETTLED;
  }

  /** A PATH_RESPONSE came on `path`. */
  handleResponse(path: number, token: Uint8Array): void {
    const { state } = this;
    if (state.kind === "checking" && path === state.path && sameBytes(token, state.token)) state.isAnswered = true;
  }

  /** The neighbour asked. False when it got as many answers within a second as an honest one could want. */
  countAnswer(nowUs: number): boolean {
    if (nowUs - this.answersSinceUs >= SECOND_US) {
      this.answersSinceUs = nowUs;
      this.answers = 0;
    }
    if (this.answers >= ANSWERS_MAX) return false;
    this.answers += 1;
    return true;
  }

  /** May `bytes` go to `path`, which is not the link's? A record of `recordBytes` just came from there, and pays for it. */
  spend(path: number, recordBytes: number, bytes: number): boolean {
    const { state } = this;
    if (state.kind === "settled" || state.path !== path) return recordBytes >= bytes;
    if (state.creditBytes < bytes) return false;
    state.creditBytes -= bytes;
    return true;
  }

  /** `challengeBytes` is what one question costs on the wire. */
  handleTimeout(nowUs: number, challengeBytes: number): PathCheckStep | undefined {
    const { state } = this;
    if (state.kind === "settled" || nowUs < this.nextTimeoutUs) return undefined;
    if (state.isAnswered && nowUs >= state.silentUntilUs) {
      this.state = SETTLED;
      return { kind: "moved" };
    }
    if (nowUs >= state.endUs) {
      this.state = SETTLED;
      return undefined;
    }
    if (state.tries >= TRIES_MAX || nowUs < state.tryUs) return undefined;
    state.tries += 1;
    state.tryUs = nowUs + TRY_INTERVAL_US;
    const isNewToo = state.creditBytes >= challengeBytes;
    if (isNewToo) state.creditBytes -= challengeBytes;
    return { kind: "ask", isNewToo };
  }

  digest(into: Digest): void {
    const { state } = this;
    into.number(this.restUntilUs).number(this.answers).number(this.answersSinceUs);
    into.number(state.kind === "checking" ? state.path : -1);
    if (state.kind === "checking")
      into
        .number(state.tries)
        .number(state.creditBytes)
        .number(state.isAnswered ? 1 : 0);
  }
}
