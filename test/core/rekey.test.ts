import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { UPDATE_MAX } from "../../core/session/key-chain.js";
import { LIMITS, type SessionLimits } from "../../core/session/limits.js";
import { KEEP_OLD_US, OLD_KEYS_MAX } from "../../core/session/receive-keys.js";
import { ANSWER_PATIENCE_US, OFFER_REPEAT_MAX_US, OFFER_REPEAT_US } from "../../core/session/rekey.js";
import { type Session, SessionFault } from "../../core/session/session.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import { decodeRekeyAnswer, encodeRekeyAnswer, REKEY_ANSWER_BYTES } from "../../core/wire/rekey-answer.js";
import { decodeRekeyOffer, encodeRekeyOffer, REKEY_OFFER_BYTES } from "../../core/wire/rekey-offer.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { opened, sealed, talk } from "../support/handshake-pair.js";
import { NonceGuard } from "../support/nonce-guard.js";
import { hear, RekeySoak, RTT_US, rekeyFrame, sessionPair, TYPES } from "../support/rekey-pair.js";

const native = createNativeSuite();

function pair(limits: Partial<SessionLimits> = {}, suite: CryptoSuite = native) {
  return sessionPair({ suite, farSuite: nobleSuite, limits });
}

/** A record each way, at `nowUs`: what use is. */
function use({ near, far }: { near: Session; far: Session }, nowUs: number): void {
  expect(opened(far, sealed(near, Uint8Array.of(1)), nowUs)).toEqual(Uint8Array.of(1));
  expect(opened(near, sealed(far, Uint8Array.of(2)), nowUs)).toEqual(Uint8Array.of(2));
}

/** A whole round without loss, from the offer to the records that end it. */
function round(ends: { near: Session; far: Session }, nowUs: number): void {
  use(ends, nowUs);
  const offer = rekeyFrame(ends.near, nowUs);
  expect(offer?.[0]).toBe(TYPES.offer);
  expect(hear(ends.far, offer!)).toBe(true);
  expect(hear(ends.near, rekeyFrame(ends.far, nowUs)!)).toBe(true);
  use(ends, nowUs);
}

function digestOf(session: Session): string {
  const digest = new Digest();
  session.digest(digest);
  return digest.hex();
}

describe("a key update", () => {
  test("comes by itself after so many packets, in one direction, and the other end follows", () => {
    const guard = new NonceGuard(native);
    const { near, far } = pair({ keyUpdatePackets: 5 }, guard.suite);
    for (let i = 0; i < 23; i += 1) expect(opened(far, sealed(near, Uint8Array.of(i)))).toEqual(Uint8Array.of(i));
    expect(guard.keysOfRecords).toBe(5);
    expect(far.openedCounter).toBe(22); // packet numbers go on over all updates
    expect(talk(near, far)).toBe(true);
  });

  test("is followed even when every packet under many keys was lost", () => {
    const { near, far } = pair({ keyUpdatePackets: 2 });
    for (let i = 0; i < 2 * UPDATE_MAX; i += 1) sealed(near, Uint8Array.of(1));
    expect(talk(near, far)).toBe(true);
  });

  test("needs no round: a responder that is never asked goes on through all updates, then up to the hard limit", () => {
    const { near, far } = pair({ keyUpdatePackets: 4, packetsMax: 10 });
    const packets = 4 * UPDATE_MAX + 10;
    for (let i = 0; i < packets; i += 1) {
      expect(far.canSeal).toBe(true);
      expect(far.wantsSuccessor).toBe(i > 4 * 240);
      expect(opened(near, sealed(far, Uint8Array.of(i)))).toEqual(Uint8Array.of(i & 0xff));
    }
    expect(far.canSeal).toBe(false);
    expect(far.seal(new Uint8Array(64), 0, 1)).toBe(0);
    expect(near.wantsSuccessor).toBe(true);
  });

  test("a round sets its responder free again", () => {
    const ends = pair({ keyUpdatePackets: 4, packetsMax: 10, rekeySeconds: 1 });
    const { near, far } = ends;
    for (let i = 0; i < 4 * UPDATE_MAX + 10; i += 1) opened(near, sealed(far, Uint8Array.of(1)), 2 * SECOND_US);
    expect(far.canSeal).toBe(false);
    hear(far, rekeyFrame(near, 2 * SECOND_US)!);
    const answer = rekeyFrame(far)!;
    hear(near, answer);
    expect(opened(far, sealed(near, Uint8Array.of(1)), 2 * SECOND_US)).toEqual(Uint8Array.of(1));
    expect(far.canSeal).toBe(true);
    expect(far.wantsSuccessor).toBe(false);
    expect(talk(near, far)).toBe(true);
  });

  test("late packets of the keys before open for three seconds and not a moment longer", () => {
    for (const isErased of [false, true]) {
      const { near, far } = pair({ keyUpdatePackets: 4 });
      const late = [...Array(4).keys()].map((i) => sealed(near, Uint8Array.of(i)));
      expect(opened(far, sealed(near, Uint8Array.of(9)), SECOND_US)).toEqual(Uint8Array.of(9));
      expect(far.nextTimeoutUs).toBe(SECOND_US + KEEP_OLD_US);
      if (isErased) far.handleTimeout(SECOND_US + KEEP_OLD_US - 1);
      expect(opened(far, late[0]!, SECOND_US)).toEqual(Uint8Array.of(0));
      expect(opened(far, late[1]!, SECOND_US + KEEP_OLD_US - 1)).toEqual(Uint8Array.of(1));
      if (isErased) far.handleTimeout(SECOND_US + KEEP_OLD_US);
      expect(opened(far, late[2]!, SECOND_US + KEEP_OLD_US)).toBe(SessionFault.forged);
      expect(far.nextTimeoutUs).toBe(isErased ? NEVER : SECOND_US + KEEP_OLD_US);
      expect(talk(near, far)).toBe(true);
    }
  });

  test("many updates at once leave a bounded number of old keys", () => {
    const { near, far } = pair({ keyUpdatePackets: 2 });
    const held: Uint8Array[] = [];
    for (let update = 0; update <= OLD_KEYS_MAX + 1; update += 1) {
      held.push(sealed(near, Uint8Array.of(update)));
      opened(far, sealed(near, Uint8Array.of(99)));
    }
    const results = held.map((record) => opened(far, record));
    expect(results[0]).toBe(SessionFault.forged);
    for (const [i, result] of results.entries()) if (i > 0) expect(result).toEqual(Uint8Array.of(i));
  });
});

describe("a KEM round", () => {
  test("is due after 120 s of use and no sooner, and only the initiator begins it", () => {
    expect(LIMITS.rekeySeconds).toBe(120);
    const ends = pair();
    use(ends, 120 * SECOND_US - 1);
    expect(ends.near.owesRekey).toBe(false);
    use(ends, 120 * SECOND_US);
    expect(ends.near.owesRekey).toBe(true);
    expect(ends.far.owesRekey).toBe(false);
    round(ends, 120 * SECOND_US);
    expect([ends.near.round, ends.far.round]).toEqual([1, 1]);
    use(ends, 240 * SECOND_US - 1);
    expect(ends.near.owesRekey).toBe(false);
    round(ends, 240 * SECOND_US);
    expect([ends.near.round, ends.far.round]).toEqual([2, 2]);
  });

  test("is due after so many bytes in either direction", () => {
    for (const isUpload of [true, false]) {
      const ends = pair({ rekeyBytes: 1000 });
      const [from, to] = isUpload ? [ends.near, ends.far] : [ends.far, ends.near];
      for (let i = 0; i < 9; i += 1) opened(to, sealed(from, new Uint8Array(71))); // records of 100 bytes
      expect(ends.near.owesRekey).toBe(false);
      opened(to, sealed(from, new Uint8Array(71)));
      expect(ends.near.owesRekey).toBe(true);
      round(ends, 0);
      expect(ends.near.owesRekey).toBe(false);
    }
  });

  test("is due after 128 updates in either direction, so that lowered limits never use them up", () => {
    for (const isUpload of [true, false]) {
      const ends = pair({ keyUpdatePackets: 2 });
      const [from, to] = isUpload ? [ends.near, ends.far] : [ends.far, ends.near];
      for (let i = 0; i < 2 * 128; i += 1) opened(to, sealed(from, Uint8Array.of(i)));
      expect(ends.near.owesRekey).toBe(false);
      opened(to, sealed(from, Uint8Array.of(1)));
      expect(ends.near.owesRekey).toBe(true);
      round(ends, 0);
      expect(ends.near.owesRekey).toBe(false);
    }
  });

  test("does not wake an idle session", () => {
    const ends = pair();
    use(ends, SECOND_US);
    ends.near.handleTimeout(1000 * SECOND_US);
    expect(ends.near.owesRekey).toBe(false);
    expect(ends.near.nextTimeoutUs).toBe(NEVER);
  });

  test("stops no traffic: both ends talk before, between and after its messages, whatever of it is lost", () => {
    const ends = pair({ rekeySeconds: 1 });
    const { near, far } = ends;
    use(ends, SECOND_US);
    const offer = rekeyFrame(near, SECOND_US)!;
    use(ends, SECOND_US);
    hear(far, offer);
    use(ends, SECOND_US);
    const lost = rekeyFrame(far)!;
    use(ends, SECOND_US);
    near.handleTimeout(SECOND_US + OFFER_REPEAT_US);
    hear(far, rekeyFrame(near, SECOND_US + OFFER_REPEAT_US)!);
    const answer = rekeyFrame(far)!;
    expect(answer).toEqual(lost); // every repeat is answered by the same
    const early = sealed(far, Uint8Array.of(5)); // under the old keys, on its way meanwhile
    hear(near, answer);
    const first = sealed(near, Uint8Array.of(6));
    expect(opened(near, early, SECOND_US)).toEqual(Uint8Array.of(5));
    expect(opened(near, sealed(far, Uint8Array.of(7)), SECOND_US)).toEqual(Uint8Array.of(7));
    expect(far.round).toBe(0);
    expect(opened(far, first, SECOND_US)).toEqual(Uint8Array.of(6));
    expect(far.round).toBe(1);
    use(ends, SECOND_US);
    expect(near.round).toBe(1);
    expect(hear(far, offer)).toBe(true); // late repeats change nothing
    expect(hear(near, answer)).toBe(true);
    expect(rekeyFrame(far)).toBeUndefined();
    use(ends, SECOND_US);
  });

  test("late packets of the round before open for three seconds at both ends, and none after that", () => {
    const ends = pair({ rekeySeconds: 1 });
    const { near, far } = ends;
    const fromNear = [1, 2].map((i) => sealed(near, Uint8Array.of(i)));
    const fromFar = [1, 2].map((i) => sealed(far, Uint8Array.of(i)));
    round(ends, SECOND_US);
    for (const [session, late] of [[far, fromNear] as const, [near, fromFar] as const]) {
      expect(opened(session, late[0]!, SECOND_US + KEEP_OLD_US - 1)).toEqual(Uint8Array.of(1));
      session.handleTimeout(SECOND_US + KEEP_OLD_US);
      expect(opened(session, late[1]!, SECOND_US + KEEP_OLD_US)).toBe(SessionFault.forged);
      expect(opened(session, late[0]!, SECOND_US + KEEP_OLD_US)).toBe(SessionFault.replay);
    }
  });

  test("its offer is repeated after 0.5, 1, 2 .. 32 s for ever, byte for byte; a minute without answer asks for a successor", () => {
    const ends = pair();
    const { near, far } = ends;
    let nowUs = 120 * SECOND_US;
    use(ends, nowUs);
    const offer = rekeyFrame(near, nowUs)!;
    const gaps: number[] = [];
    let sentUs = nowUs;
    for (let step = 0; step < 10; step += 1) {
      nowUs = near.nextTimeoutUs;
      expect(near.wantsSuccessor).toBe(nowUs > 120 * SECOND_US + ANSWER_PATIENCE_US);
      near.handleTimeout(nowUs);
      const frame = rekeyFrame(near, nowUs);
      if (frame === undefined) {
        expect(nowUs).toBe(180 * SECOND_US); // of use without the round
        continue;
      }
      expect(frame).toEqual(offer);
      gaps.push(nowUs - sentUs);
      sentUs = nowUs;
    }
    expect(gaps.map((gap) => gap / SECOND_US)).toEqual([0.5, 1, 2, 4, 8, 16, 32, 32, 32]);
    expect(OFFER_REPEAT_MAX_US).toBe(32 * SECOND_US);
    expect(far.wantsSuccessor).toBe(false);
    use(ends, nowUs); // it goes on all the same

    hear(far, offer);
    hear(near, rekeyFrame(far)!);

    expect(near.wantsSuccessor).toBe(false);
    use(ends, nowUs);
    expect(near.round).toBe(1);
    expect(near.nextTimeoutUs).toBe(nowUs + KEEP_OLD_US);
  });

  test("a peer that answers and then stays with its old keys is left for a successor; one that is silent is not", () => {
    const ends = pair();
    const { near, far } = ends;
    let nowUs = 120 * SECOND_US;
    use(ends, nowUs);
    hear(far, rekeyFrame(near, nowUs)!);
    hear(near, rekeyFrame(far)!);
    near.handleTimeout(nowUs + 1000 * SECOND_US);
    expect(near.wantsSuccessor).toBe(false);
    nowUs += ANSWER_PATIENCE_US - 1;
    expect(opened(near, sealed(far, Uint8Array.of(1)), nowUs)).toEqual(Uint8Array.of(1));
    expect(near.wantsSuccessor).toBe(false);
    expect(opened(near, sealed(far, Uint8Array.of(2)), nowUs + 1)).toEqual(Uint8Array.of(2));
    expect(near.wantsSuccessor).toBe(true);
    expect(far.wantsSuccessor).toBe(false);
    use(ends, nowUs + 2);
    expect(near.wantsSuccessor).toBe(false);
  });

  test("its messages read back as they were written, and nothing shorter or of round 0 is one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff }), fc.nat(255), (number, byte) => {
        const offer = { round: number, publicKey: new Uint8Array(800).fill(byte) };
        const answer = { round: number, ciphertext: new Uint8Array(768).fill(byte) };
        const [offered, answered] = [new Uint8Array(REKEY_OFFER_BYTES), new Uint8Array(REKEY_ANSWER_BYTES)];
        encodeRekeyOffer(new Writer(offered), offer);
        encodeRekeyAnswer(new Writer(answered), answer);
        expect(decodeRekeyOffer(new Reader(offered))).toEqual(offer);
        expect(decodeRekeyAnswer(new Reader(answered))).toEqual(answer);
        expect(decodeRekeyOffer(new Reader(offered, 0, 801))).toBeUndefined();
        expect(decodeRekeyAnswer(new Reader(answered, 0, 769))).toBeUndefined();
        offered.fill(0, 0, 2);
        answered.fill(0, 0, 2);
        expect(decodeRekeyOffer(new Reader(offered))).toBeUndefined();
        expect(decodeRekeyAnswer(new Reader(answered))).toBeUndefined();
      }),
    );
  });

  test("a peer that breaks its rules is told apart, and changes no keys", () => {
    const ends = pair({ rekeySeconds: 1 });
    const { near, far } = ends;
    use(ends, SECOND_US);
    const offer = rekeyFrame(near, SECOND_US)!;
    const edited = (frame: Uint8Array, at: number, value: number) => frame.with(at, value);
    const before = digestOf(far);
    expect(hear(near, offer)).toBe(false); // offers are the initiator's to make
    expect(hear(far, offer.subarray(0, 802))).toBe(false); // cut short
    expect(hear(far, edited(offer, 2, 0))).toBe(false); // round 0
    expect(hear(far, edited(offer, 2, 2))).toBe(false); // not the next one
    expect(hear(far, new Uint8Array(803).fill(255).with(0, TYPES.offer).with(1, 0).with(2, 1))).toBe(false); // no key
    expect(hear(far, edited(new Uint8Array(771), 0, TYPES.answer))).toBe(false); // not the responder's to hear
    expect(digestOf(far)).toBe(before);
    expect(hear(far, offer)).toBe(true);
    const answer = rekeyFrame(far)!;
    const twice = digestOf(far);
    expect(hear(far, edited(offer, 700, offer[700]! ^ 1))).toBe(false); // a second key for the same round
    expect(digestOf(far)).toBe(twice);
    expect(hear(near, edited(answer, 2, 2))).toBe(false);
    expect(hear(near, answer.subarray(0, 770))).toBe(false);
    expect(hear(near, answer)).toBe(true);
    use(ends, SECOND_US);
    const { near: calm } = pair();
    expect(hear(calm, answer)).toBe(false); // to nothing that was asked
  });

  test("a wrong answer leaves two ends that do not understand each other, and nothing worse", () => {
    const ends = pair({ rekeySeconds: 1 });
    use(ends, SECOND_US);
    hear(ends.far, rekeyFrame(ends.near, SECOND_US)!);
    const answer = rekeyFrame(ends.far)!;
    expect(hear(ends.near, answer.with(300, answer[300]! ^ 1))).toBe(true); // implicit rejection: another secret
    expect(opened(ends.far, sealed(ends.near, Uint8Array.of(1)), SECOND_US)).toBe(SessionFault.forged);
    expect(opened(ends.near, sealed(ends.far, Uint8Array.of(1)), SECOND_US)).toEqual(Uint8Array.of(1));
  });

  test("the last rounds are not begun, and ask for a successor before", () => {
    const ends = pair({ rekeySeconds: 1 });
    const chain = (ends.near as unknown as { receiving: { chain: { round: number } } }).receiving.chain;
    chain.round = 0xffff - 512;
    expect(ends.near.wantsSuccessor).toBe(false);
    chain.round += 1;
    expect(ends.near.wantsSuccessor).toBe(true);
    chain.round = 0xffff;
    opened(ends.near, sealed(ends.far, Uint8Array.of(1)), SECOND_US);
    expect(ends.near.owesRekey).toBe(false);
  });
});

/** Every byte array that can be reached from `root`, in hexadecimal. */
function reachable(root: object): Set<string> {
  const seen = new Set<object>();
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof Uint8Array) found.add(Buffer.from(value).toString("hex"));
    else if (value instanceof Map) for (const entry of value) visit(entry);
    else if (!ArrayBuffer.isView(value)) for (const inner of Object.values(value)) visit(inner);
  };
  visit(root);
  return found;
}

describe("forward secrecy within a session", () => {
  /** The suite, with a copy of every secret it made, and of each key of a cipher. */
  function remembering() {
    const secrets: string[] = [];
    const keep = (secret: Uint8Array) => {
      secrets.push(Buffer.from(secret).toString("hex"));
      return secret;
    };
    const suite: CryptoSuite = {
      ...nobleSuite,
      expand: (key, info, length) => keep(nobleSuite.expand(key, info, length)),
      extract: (salt, key) => keep(nobleSuite.extract(salt, key)),
      aead: (key) => {
        keep(key.slice());
        return nobleSuite.aead(key);
      },
    };
    return { suite, secrets };
  }

  test("after a key update nothing that either end holds was there before, once three seconds are over", () => {
    const near = remembering();
    const far = remembering();
    const ends = sessionPair({ suite: near.suite, farSuite: far.suite, limits: { keyUpdatePackets: 4 } });
    const binding = Buffer.from(ends.near.binding).toString("hex");
    const salt = Buffer.from((ends.near as unknown as { rekey: { salt: Uint8Array } }).rekey.salt).toString("hex");
    for (let i = 0; i < 4; i += 1) opened(ends.far, sealed(ends.near, Uint8Array.of(i)));
    const held = [...near.secrets, ...far.secrets];
    for (let i = 0; i < 4; i += 1) {
      use(ends, SECOND_US); // the update of one direction after the other
      opened(ends.near, sealed(ends.far, Uint8Array.of(1)), SECOND_US);
    }
    ends.near.handleTimeout(SECOND_US + KEEP_OLD_US);
    ends.far.handleTimeout(SECOND_US + KEEP_OLD_US);

    for (const session of [ends.near, ends.far]) {
      const now = reachable(session);
      expect(now.size).toBeGreaterThan(5);
      for (const copy of held) {
        if (copy !== binding && copy !== salt) expect(now.has(copy)).toBe(false);
      }
    }
  });

  test("after a round not even the salt is left, and whoever knew all before it cannot follow", () => {
    const near = remembering();
    const ends = sessionPair({ suite: near.suite, limits: { rekeySeconds: 1 } });
    const binding = Buffer.from(ends.near.binding).toString("hex");
    const held = near.secrets.slice();
    round(ends, SECOND_US);
    ends.near.handleTimeout(SECOND_US + KEEP_OLD_US);
    const now = reachable(ends.near);
    for (const copy of held) if (copy !== binding) expect(now.has(copy)).toBe(false);
    const fresh = near.secrets.slice(held.length).filter((copy) => now.has(copy));
    expect(fresh.length).toBeGreaterThanOrEqual(5); // of the new round: keys and next secrets each way, and the salt
  });
});

describe("bad weather", () => {
  const LIMITS_OF_SOAK = { keyUpdatePackets: 64, rekeyBytes: 200_000 };

  test("10^5 cells with 10 % loss both ways: no key meets a nonce twice, and no rekey stops the flow for 2 RTT", () => {
    const guard = new NonceGuard(native);
    const soak = new RekeySoak({
      seed: "soak",
      suite: guard.suite,
      limits: LIMITS_OF_SOAK,
      loss: 0.1,
      duplication: 0.05,
      jitterUs: 8 * MILLISECOND_US,
    });
    soak.run(100_000);
    const { near, far } = soak;
    const rounds = near.session.round;
    const updates = guard.keysOfRecords - 2 * (rounds + 1);
    expect(rounds).toBeGreaterThanOrEqual(100);
    expect(updates).toBeGreaterThanOrEqual(100);
    expect(Math.abs(near.session.round - far.session.round)).toBeLessThanOrEqual(1);
    expect(guard.seals).toBeGreaterThan(100_000);
    expect(soak.lost).toBeGreaterThan(9000);
    expect(near.session.replays + far.session.replays).toBe(soak.duplicated);
    expect([near.session.forged, far.session.forged]).toEqual([0, 0]);
    expect(near.arrived.size + far.arrived.size).toBeGreaterThan(89_000);
    expect(Math.max(near.longestGapUs, far.longestGapUs)).toBeLessThan(2 * RTT_US);
  });

  test("the guard that watches them does catch a nonce used twice", () => {
    const guard = new NonceGuard(native);
    const { near } = sessionPair({ suite: guard.suite });
    sealed(near, Uint8Array.of(1));
    sealed(near, Uint8Array.of(2));
    near.sealed = 1; // the flaw
    expect(() => sealed(near, Uint8Array.of(3))).toThrow(
      /^sealed twice under key [0-9a-f]{64} and nonce [0-9a-f]{24}$/,
    );
  });

  test("the guard knows a key again whoever holds it", () => {
    const guard = new NonceGuard(native);
    const [one, other] = [sessionPair({ suite: guard.suite }), sessionPair({ suite: guard.suite })];
    sealed(one.near, Uint8Array.of(1));
    sealed(one.far, Uint8Array.of(1));
    expect(() => sealed(other.near, Uint8Array.of(1))).toThrow("sealed twice");
  });

  type Act =
    | { readonly kind: "send"; readonly isNear: boolean }
    | { readonly kind: "deliver" | "repeat" | "drop" | "forge"; readonly pick: number }
    | { readonly kind: "wait"; readonly ms: number };

  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), isNear: fc.boolean() }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom("deliver", "deliver", "deliver", "repeat", "drop", "forge"),
        pick: fc.nat(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 1500 }) }) },
  );

  test("any order of loss, repeats and forgeries of records, offers and answers leaves two ends that talk", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const guard = new NonceGuard(native);
        const { near, far } = sessionPair({ suite: guard.suite, limits: { keyUpdatePackets: 3, rekeySeconds: 1 } });
        const other = (session: Session) => (session === near ? far : near);
        const flying: { from: Session; content: Uint8Array; record: Uint8Array }[] = [];
        const heard: { by: Session; record: Uint8Array }[] = [];
        let nowUs = 0;
        let count = 0;
        const send = (from: Session) => {
          from.handleTimeout(nowUs);
          count += 1;
          const content = rekeyFrame(from, nowUs) ?? Uint8Array.of(9, count);
          flying.push({ from, content, record: sealed(from, content) });
        };
        const deliver = ({ from, content, record }: (typeof flying)[number], isSure: boolean) => {
          const to = other(from);
          const got = opened(to, record, nowUs);
          if (typeof got === "number") {
            // Only what came before, or is so late that its keys are gone.
            if (isSure) expect(got).toBe(SessionFault.replay);
            return;
          }
          expect(got).toEqual(content);
          heard.push({ by: to, record });
          if (content[0] !== 9) expect(hear(to, content)).toBe(true);
        };
        const step = (one: Act) => {
          if (one.kind === "wait") nowUs += one.ms * MILLISECOND_US;
          else if (one.kind === "send") send(one.isNear ? near : far);
          else if (flying.length > 0) {
            const at = one.pick % flying.length;
            const packet = flying[at]!;
            if (one.kind !== "repeat") flying.splice(at, 1);
            if (one.kind === "forge") {
              const to = other(packet.from);
              const before = digestOf(to);
              const forged = packet.record.slice();
              forged[5 + (one.pick % 8)]! ^= 1 << (one.pick % 7); // the counter, update and round in it
              expect(typeof opened(to, forged, nowUs)).toBe("number");
              to.forged = 0;
              to.replays = 0;
              expect(digestOf(to)).toBe(before);
            } else if (one.kind !== "drop") deliver(packet, false);
          }
          for (const { by, record } of heard.slice(-5)) {
            expect(opened(by, record, nowUs)).toBe(SessionFault.replay);
            by.replays = 0;
          }
          expect(Math.abs(near.round - far.round)).toBeLessThanOrEqual(1);
        };
        for (const one of acts) step(one);
        flying.length = 0; // the storm is over
        const before = near.round;
        for (let i = 0; i < 150 && near.round < before + 2; i += 1) {
          nowUs += 500 * MILLISECOND_US;
          for (const from of [near, far]) {
            send(from);
            deliver(flying.pop()!, true);
          }
        }
        expect(near.round).toBe(before + 2);
        expect(talk(near, far)).toBe(true);
        for (const { by, record } of heard) {
          // Whatever the keys are by now: never a second time.
          expect(opened(by, record, nowUs)).toBe(SessionFault.replay);
        }
      }),
      { numRuns: 80 },
    );
  });
});
