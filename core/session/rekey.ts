/**
 * KEM rounds: new keys for a session that stands, so that whoever stole its old ones reads no further.
 *
 *   initiator                                                responder
 *       |  OFFER  round, ek      every 0.5 s * 2^k until         |
 *       |------------------------------------------------------->|  keeps the new keys ready, sends under the old
 *       |  ANSWER round, ct      again for each repeat           |
 *       |<-------------------------------------------------------|
 *       |  records under the new keys                            |
 *       |------------------------------------------------------->|  sends under the new ones as well
 *       |<-------------------------------------------------------|
 *
 * Only the end that opened the session begins a round, and only when the one before it is over for both: so two never
 * overlap. Neither end waits with its traffic. A responder that is never asked goes on by key updates.
 */
import { sameBytes } from "../collections/bytes.js";
import type { Digest } from "../collections/digest.js";
import { nextRoundSecret, type RoundKeys, roundKeys } from "../crypto/key-schedule.js";
import { type CryptoSuite, type Entropy, KEM_SEED_BYTES } from "../crypto/suite.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../time/instant.js";
import { type Reader, Writer } from "../wire/cursor.js";
import { decodeRekeyAnswer, encodeRekeyAnswer, REKEY_ANSWER_BYTES } from "../wire/rekey-answer.js";
import { decodeRekeyOffer, encodeRekeyOffer, REKEY_OFFER_BYTES } from "../wire/rekey-offer.js";

/** The offer is repeated after this, then after twice as long each time, up to the longest; it is never given up. */
export const OFFER_REPEAT_US = 500 * MILLISECOND_US;
export const OFFER_REPEAT_MAX_US = 32 * SECOND_US;
/** Nobody answers a round for so long: 180 s of use without one, and time for another session. */
export const ANSWER_PATIENCE_US = 60 * SECOND_US;

const ENCAPSULATION_BYTES = KEM_SEED_BYTES / 2;

export type RekeyMessage = "offer" | "answer";

/** The type bytes of the two messages where they travel: other ones in control records than in cells. */
export type RekeyTypes = Readonly<Record<RekeyMessage, number>>;

/** What became of a message: keys of the next round, nothing, or a peer that breaks the rules. */
export type RekeyOutcome = RoundKeys | "known" | "violation";

type State =
  | { readonly kind: "resting" }
  /** Initiator: an offer is out. */
  | {
      readonly kind: "offered";
      readonly round: number;
      readonly offer: Uint8Array;
      readonly secretKey: Uint8Array;
      readonly sinceUs: number;
      gapUs: number;
      nextUs: number;
    }
  /** Responder: answered, and nothing came under the new keys yet. */
  | { readonly kind: "answered"; readonly round: number; readonly offer: Uint8Array; readonly answer: Uint8Array }
  /** Initiator: sends under the new keys, and nothing came under them yet. */
  | { readonly kind: "entered"; readonly round: number };

export class Rekey {
  /** Nobody answered for a minute: the owner had better open another session. An answer that comes later ends it. */
  isOverdue = false;
  private readonly suite: CryptoSuite;
  private readonly entropy: Entropy;
  /** N of the newest round that was agreed on. */
  private salt: Uint8Array;
  private state: State = { kind: "resting" };
  private due: RekeyMessage | undefined;

  /** Takes over `salt`, N_0. */
  constructor(suite: CryptoSuite, entropy: Entropy, salt: Uint8Array) {
    this.suite = suite;
    this.entropy = entropy;
    this.salt = salt;
  }

  /** True when no round is under way. */
  get isResting(): boolean {
    return this.state.kind === "resting";
  }

  /** True when we send under new keys and nothing came under them yet. */
  get hasEntered(): boolean {
    return this.state.kind === "entered";
  }

  /** True when `poll` has a message. */
  get isDue(): boolean {
    return this.due !== undefined;
  }

  get nextTimeoutUs(): number {
    if (this.state.kind !== "offered") return NEVER;
    return this.isOverdue ? this.state.nextUs : Math.min(this.state.nextUs, this.state.sinceUs + ANSWER_PATIENCE_US);
  }

  handleTimeout(nowUs: number): void {
    const state = this.state;
    if (state.kind !== "offered") return;
    if (nowUs - state.sinceUs >= ANSWER_PATIENCE_US) this.isOverdue = true;
    if (nowUs < state.nextUs) return;
    state.gapUs = Math.min(2 * state.gapUs, OFFER_REPEAT_MAX_US);
    state.nextUs = nowUs + state.gapUs;
    this.due = "offer";
  }

  /** Begins `round`; only while resting. */
  begin(nowUs: number, round: number): void {
    const seed = this.entropy(KEM_SEED_BYTES);
    const { publicKey, secretKey } = this.suite.kemKeys(seed);
    seed.fill(0);
    const offer = new Uint8Array(REKEY_OFFER_BYTES);
    encodeRekeyOffer(new Writer(offer), { round, publicKey });
    const gapUs = OFFER_REPEAT_US;
    this.state = { kind: "offered", round, offer, secretKey, sinceUs: nowUs, gapUs, nextUs: nowUs + gapUs };
    this.due = "offer";
  }

  /** At the responder. `round` is the one in use. */
  handleOffer(round: number, input: Reader): RekeyOutcome {
    const at = input.offset;
    const offered = decodeRekeyOffer(input);
    if (offered === undefined) return "violation";
    if (offered.round <= round) return "known"; // a repeat that was late
    if (offered.round !== round + 1) return "violation";
    const offer = input.bytes.slice(at, at + REKEY_OFFER_BYTES);
    if (this.state.kind === "answered") {
      if (!sameBytes(this.state.offer, offer)) return "violation"; // one key for one round
      this.due = "answer";
      return "known";
    }
    const randomness = this.entropy(ENCAPSULATION_BYTES);
    const kem = this.suite.kemEncapsulate(offered.publicKey, randomness);
    randomness.fill(0);
    if (kem === undefined) return "violation";
    const answer = new Uint8Array(REKEY_ANSWER_BYTES);
    encodeRekeyAnswer(new Writer(answer), { round: offered.round, ciphertext: kem.ciphertext });
    this.state = { kind: "answered", round: offered.round, offer, answer };
    this.due = "answer";
    return this.advance(kem.secret, offer, answer);
  }

  /** At the initiator. */
  handleAnswer(round: number, input: Reader): RekeyOutcome {
    const at = input.offset;
    const answered = decodeRekeyAnswer(input);
    if (answered === undefined) return "violation";
    if (answered.round <= round) return "known";
    const state = this.state;
    if (state.kind === "entered" && state.round === answered.round) return "known"; // a repeat that was late
    if (state.kind !== "offered" || state.round !== answered.round) return "violation";
    const secret = this.suite.kemDecapsulate(answered.ciphertext, state.secretKey);
    state.secretKey.fill(0);
    this.state = { kind: "entered", round: state.round };
    this.isOverdue = false;
    this.due = undefined;
    return this.advance(secret, state.offer, input.bytes.subarray(at, at + REKEY_ANSWER_BYTES));
  }

  /** The first record of the new round opened: it is over for both. */
  settle(): void {
    this.state = { kind: "resting" };
    this.due = undefined;
  }

  /** Writes the message that is due, its type byte before it. False when none is. */
  poll(out: Writer, types: RekeyTypes): boolean {
    const { state, due } = this;
    if (due === undefined) return false;
    this.due = undefined;
    if (due === "offer" && state.kind === "offered") out.u8(types.offer).raw(state.offer);
    else if (due === "answer" && state.kind === "answered") out.u8(types.answer).raw(state.answer);
    else return false;
    return true;
  }

  erase(): void {
    this.salt.fill(0);
    if (this.state.kind === "offered") this.state.secretKey.fill(0);
    this.settle();
  }

  digest(into: Digest): void {
    into.number(["resting", "offered", "answered", "entered"].indexOf(this.state.kind));
    into.number(this.state.kind === "resting" ? 0 : this.state.round).number(this.nextTimeoutUs);
    into.number(this.isOverdue ? 1 : 0).number(this.isDue ? 1 : 0);
  }

  /** The keys of the next round; its secret and the salt that led to it are erased. */
  private advance(secret: Uint8Array, offer: Uint8Array, answer: Uint8Array): RoundKeys {
    const { suite } = this;
    const roundSecret = nextRoundSecret(suite, this.salt, secret);
    const keys = roundKeys(suite, roundSecret, suite.hash(offer, answer));
    secret.fill(0);
    roundSecret.fill(0);
    this.salt.fill(0);
    this.salt = keys.salt;
    return keys;
  }
}
