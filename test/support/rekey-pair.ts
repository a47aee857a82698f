import { trafficKeys } from "../../core/crypto/key-schedule.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import type { SessionLimits } from "../../core/session/limits.js";
import { Session, SessionFault } from "../../core/session/session.js";
import { MILLISECOND_US } from "../../core/time/instant.js";
import { CELL_BYTES } from "../../core/wire/cell.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { seededEntropy } from "./handshake-pair.js";
import { type Random, randomFrom } from "./random.js";

export const TYPES = { offer: 1, answer: 2 } as const;
const DATA = 3;
/** What the way costs each way, jitter aside. */
export const DELAY_US = 10 * MILLISECOND_US;
export const RTT_US = 2 * DELAY_US;

/** Two ends of one session, as their handshake would leave them. */
export function sessionPair(options: {
  suite: CryptoSuite;
  farSuite?: CryptoSuite;
  limits?: Partial<SessionLimits>;
  nowUs?: number;
  seed?: number;
}): { near: Session; far: Session } {
  const { suite, farSuite = suite, limits, nowUs = 0, seed = 1 } = options;
  const make = (own: CryptoSuite, initiator: boolean) =>
    new Session(
      nowUs,
      { suite: own, entropy: seededEntropy(2 * seed + (initiator ? 0 : 1)), networkId: new Uint8Array(32), limits },
      trafficKeys(own, new Uint8Array(32).fill(seed), new Uint8Array(32).fill(2)),
      { initiator, localIndex: initiator ? 11 : 22, peerIndex: initiator ? 22 : 11, returnNac: undefined },
    );
  return { near: make(suite, true), far: make(farSuite, false) };
}

/** The rekey message that is due, its type byte before it; undefined when none is. */
export function rekeyFrame(session: Session, nowUs = 0): Uint8Array | undefined {
  const out = new Writer(new Uint8Array(1000));
  return session.pollRekey(nowUs, out, TYPES) ? out.bytes.slice(0, out.offset) : undefined;
}

/** Hands a rekey message to the other end as if it had come in a record. */
export function hear(session: Session, frame: Uint8Array): boolean {
  const input = new Reader(frame);
  return session.handleRekey(input.u8() === TYPES.offer ? "offer" : "answer", input);
}

interface Flying {
  readonly dueUs: number;
  readonly to: End;
  readonly bytes: Uint8Array;
}

interface End {
  readonly session: Session;
  sent: number;
  /** By the number that the sender wrote into it. */
  readonly arrived: Set<number>;
  lastUs: number;
  longestGapUs: number;
}

export interface Weather {
  readonly seed: string;
  readonly suite: CryptoSuite;
  readonly limits: Partial<SessionLimits>;
  /** Shares out of 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly jitterUs: number;
}

/** Both ends of a session send a cell each millisecond through bad weather, for ever, and look after their keys. */
export class RekeySoak {
  nowUs = 0;
  lost = 0;
  duplicated = 0;
  readonly near: End;
  readonly far: End;
  private readonly weather: Weather;
  private readonly random: Random;
  private readonly flying: Flying[][] = [];

  constructor(weather: Weather) {
    this.weather = weather;
    this.random = randomFrom(weather.seed);
    const { near, far } = sessionPair({ suite: weather.suite, limits: weather.limits });
    const end = (session: Session): End => ({ session, sent: 0, arrived: new Set(), lastUs: 0, longestGapUs: 0 });
    this.near = end(near);
    this.far = end(far);
  }

  /** Until both have sent `cells` in all. */
  run(cells: number): void {
    while (this.near.sent + this.far.sent < cells) this.step(true);
    for (let i = 0; i < 100; i += 1) this.step(false); // what is under way arrives
  }

  private step(isSending: boolean): void {
    this.nowUs += MILLISECOND_US;
    const slot = this.flying.shift() ?? [];
    slot.sort((a, b) => a.dueUs - b.dueUs);
    for (const { to, bytes } of slot) this.arrive(to, bytes);
    for (const [from, to] of [
      [this.near, this.far],
      [this.far, this.near],
    ] as const) {
      if (from.session.nextTimeoutUs <= this.nowUs) from.session.handleTimeout(this.nowUs);
      if (from.session.owesRekey) this.transmit(to, this.sealed(from, rekeyFrame(from.session, this.nowUs)!));
      if (!isSending) continue;
      const cell = new Uint8Array(5);
      new Writer(cell).u8(DATA).u32(from.sent);
      from.sent += 1;
      this.transmit(to, this.sealed(from, cell));
    }
  }

  private sealed(from: End, content: Uint8Array): Uint8Array {
    const record = new Uint8Array(Session.recordBytes(CELL_BYTES));
    record.set(content, RECORD_HEADER_BYTES);
    if (from.session.seal(record, 0, CELL_BYTES) === 0) throw new Error("the session seals no more");
    return record;
  }

  private transmit(to: End, bytes: Uint8Array): void {
    const { loss, duplication, jitterUs } = this.weather;
    if (this.random.chance(loss)) {
      this.lost += 1;
      return;
    }
    const copies = this.random.chance(duplication) ? 2 : 1;
    this.duplicated += copies - 1;
    for (let i = 0; i < copies; i += 1) {
      const dueUs = this.nowUs + DELAY_US + this.random.below(jitterUs + 1);
      const slot = Math.floor((dueUs - this.nowUs) / MILLISECOND_US);
      while (this.flying.length <= slot) this.flying.push([]);
      this.flying[slot]!.push({ dueUs, to, bytes: i === 0 ? bytes : bytes.slice() });
    }
  }

  private arrive(to: End, bytes: Uint8Array): void {
    const length = to.session.open(this.nowUs, bytes, 0, bytes.length);
    if (length === SessionFault.replay) return;
    if (length !== CELL_BYTES) throw new Error(`a genuine record gave ${length} at ${this.nowUs} us`);
    const input = new Reader(bytes, RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
    const type = input.u8();
    if (type === DATA) {
      const number = input.u32();
      if (to.arrived.has(number)) throw new Error(`cell ${number} arrived twice`);
      to.arrived.add(number);
      to.longestGapUs = Math.max(to.longestGapUs, this.nowUs - to.lastUs);
      to.lastUs = this.nowUs;
    } else if (!to.session.handleRekey(type === TYPES.offer ? "offer" : "answer", input)) {
      throw new Error("an honest peer broke the rules");
    }
  }
}
