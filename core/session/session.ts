import type { Digest } from "../collections/digest.js";
import { type RoundKeys, roundKeys, sessionBinding, type TrafficKeys } from "../crypto/key-schedule.js";
import { AEAD_NONCE_BYTES, type CryptoSuite, type HeaderMask, MASK_SAMPLE_BYTES } from "../crypto/suite.js";
import { NEVER } from "../time/instant.js";
import type { Reader, Writer } from "../wire/cursor.js";
import { PacketType, TAG_BYTES } from "../wire/flight.js";
import {
  RECORD_COUNTER_OFFSET,
  RECORD_HEADER_BYTES,
  RECORD_INDEX_OFFSET,
  RECORD_OVERHEAD_BYTES,
} from "../wire/record.js";
import type { SessionContext } from "./context.js";
import { eraseIv, KeyChain, type PacketKeys, UPDATE_MAX, updateOf } from "./key-chain.js";
import { LIMITS, type SessionLimits } from "./limits.js";
import { ReceiveKeys } from "./receive-keys.js";
import { ANSWER_PATIENCE_US, Rekey, type RekeyMessage, type RekeyTypes } from "./rekey.js";
import { ReplayWindow } from "./replay-window.js";

/** What `Session.open` answers instead of a length. */
export const SessionFault = { forged: -1, replay: -2, short: -3 } as const;

/** Two bytes of the counter tell the round; the last one has no successor. */
const ROUND_MAX = 0xffff;
/** This near the end of its rounds, or of the updates of one, a session wants a successor. */
const ROUNDS_SPARE = 512;
const UPDATES_SPARE = 16;
/** With so many updates in one direction a round is due, however short it was: its updates must not run out. */
const UPDATES_ENOUGH = 128;
const U32 = 0x1_0000_0000;
const SECONDS = 1_000_000;

export interface SessionEnds {
  readonly initiator: boolean;
  /** Our number for the session: the peer writes it into its records. */
  readonly localIndex: number;
  readonly peerIndex: number;
  /** At the responder, the return address sealed in INIT; undefined on links and at the initiator. */
  readonly returnNac: Uint8Array | undefined;
}

// Scratch of one call, shared by all sessions: written in full before each use, so nothing is allocated per packet.
const nonce = new Uint8Array(AEAD_NONCE_BYTES);
const associated = new Uint8Array(RECORD_HEADER_BYTES);
const maskBytes = new Uint8Array(MASK_SAMPLE_BYTES);

/**
 * The keys of one established session, link or end to end: seals and opens RECORDs (record.ts) in place. Keys change by
 * themselves, one by one in each direction (key updates) and both together when the ends exchanged a new secret (rounds,
 * rekey.ts); neither stops the traffic.
 *
 * After each input of the owner: `pollRekey` until it is false, then ask `nextTimeoutUs`.
 */
export class Session {
  readonly initiator: boolean;
  readonly localIndex: number;
  readonly peerIndex: number;
  readonly returnNac: Uint8Array | undefined;
  /** 32 secret bytes that only the two ends of this very session know: what a MERGE proves to hold (wire/merge.ts). */
  readonly binding: Uint8Array;

  /** Packets sealed so far, which is the number the next one gets. */
  sealed = 0;
  /** Packets opened so far. */
  opened = 0;
  /** Number of the last packet that `open` opened. */
  openedCounter = -1;
  /** Packets refused because their number was received before, or is too old to tell. */
  replays = 0;
  /** Packets refused because their tag is wrong, or their key is erased or unknown. */
  forged = 0;

  private readonly suite: CryptoSuite;
  private readonly limits: SessionLimits;
  /** Packets under one key before the next takes over. */
  private readonly updateAt: number;
  private readonly window = new ReplayWindow();
  private readonly rekey: Rekey;
  private readonly sendMask: HeaderMask;
  private readonly receiveMask: HeaderMask;

  private sendChain: KeyChain;
  /** Undefined when erased. */
  private sending: PacketKeys | undefined;
  /** At the responder: to send under once something came under the keys of that round. */
  private sendNext: KeyChain | undefined;
  private receiving: ReceiveKeys | undefined;
  /** Those of `receiving` that are in use. */
  private opening: PacketKeys;
  /** Packets sealed under `sending`. */
  private sealedUnder = 0;

  // Since the last round.
  private roundUs: number;
  private sentBytes = 0;
  private receivedBytes = 0;
  /** When the last packet was opened: a session that nobody uses needs no new keys. */
  private openedUs: number;
  /** At the initiator, when the answer of the newest round came. */
  private answeredUs: number;

  // What `rekey` and `receiving` say, asked anew by `refresh` when they changed: each packet needs it.
  private timeoutUs: number = NEVER;
  private hasMessage = false;
  private isUnanswered = false;
  private hasEntered = false;

  /** Takes over `keys`: they are erased once the ciphers hold them. */
  constructor(nowUs: number, context: SessionContext, keys: TrafficKeys, ends: SessionEnds) {
    const { suite, entropy } = context;
    this.initiator = ends.initiator;
    this.localIndex = ends.localIndex;
    this.peerIndex = ends.peerIndex;
    this.returnNac = ends.returnNac;
    this.suite = suite;
    this.limits = context.limits === undefined ? LIMITS : { ...LIMITS, ...context.limits };
    this.updateAt = Math.min(this.limits.keyUpdatePackets, this.limits.packetsMax);
    this.roundUs = nowUs;
    this.openedUs = nowUs;
    this.answeredUs = nowUs;
    const toResponder = suite.headerMask(keys.maskToResponder);
    const toInitiator = suite.headerMask(keys.maskToInitiator);
    this.sendMask = ends.initiator ? toResponder : toInitiator;
    this.receiveMask = ends.initiator ? toInitiator : toResponder;
    const round = roundKeys(suite, keys.roundSecret);
    this.binding = sessionBinding(suite, keys.roundSecret);
    keys.maskToResponder.fill(0);
    keys.maskToInitiator.fill(0);
    keys.roundSecret.fill(0);
    const [send, receive] = this.chainsOf(0, round);
    this.sendChain = send;
    this.sending = send.keysOf(0);
    send.pass(0);
    this.receiving = new ReceiveKeys(receive);
    this.opening = this.receiving.current;
    this.rekey = new Rekey(suite, entropy, round.salt);
  }

  /** Bytes of the record that holds `length` bytes of plaintext. */
  static recordBytes(length: number): number {
    return length + RECORD_OVERHEAD_BYTES;
  }

  /** The round that both ends are known to be in. */
  get round(): number {
    return this.receiving?.round ?? 0;
  }

  /**
   * Time to open another session for what starts now: half of the numbers are used or half of the forgeries came, rounds
   * or updates run out, or the peer takes no part in new rounds.
   */
  get wantsSuccessor(): boolean {
    const { sending, receiving, opening, limits } = this;
    if (sending === undefined || receiving === undefined) return true;
    const number = Math.max(this.sealed, this.openedCounter);
    const update = Math.max(updateOf(sending.id), updateOf(opening.id));
    return (
      number >= limits.numbersMax / 2 ||
      update > UPDATE_MAX - UPDATES_SPARE ||
      receiving.round > ROUND_MAX - ROUNDS_SPARE ||
      this.forged >= limits.forgedMax / 2 ||
      this.isUnanswered ||
      // It answered, and a minute later still sends under the old keys though it had time to hear us under the new ones.
      (this.hasEntered && this.openedUs - this.answeredUs >= ANSWER_PATIENCE_US)
    );
  }

  /** False when the session may seal nothing more: a hard limit is reached, or it was erased. */
  get canSeal(): boolean {
    if (this.sending === undefined || this.sealed >= this.limits.numbersMax) return false;
    return this.sealedUnder < this.limits.packetsMax || updateOf(this.sending.id) < UPDATE_MAX;
  }

  /**
   * Leaves out the next packet number: no record will ever carry it, so a peer that claims to have received it lies. At the
   * last numbers it does nothing.
   */
  skip(): void {
    if (this.sealed < this.limits.numbersMax) this.sealed += 1;
  }

  /**
   * Makes a record at `out[at]` of the plaintext that the caller already wrote at `out[at + 13, at + 13 + length)`.
   * Answers the bytes of the record, `length + 29`; 0 when `canSeal` is false.
   */
  seal(out: Uint8Array, at: number, length: number): number {
    if (this.sealedUnder >= this.updateAt) this.updateSending();
    const keys = this.sending;
    if (keys === undefined || this.sealedUnder >= this.limits.packetsMax) return 0;
    const number = this.sealed;
    if (number >= this.limits.numbersMax) return 0;
    const total = length + RECORD_OVERHEAD_BYTES;
    this.sealed = number + 1;
    this.sealedUnder += 1;
    this.sentBytes += total;
    out[at] = PacketType.record;
    writeU32(out, at + RECORD_INDEX_OFFSET, this.peerIndex);
    bind(keys, out, at, counterHigh(keys.id, number), number);
    const body = at + RECORD_HEADER_BYTES;
    keys.aead.seal(nonce, associated, out, body, length);
    this.sendMask.mask(out, body, maskBytes);
    for (let i = 0; i < 8; i += 1) {
      out[at + RECORD_COUNTER_OFFSET + i] = associated[RECORD_COUNTER_OFFSET + i]! ^ maskBytes[i]!;
    }
    return total;
  }

  /**
   * Opens the record at `data[at, at + length)` in place. Answers the length of the plaintext, which then stands at
   * `at + 13`, or a SessionFault. A replayed record leaves `data` and the session as they were but for a counter; a
   * forged one may leave rubbish in `data`.
   */
  open(nowUs: number, data: Uint8Array, at: number, length: number): number {
    const receiving = this.receiving;
    if (length < RECORD_OVERHEAD_BYTES) return SessionFault.short;
    if (receiving === undefined || this.forged >= this.limits.forgedMax) return SessionFault.forged;
    const body = at + RECORD_HEADER_BYTES;
    this.receiveMask.mask(data, body, maskBytes);
    const counterAt = at + RECORD_COUNTER_OFFSET;
    const high = unmaskU32(data, counterAt, 0);
    const low = unmaskU32(data, counterAt, 4);
    const number = (high & 0xff) === 0 ? low : (high & 0xff) * U32 + low;
    if (!this.window.isFresh(number)) {
      this.replays += 1;
      return SessionFault.replay;
    }
    const id = high >>> 8;
    const keys = id === this.opening.id ? this.opening : receiving.find(nowUs, id);
    if (keys === undefined) return this.refuseForged();
    bind(keys, data, at, high, low);
    if (!keys.aead.open(nonce, associated, data, body, length - RECORD_HEADER_BYTES)) return this.refuseForged();
    this.window.mark(number);
    if (keys !== this.opening) this.adopt(nowUs, receiving, keys);
    this.opened += 1;
    this.openedCounter = number;
    this.openedUs = nowUs;
    this.receivedBytes += length;
    return length - RECORD_HEADER_BYTES - TAG_BYTES;
  }

  /** When `handleTimeout` is due: an offer is to be repeated, or old keys are to be erased. */
  get nextTimeoutUs(): number {
    return this.timeoutUs;
  }

  handleTimeout(nowUs: number): void {
    if (nowUs < this.timeoutUs) return;
    this.receiving?.handleTimeout(nowUs);
    this.rekey.handleTimeout(nowUs);
    this.refresh();
  }

  /** True when `pollRekey` would write something. Cheap enough to be asked for each packet. */
  get owesRekey(): boolean {
    return this.hasMessage || this.isRoundDue;
  }

  /** Writes the message of a round that is due, its type byte before it; false when none is. Lost ones are repeated. */
  pollRekey(nowUs: number, out: Writer, types: RekeyTypes): boolean {
    if (this.isRoundDue) this.rekey.begin(nowUs, this.round + 1);
    const isWritten = this.rekey.poll(out, types);
    this.refresh();
    return isWritten;
  }

  /** The message of a round, its type byte already read. False when the peer breaks the rules. */
  handleRekey(message: RekeyMessage, input: Reader): boolean {
    const { receiving } = this;
    if (receiving === undefined || this.initiator === (message === "offer")) return false;
    const { round } = receiving;
    const outcome = message === "offer" ? this.rekey.handleOffer(round, input) : this.rekey.handleAnswer(round, input);
    this.refresh();
    if (outcome === "violation") return false;
    if (outcome === "known") return true;
    const [send, receive] = this.chainsOf(round + 1, outcome);
    receiving.expect(receive);
    if (this.initiator) {
      this.answeredUs = this.openedUs;
      this.sendUnder(send);
    } else this.sendNext = send;
    return true;
  }

  /** Forgets the keys: from now on nothing is sealed or opened. */
  erase(): void {
    this.binding.fill(0);
    if (this.sending !== undefined) eraseIv(this.sending);
    this.sendChain.erase();
    this.sendNext?.erase();
    this.receiving?.erase();
    this.rekey.erase();
    this.sending = undefined;
    this.sendNext = undefined;
    this.receiving = undefined;
    this.refresh();
  }

  digest(into: Digest): void {
    into.number(this.localIndex).number(this.peerIndex).number(this.sealed).number(this.opened);
    into.number(this.openedCounter).number(this.replays).number(this.forged).number(this.sealedUnder);
    into
      .number(this.roundUs)
      .number(this.openedUs)
      .number(this.answeredUs)
      .number(this.sentBytes)
      .number(this.receivedBytes);
    into.number(this.sending === undefined ? -1 : this.sending.id).number(this.sendNext === undefined ? 0 : 1);
    this.receiving?.digest(into);
    this.rekey.digest(into);
    this.window.digest(into);
  }

  /** Only the initiator asks, and only when the round before is over for both. */
  private get isRoundDue(): boolean {
    const { limits, sending, receiving } = this;
    if (!this.initiator || sending === undefined || receiving === undefined) return false;
    const isWorn =
      this.openedUs - this.roundUs >= limits.rekeySeconds * SECONDS ||
      this.sentBytes >= limits.rekeyBytes ||
      this.receivedBytes >= limits.rekeyBytes ||
      updateOf(sending.id) >= UPDATES_ENOUGH ||
      updateOf(this.opening.id) >= UPDATES_ENOUGH;
    return isWorn && this.rekey.isResting && receiving.round < ROUND_MAX && this.canSeal;
  }

  private adopt(nowUs: number, receiving: ReceiveKeys, keys: PacketKeys): void {
    if (receiving.adopt(nowUs, keys)) this.settleRound(nowUs);
    this.opening = receiving.current;
    this.refresh();
  }

  private refresh(): void {
    const { rekey, receiving } = this;
    this.timeoutUs = Math.min(rekey.nextTimeoutUs, receiving?.nextTimeoutUs ?? NEVER);
    this.hasMessage = rekey.isDue;
    this.isUnanswered = rekey.isOverdue;
    this.hasEntered = rekey.hasEntered;
  }

  /** Something came under the keys of the new round, so both ends have them. */
  private settleRound(nowUs: number): void {
    this.rekey.settle();
    this.roundUs = nowUs;
    this.sentBytes = 0;
    this.receivedBytes = 0;
    if (this.sendNext === undefined) return;
    this.sendUnder(this.sendNext);
    this.sendNext = undefined;
  }

  /** The keys of the next update; under the last one the session seals on, up to the hard limit. */
  private updateSending(): void {
    if (this.sending === undefined) return;
    const update = updateOf(this.sending.id) + 1;
    if (update > UPDATE_MAX) return;
    this.takeKeys(update);
  }

  private sendUnder(chain: KeyChain): void {
    this.sendChain.erase();
    this.sendChain = chain;
    this.takeKeys(0);
  }

  private takeKeys(update: number): void {
    if (this.sending !== undefined) eraseIv(this.sending);
    this.sending = this.sendChain.keysOf(update);
    this.sendChain.pass(update);
    this.sealedUnder = 0;
  }

  /** For sending and for receiving. */
  private chainsOf(round: number, keys: RoundKeys): [KeyChain, KeyChain] {
    const toResponder = new KeyChain(this.suite, round, keys.toResponder);
    const toInitiator = new KeyChain(this.suite, round, keys.toInitiator);
    return this.initiator ? [toResponder, toInitiator] : [toInitiator, toResponder];
  }

  private refuseForged(): number {
    this.forged += 1;
    return SessionFault.forged;
  }
}

/** round u16 | update u8 | the upper byte of the number. */
function counterHigh(id: number, number: number): number {
  return ((id << 8) | (number < U32 ? 0 : Math.floor(number / U32))) >>> 0;
}

/** Fills `nonce` = iv XOR (4 zero bytes | counter) and `associated` = type | index | counter. */
function bind(keys: PacketKeys, record: Uint8Array, at: number, high: number, low: number): void {
  for (let i = 0; i < RECORD_COUNTER_OFFSET; i += 1) associated[i] = record[at + i]!;
  writeU32(associated, RECORD_COUNTER_OFFSET, high);
  writeU32(associated, RECORD_COUNTER_OFFSET + 4, low);
  writeU32(nonce, 0, keys.iv0);
  writeU32(nonce, 4, keys.iv1 ^ high);
  writeU32(nonce, 8, keys.iv2 ^ low);
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function unmaskU32(data: Uint8Array, counterAt: number, i: number): number {
  const p = counterAt + i;
  return (
    (((data[p]! ^ maskBytes[i]!) << 24) |
      ((data[p + 1]! ^ maskBytes[i + 1]!) << 16) |
      ((data[p + 2]! ^ maskBytes[i + 2]!) << 8) |
      (data[p + 3]! ^ maskBytes[i + 3]!)) >>>
    0
  );
}
