import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { trafficKeys } from "../../core/crypto/key-schedule.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import type { SessionLimits } from "../../core/session/limits.js";
import { Session, SessionFault } from "../../core/session/session.js";
import { POOL_PACKETS, POOL_PER_INDEX, POOL_WAIT_US, UnknownPool } from "../../core/session/unknown-pool.js";
import { NEVER } from "../../core/time/instant.js";
import { recordIndex } from "../../core/wire/record.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { opened, sealed, seededEntropy, talk } from "../support/handshake-pair.js";

const native = createNativeSuite();

function ends(
  options: { near?: CryptoSuite; far?: CryptoSuite; limits?: Partial<SessionLimits> } = {},
): [Session, Session] {
  const make = (suite: CryptoSuite, initiator: boolean) =>
    new Session(
      0,
      { suite, entropy: seededEntropy(initiator ? 1 : 2), networkId: new Uint8Array(32), limits: options.limits },
      trafficKeys(suite, new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)),
      { initiator, localIndex: initiator ? 11 : 22, peerIndex: initiator ? 22 : 11, returnNac: undefined },
    );
  return [make(options.near ?? nobleSuite, true), make(options.far ?? native, false)];
}

function digestOf(session: Session): string {
  const digest = new Digest();
  session.digest(digest);
  return digest.hex();
}

describe("a session", () => {
  test("opens at one end what the other sealed, whatever its length and in any order", () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 1171 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.infiniteStream(fc.nat()), (sizes, order) => {
        const [near, far] = ends();
        const packets = sizes.map((size, i) => ({
          number: i,
          text: new Uint8Array(size).fill(i),
          key: order.next().value!,
        }));
        const records = packets.map((packet) => ({ ...packet, record: sealed(near, packet.text) }));
        for (const { number, text, record } of records.toSorted((a, b) => a.key - b.key)) {
          expect(record.length).toBe(Session.recordBytes(text.length));
          expect(recordIndex(record, 0, record.length)).toBe(far.localIndex);
          expect(opened(far, record)).toEqual(text);
          expect(far.openedCounter).toBe(number);
        }
        expect(near.sealed).toBe(sizes.length);
        expect(far.opened).toBe(sizes.length);
      }),
      { numRuns: 40 },
    );
  });

  test("makes the same bytes with the noble and with the native suite", () => {
    const [byNoble] = ends({ near: nobleSuite });
    const [byNative] = ends({ near: native });
    for (let i = 0; i < 20; i += 1) {
      const text = seededEntropy(i)(i * 50);
      expect(sealed(byNoble, text)).toEqual(sealed(byNative, text));
    }
  });

  test("ignores a replayed packet: only the count of replays moves", () => {
    const [near, far] = ends();
    const records = [...Array(40).keys()].map((i) => sealed(near, Uint8Array.of(i)));
    for (const record of records) opened(far, record);
    const [, twin] = ends();
    for (const record of records) opened(twin, record);

    for (const record of records) {
      const copy = record.slice();
      expect(far.open(0, copy, 0, copy.length)).toBe(SessionFault.replay);
      expect(copy).toEqual(record);
    }
    expect(far.replays).toBe(records.length);
    expect(far.openedCounter).toBe(39);
    far.replays = 0;
    expect(digestOf(far)).toBe(digestOf(twin));
    expect(talk(near, far)).toBe(true);
  });

  test("refuses a record with any bit flipped, and the genuine one still opens afterwards", () => {
    const [near, far] = ends({ far: nobleSuite });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70 }), fc.nat(), (size, at) => {
        const text = new Uint8Array(size).fill(7);
        const record = sealed(near, text);
        const bit = at % (record.length * 8);
        const damaged = record.slice();
        damaged[bit >>> 3]! ^= 1 << (bit & 7);
        // A damaged counter may happen to name a packet that was received before.
        expect([SessionFault.forged, SessionFault.replay]).toContain(opened(far, damaged));
        expect(opened(far, record)).toEqual(text);
      }),
      { numRuns: 300 },
    );
  });

  test("refuses rubbish, records cut short and its own records sent back", () => {
    const [near, far] = ends();
    const record = sealed(near, new Uint8Array(60));
    for (let length = 0; length < 29; length += 1)
      expect(far.open(0, record.slice(), 0, length)).toBe(SessionFault.short);
    for (let length = 29; length < record.length; length += 1) {
      expect(far.open(0, record.slice(), 0, length)).toBe(SessionFault.forged);
    }
    expect(opened(near, record)).toBe(SessionFault.forged);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => typeof opened(far, noise) === "number"));
  });

  test("works at any place in a larger buffer and leaves the rest alone", () => {
    const [near, far] = ends();
    const buffer = new Uint8Array(300).fill(0xee);
    buffer.fill(5, 113, 133);
    expect(near.seal(buffer, 100, 20)).toBe(49);
    expect(far.open(0, buffer, 100, 49)).toBe(20);
    expect(buffer.subarray(113, 133)).toEqual(new Uint8Array(20).fill(5));
    expect(buffer.subarray(0, 100)).toEqual(new Uint8Array(100).fill(0xee));
    expect(buffer.subarray(149)).toEqual(new Uint8Array(151).fill(0xee));
  });

  test("hides its packet numbers: on the wire the counter does not count", () => {
    const [near] = ends({ near: native });
    const seen: number[] = [];
    for (let i = 0; i < 1000; i += 1) {
      const record = sealed(near, new Uint8Array(100));
      const view = new DataView(record.buffer, record.byteOffset);
      seen.push(view.getUint32(5) * 2 ** 32 + view.getUint32(9));
    }
    expect(new Set(seen).size).toBe(1000);
    const rising = seen.filter((value, i) => i > 0 && value > seen[i - 1]!).length;
    expect(rising).toBeGreaterThan(420); // 500 expected of random numbers, five standard deviations are 80
    expect(rising).toBeLessThan(580);
    const ones = seen.filter((value) => value >= 2 ** 63).length; // the top bit is zero in every counter
    expect(ones).toBeGreaterThan(420);
    expect(ones).toBeLessThan(580);
  });

  test("asks for a successor when half of its packet numbers are used, and seals none beyond the last", () => {
    const [near, far] = ends({ limits: { numbersMax: 32 } });
    for (let i = 0; i < 32; i += 1) {
      expect(near.wantsSuccessor).toBe(i >= 16);
      expect(near.canSeal).toBe(true);
      expect(opened(far, sealed(near, Uint8Array.of(i)))).toEqual(Uint8Array.of(i));
    }
    expect(far.wantsSuccessor).toBe(true);
    expect(near.canSeal).toBe(false);
    const out = new Uint8Array(64);
    expect(near.seal(out, 0, 10)).toBe(0);
    expect(out).toEqual(new Uint8Array(64));
    expect(near.sealed).toBe(32);
  });

  test("goes on beyond 2^32 packets: the upper byte of the number is sealed, opened and remembered too", () => {
    const [near, far] = ends({ near: native });
    near.sealed = 2 ** 32 - 2;
    const records = [...Array(4).keys()].map((i) => sealed(near, Uint8Array.of(i)));
    near.sealed = 2 ** 40 - 1;
    records.push(sealed(near, Uint8Array.of(4)));
    for (const [i, record] of records.entries()) expect(opened(far, record)).toEqual(Uint8Array.of(i));
    for (const record of records) expect(opened(far, record)).toBe(SessionFault.replay);
    expect(far.openedCounter).toBe(2 ** 40 - 1);
    expect(far.wantsSuccessor).toBe(true);
    expect(near.canSeal).toBe(false);
  });

  test("opens nothing more after as many forgeries as its limit allows, and asks for a successor before", () => {
    const [near, far] = ends({ limits: { forgedMax: 6 } });
    for (let i = 0; i < 6; i += 1) {
      expect(far.wantsSuccessor).toBe(i >= 3);
      const record = sealed(near, Uint8Array.of(i));
      record[record.length - 1]! ^= 1;
      expect(opened(far, record)).toBe(SessionFault.forged);
    }
    expect(opened(far, sealed(near, Uint8Array.of(9)))).toBe(SessionFault.forged);
    expect(far.forged).toBe(6); // what is not even tried is not counted
  });

  test("forgets everything when erased", () => {
    const [near, far] = ends();
    const record = sealed(far, Uint8Array.of(1));
    near.erase();
    expect(near.seal(new Uint8Array(64), 0, 1)).toBe(0);
    expect(opened(near, record)).toBe(SessionFault.forged);
  });
});

describe("the pool of packets whose session is not known yet", () => {
  const packet = (text: number) => Uint8Array.of(1, 2, text);
  const taken = (pool: UnknownPool, index: number) => {
    const out: number[][] = [];
    pool.take(index, (path, bytes, at, length) => out.push([path, ...bytes.subarray(at, at + length)]));
    return out;
  };

  test("hands them over in order of arrival, once", () => {
    const pool = new UnknownPool();
    for (let i = 0; i < 5; i += 1) pool.keep(i, 7, 40 + i, packet(i), 1, 2);
    pool.keep(9, 8, 50, packet(99), 0, 3);
    expect(taken(pool, 7)).toEqual([0, 1, 2, 3, 4].map((i) => [40 + i, 2, i]));
    expect(taken(pool, 7)).toEqual([]);
    expect(taken(pool, 8)).toEqual([[50, 1, 2, 99]]);
    expect(pool.size).toBe(0);
  });

  test("keeps the newest sixteen of one session", () => {
    const pool = new UnknownPool();
    for (let i = 0; i < 20; i += 1) pool.keep(i, 7, i, packet(i), 0, 3);
    expect(taken(pool, 7).map((entry) => entry[0])).toEqual([...Array(POOL_PER_INDEX).keys()].map((i) => i + 4));
    expect(pool.crowdedOut).toBe(4);
  });

  test("holds 256 in all, and then the oldest goes whoever it belongs to", () => {
    const pool = new UnknownPool();
    for (let i = 0; i < POOL_PACKETS + 10; i += 1) pool.keep(i, 100 + i, i, packet(i), 0, 3);
    expect(pool.size).toBe(POOL_PACKETS);
    expect(taken(pool, 109)).toEqual([]);
    expect(taken(pool, 110)).toHaveLength(1);
  });

  test("drops what waited 250 ms and says whose it was", () => {
    const pool = new UnknownPool();
    pool.keep(1000, 7, 70, packet(1), 0, 3);
    pool.keep(1500, 8, 80, packet(2), 0, 3);
    expect(pool.nextTimeoutUs).toBe(1000 + POOL_WAIT_US);
    const forgotten: number[][] = [];
    pool.handleTimeout(1000 + POOL_WAIT_US, (path, index) => forgotten.push([path, index]));
    expect(forgotten).toEqual([[70, 7]]);
    expect(pool.nextTimeoutUs).toBe(1500 + POOL_WAIT_US);
    pool.handleTimeout(2000 + POOL_WAIT_US, () => undefined);
    expect(pool.nextTimeoutUs).toBe(NEVER);
    expect(pool.expired).toBe(2);
  });

  test("never holds more than it may under any sequence of packets", () => {
    const step = fc.record({ index: fc.integer({ min: 1, max: 40 }), take: fc.boolean(), later: fc.nat(3000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const pool = new UnknownPool();
        let now = 0;
        for (const { index, take, later } of steps) {
          now += later;
          pool.handleTimeout(now, () => undefined);
          pool.keep(now, index, 0, packet(index), 0, 3);
          if (take && later % 7 === 0) {
            for (const entry of taken(pool, index)) expect(entry).toEqual([0, 1, 2, index]);
          }
          expect(pool.size).toBeLessThanOrEqual(POOL_PACKETS);
        }
        for (let index = 1; index <= 40; index += 1)
          expect(taken(pool, index).length).toBeLessThanOrEqual(POOL_PER_INDEX);
      }),
      { numRuns: 30 },
    );
  });
});
