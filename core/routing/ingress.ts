import type { Digest } from "../collections/digest.js";
import { RateLimit } from "../session/rate-limit.js";
import { SECOND_US } from "../time/instant.js";

/**
 * ROUTES messages processed per neighbour. Beyond: they wait, 64 of them, and the neighbour is told of none, so that it
 * sends nothing new once 256 are under way. A snapshot of 50,000 destinations takes two seconds.
 */
const MESSAGES_PER_SECOND = 1_000;
const MESSAGES_BURST = 1_000;

/**
 * Entries likewise: a whole table at once, and then three times what a neighbour can tell that keeps to the budget of its
 * own (control-budget.ts: 16 KB/s, some 20 bytes an entry). So who comes to the end of it broke that rule. An honest neighbour never
 * does, whatever others send it: what it passes on is bounded by its budget, not by theirs.
 */
const ENTRY_US = 400; // 2,500 in a second
/** A message counts as so many at least: of such that are nearly empty, too, the budget allows 125 in a second, a third of this. */
const MESSAGE_ENTRIES = 8;
const ENTRIES_BURST = 65_536;

/** What may fill the minute of a neighbour that is no longer believed, or no neighbour any more. */
const BREACH_SPACING_US = SECOND_US;
const BREACHES_MAX = 3;
const MINUTE_US = 60 * SECOND_US;

/**
 *   rate       more entries than its own budget allows it
 *   window     messages further ahead than any neighbour may be
 *   malformed  frames that are not of the protocol
 *   element    an advert that its origin never made
 */
export const BREACHES = ["rate", "window", "malformed", "element"] as const;
export type Breach = (typeof BREACHES)[number];

/** "believed"; "stub": what it says of itself counts, of others nothing; "banned": the link is to be closed. */
const STANDINGS = ["believed", "stub", "banned"] as const;
export type Standing = (typeof STANDINGS)[number];

/**
 * What one neighbour may make us do, and how it stands after it broke the rules of that: three breaches within a minute make
 * a stub of it, three more and it is banned. Breaches of one second are one. All of them are things that no honest neighbour does, whatever it
 * hears itself: honest nodes are not banned for the liars behind them.
 */
export class Ingress {
  private readonly messages = new RateLimit(MESSAGES_PER_SECOND, MESSAGES_BURST);
  /** When the allowance of entries is whole again. */
  private wholeUs = 0;
  private level = 0;
  private breaches = 0;
  private sinceUs = 0;
  private lastUs = -BREACH_SPACING_US;

  /** When the next message may be processed. */
  get nextUs(): number {
    return Math.max(this.messages.nextUs, this.entriesUs);
  }

  /** False when the next message must wait. */
  take(nowUs: number): boolean {
    return this.nextUs <= nowUs && this.messages.take(nowUs);
  }

  /** A message had so many entries. */
  charge(nowUs: number, entries: number): void {
    this.wholeUs = Math.max(this.wholeUs, nowUs) + Math.max(MESSAGE_ENTRIES, entries) * ENTRY_US;
  }

  /** It is the entries that make it wait. */
  get isSpent(): boolean {
    return this.entriesUs > this.messages.nextUs;
  }

  /** When entries may be processed. */
  private get entriesUs(): number {
    return this.wholeUs - ENTRIES_BURST * ENTRY_US;
  }

  get standing(): Standing {
    return STANDINGS[this.level]!;
  }

  /** False when it was counted for this second already. */
  blame(nowUs: number): boolean {
    if (nowUs - this.lastUs < BREACH_SPACING_US) return false;
    this.lastUs = nowUs;
    if (nowUs - this.sinceUs >= MINUTE_US) {
      this.sinceUs = nowUs;
      this.breaches = 0;
    }
    this.breaches += 1;
    if (this.breaches < BREACHES_MAX) return true;
    this.breaches = 0;
    this.level = Math.min(STANDINGS.length - 1, this.level + 1);
    return true;
  }

  digest(into: Digest): void {
    this.messages.digest(into);
    into.number(this.wholeUs).number(this.level).number(this.breaches).number(this.sinceUs).number(this.lastUs);
  }
}
