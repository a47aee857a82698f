import type { Digest } from "../collections/digest.js";
import type { DirectionKeys, TrafficKeys } from "../crypto/key-schedule.js";
import { AEAD_NONCE_BYTES, type Aead, type CryptoSuite, type HeaderMask, MASK_SAMPLE_BYTES } from "../crypto/suite.js";
import { PacketType, TAG_BYTES } from "../wire/flight.js";
import {
  RECORD_COUNTER_OFFSET,
  RECORD_HEADER_BYTES,
  RECORD_INDEX_OFFSET,
  RECORD_OVERHEAD_BYTES,
} from "../wire/record.js";
import { ReplayWindow } from "./replay-window.js";

/** From here on the owner should move new streams to a successor session. RFC 9001 B.1 allows 2^28 packets of our size. */
export const KEY_UPDATE_PACKETS = 2 ** 22;
/** A session seals no more than this, and no genuine packet number reaches it. */
export const PACKETS_MAX = 2 ** 24;

/** What `Session.open` answers instead of a length. */
export const SessionFault = { forged: -1, replay: -2, short: -3 } as const;

export interface SessionEnds {
  readonly initiator: boolean;
  /** Our number for the session: the peer writes it into its records. */
  readonly localIndex: number;
  readonly peerIndex: number;
  /** At the responder, the return address sealed in INIT; undefined on links and at the initiator. */
  readonly returnNac: Uint8Array | undefined;
}

export interface SessionLimits {
  readonly keyUpdatePackets: number;
  /** At most 2^32. */
  readonly packetsMax: number;
}

const LIMITS: SessionLimits = { keyUpdatePackets: KEY_UPDATE_PACKETS, packetsMax: PACKETS_MAX };

// Scratch of one call, shared by all sessions: written in full before each use, so nothing is allocated per packet.
const nonce = new Uint8Array(AEAD_NONCE_BYTES);
const associated = new Uint8Array(RECORD_HEADER_BYTES);
const maskBytes = new Uint8Array(MASK_SAMPLE_BYTES);

/** The keys of one established session, link or end to end: seals and opens RECORDs (record.ts) in place. */
export class Session {
  readonly initiator: boolean;
  readonly localIndex: number;
  readonly peerIndex: number;
  readonly returnNac: Uint8Array | undefined;

  /** Packets sealed so far, which is the number the next one gets. */
  sealed = 0;
  /** Packets opened so far. */
  opened = 0;
  /** Number of the last packet that `open` opened. */
  openedCounter = -1;
  /** Packets refused because their number was received before, or is too old to tell. */
  replays = 0;
  /** Packets refused because their tag is wrong. */
  forged = 0;

  private readonly limits: SessionLimits;
  private readonly window = new ReplayWindow();
  private sending: Direction | undefined;
  private receiving: Direction | undefined;

  /** Takes over `keys`: they are erased once the ciphers hold them. */
  constructor(suite: CryptoSuite, keys: TrafficKeys, ends: SessionEnds, limits: SessionLimits = LIMITS) {
    this.initiator = ends.initiator;
    this.localIndex = ends.localIndex;
    this.peerIndex = ends.peerIndex;
    this.returnNac = ends.returnNac;
    this.limits = limits;
    this.sending = takeDirection(suite, ends.initiator ? keys.toResponder : keys.toInitiator);
    this.receiving = takeDirection(suite, ends.initiator ? keys.toInitiator : keys.toResponder);
    keys.rekey.fill(0);
  }

  /** Bytes of the record that holds `length` bytes of plaintext. */
  static recordBytes(length: number): number {
    return length + RECORD_OVERHEAD_BYTES;
  }

  /** True from 2^22 packets in either direction: time to open a successor for what starts now. */
  get wantsSuccessor(): boolean {
    return Math.max(this.sealed, this.opened) >= this.limits.keyUpdatePackets;
  }

  /** False when the session may seal nothing more: the hard limit is reached, or it was erased. */
  get canSeal(): boolean {
    return this.sending !== undefined && this.sealed < this.limits.packetsMax;
  }

  /**
   * Makes a record at `out[at]` of the plaintext that the caller already wrote at `out[at + 13, at + 13 + length)`.
   * Answers the bytes of the record, `length + 29`; 0 when `canSeal` is false.
   */
  seal(out: Uint8Array, at: number, length: number): number {
    const sending = this.sending;
    if (sending === undefined || this.sealed >= this.limits.packetsMax) return 0;
    const counter = this.sealed;
    this.sealed = counter + 1;
    out[at] = PacketType.record;
    writeU32(out, at + RECORD_INDEX_OFFSET, this.peerIndex);
    bind(sending.iv, out, at, counter);
    const body = at + RECORD_HEADER_BYTES;
    sending.aead.seal(nonce, associated, out, body, length);
    sending.mask.mask(out, body, maskBytes);
    for (let i = 0; i < 8; i += 1) {
      out[at + RECORD_COUNTER_OFFSET + i] = associated[RECORD_COUNTER_OFFSET + i]! ^ maskBytes[i]!;
    }
    return length + RECORD_OVERHEAD_BYTES;
  }

  /**
   * Opens the record at `data[at, at + length)` in place. Answers the length of the plaintext, which then stands at
   * `at + 13`, or a SessionFault. A replayed record leaves `data` and the session as they were but for a counter; a
   * forged one may leave rubbish in `data`.
   */
  open(data: Uint8Array, at: number, length: number): number {
    const receiving = this.receiving;
    if (length < RECORD_OVERHEAD_BYTES) return SessionFault.short;
    if (receiving === undefined) return SessionFault.forged;
    const body = at + RECORD_HEADER_BYTES;
    receiving.mask.mask(data, body, maskBytes);
    const counterAt = at + RECORD_COUNTER_OFFSET;
    const high = unmaskU32(data, counterAt, 0);
    const counter = unmaskU32(data, counterAt, 4);
    if (high !== 0 || counter >= this.limits.packetsMax) return this.refuseForged(); // nobody seals that many
    if (!this.window.isFresh(counter)) {
      this.replays += 1;
      return SessionFault.replay;
    }
    bind(receiving.iv, data, at, counter);
    if (!receiving.aead.open(nonce, associated, data, body, length - RECORD_HEADER_BYTES)) return this.refuseForged();
    this.window.mark(counter);
    this.opened += 1;
    this.openedCounter = counter;
    return length - RECORD_HEADER_BYTES - TAG_BYTES;
  }

  /** Forgets the keys: from now on nothing is sealed or opened. */
  erase(): void {
    this.sending?.iv.fill(0);
    this.receiving?.iv.fill(0);
    this.sending = undefined;
    this.receiving = undefined;
  }

  digest(into: Digest): void {
    into.number(this.localIndex).number(this.peerIndex).number(this.sealed).number(this.opened);
    into
      .number(this.openedCounter)
      .number(this.replays)
      .number(this.forged)
      .number(this.sending === undefined ? 0 : 1);
    this.window.digest(into);
  }

  private refuseForged(): number {
    this.forged += 1;
    return SessionFault.forged;
  }
}

interface Direction {
  readonly aead: Aead;
  readonly mask: HeaderMask;
  readonly iv: Uint8Array;
}

function takeDirection(suite: CryptoSuite, keys: DirectionKeys): Direction {
  const direction = { aead: suite.aead(keys.key), mask: suite.headerMask(keys.mask), iv: keys.iv.slice() };
  keys.key.fill(0);
  keys.mask.fill(0);
  keys.iv.fill(0);
  return direction;
}

/**
 * Fills `nonce` = iv XOR (4 zero bytes | counter) and `associated` = type | index | counter. Counters stay below 2^32
 * (packetsMax), so their upper four bytes are zero.
 */
function bind(iv: Uint8Array, record: Uint8Array, at: number, counter: number): void {
  for (let i = 0; i < RECORD_COUNTER_OFFSET; i += 1) associated[i] = record[at + i]!;
  writeU32(associated, RECORD_COUNTER_OFFSET, 0);
  writeU32(associated, RECORD_COUNTER_OFFSET + 4, counter);
  for (let i = 0; i < 8; i += 1) nonce[i] = iv[i]!;
  for (let i = 8; i < AEAD_NONCE_BYTES; i += 1) nonce[i] = iv[i]! ^ associated[i + 1]!;
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
