import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { mac1Of } from "../../core/crypto/key-schedule.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { BiscuitKeys, KEEP_US, SERVE_US } from "../../core/session/biscuit-keys.js";
import type { Initiator } from "../../core/session/initiator.js";
import { Responder } from "../../core/session/responder.js";
import type { Session } from "../../core/session/session.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { RECORD_OVERHEAD_BYTES } from "../../core/wire/record.js";
import { OBSERVED_NOTHING } from "../../core/wire/resp.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import {
  anyNac,
  END_BYTES,
  expectAnswer,
  HandshakePair,
  INITIATOR_PARAMS,
  LINK_BYTES,
  opened,
  PATH_TAG,
  RESPONDER_PARAMS,
  sealed,
  seededEntropy,
  talk,
} from "../support/handshake-pair.js";

const native = createNativeSuite();
const SIZES = [LINK_BYTES, END_BYTES];

function digestOf(state: { digest(into: Digest): void }): string {
  const digest = new Digest();
  state.digest(digest);
  return digest.hex();
}

/** mac1 is keyed by public bytes, so whoever changes an INIT can make it right again. */
function withMac1(pair: HandshakePair, init: Uint8Array): Uint8Array {
  const covered = init.length - 32;
  init.set(mac1Of(nobleSuite, nobleSuite.hash(pair.keys.publicKey), init, 0, covered), covered);
  return init;
}

describe.each(SIZES)("an undisturbed handshake of %i-byte flights", (flightBytes) => {
  test("gives both ends the same keys, and each what the other grants", () => {
    const pair = new HandshakePair({ flightBytes, initiatorSuite: native });
    const { initiator, init, resp, conf, near, far } = pair.connect();
    expect([init.length, resp.length, conf.length]).toEqual([flightBytes, flightBytes, flightBytes]);
    expect(talk(near, far)).toBe(true);
    expect([near.localIndex, near.peerIndex]).toEqual([far.peerIndex, far.localIndex]);
    expect(initiator.peerParams).toEqual(RESPONDER_PARAMS);
    expect([near.initiator, far.initiator]).toEqual([true, false]);
  });

  test("brings the sealed return address, and only there", () => {
    const returnNac = anyNac(seededEntropy(77));
    const { answer, far, near } = new HandshakePair({ flightBytes, returnNac, responderSuite: native }).connect();
    expect(answer.returnNac).toEqual(returnNac);
    expect(far.returnNac).toEqual(returnNac);
    expect(near.returnNac).toBeUndefined();
    expect(new HandshakePair({ flightBytes, responderSuite: native }).connect().far.returnNac).toBeUndefined();
  });
});

test("CONF tells the responder what the initiator grants, RESP tells the initiator its address", () => {
  const pair = new HandshakePair({ responderSuite: native });
  const initiator = pair.initiator();
  const init = initiator.start(0)!;
  const observed = { family: 4 as const, address: Uint8Array.from({ length: 16 }, (_, i) => i), port: 4242 };
  const { flight } = expectAnswer(pair.responder.handleInit(0, init, 0, init.length, PATH_TAG, observed, () => 5));
  const conf = initiator.handleResp(0, flight, 0, flight.length)!;
  expect(initiator.observed).toEqual(observed);
  expect(pair.conf(0, conf)).toMatchObject({ peerParams: INITIATOR_PARAMS });
});

test("the noble and the native suite shake hands in every combination, flight by flight the same bytes", () => {
  const flights = [nobleSuite, native].flatMap((initiatorSuite) =>
    [nobleSuite, native].map((responderSuite: CryptoSuite) => {
      const { init, resp, conf, near, far } = new HandshakePair({ initiatorSuite, responderSuite }).connect();
      expect(talk(near, far)).toBe(true);
      return [init, resp, conf];
    }),
  );
  for (const other of flights) expect(other).toEqual(flights[0]);
});

test("the flights of MQ1 version 1 are frozen", () => {
  const entropyOnly = { seed: 20_26, flightBytes: END_BYTES, returnNac: anyNac(seededEntropy(1)) };
  const { init, resp, conf, near, far } = new HandshakePair(entropyOnly).connect(SECOND_US);
  const there = sealed(near, Uint8Array.of(1, 2, 3));
  const back = sealed(far, Uint8Array.of(4, 5));
  const hex = (bytes: Uint8Array) => Buffer.from(nobleSuite.hash(bytes)).toString("hex");
  expect([init, resp, conf, there, back].map(hex)).toMatchInlineSnapshot(`
    [
      "4d1cacfa39060b50705e481f5ea2a3285e1fb1d5431324cae8efc4b51832e279",
      "b7124b413e39827b95024ab8521002af45d3049c502dbce0b64df0b7fe277608",
      "805bac0c5c7b63fbd48c6186d11564bd04a68260c0336dede988090bf701f2f2",
      "57aeeba2d9f336b278dec0bf8b04bd452a4a482898e307bcd81f00955dac904c",
      "2405e53b0d4e6ebb240e18b2cd240b9e4c6b4fb9e647a88d802267c40047f23f",
    ]
  `);
});

test("the flights and traffic keys follow the written key schedule, recomputed here from the primitives alone", () => {
  const { hash, extract, expand } = nobleSuite;
  const label = (text: string) => new Uint8Array(Buffer.from(text));
  const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
  const unseal = (key: Uint8Array, associated: Uint8Array, bytes: Uint8Array) => {
    const out = bytes.slice();
    expect(nobleSuite.aead(key).open(new Uint8Array(12), associated, out, 0, out.length)).toBe(true);
    return out.subarray(0, -16);
  };
  const pair = new HandshakePair({ seed: 1, flightBytes: END_BYTES, returnNac: anyNac(seededEntropy(4)) });
  const { init, resp, conf, near, far } = pair.connect();
  // The initiator draws, in this order: its index, randomness for ct_s, its X25519 secret, randomness for ct_e.
  const drawn = seededEntropy(2);
  const [indexI, , ephemeralI, randomness] = [drawn(4), drawn(32), drawn(32), drawn(32)];

  const th0 = hash(label("MQ1"), Uint8Array.of(1, 1), hash(label("mq/network/1test")), hash(pair.keys.publicKey));
  const th1 = hash(th0, init.subarray(0, 808));
  const staticSecret = nobleSuite.kemDecapsulate(init.slice(8, 776), pair.keys.secretKey);
  const ck1 = extract(hash(th0), staticSecret).slice(0, 32);
  const initBody = unseal(expand(ck1, join(label("mq1 init"), th1), 32), th1, init.subarray(808, -32));
  expect(initBody.subarray(0, 4)).toEqual(indexI);
  expect(initBody.subarray(4, 20)).toEqual(far.returnNac);
  const mac1 = hash(label("mq1 mac1"), hash(pair.keys.publicKey), init.subarray(0, -32)).subarray(0, 16);
  expect(init.subarray(-32)).toEqual(join(mac1, new Uint8Array(16)));

  const th1c = hash(th1, init.subarray(808, -32));
  const shared = nobleSuite.x25519Shared(ephemeralI!, resp.slice(8, 40))!;
  const ck2 = extract(ck1, shared).slice(0, 32);
  const thr = hash(th1c, resp.subarray(0, 40));
  const respBody = unseal(expand(ck2, join(label("mq1 resp"), thr), 32), thr, resp.subarray(40));
  const th2 = hash(thr, respBody.subarray(0, 4), respBody.subarray(137));
  expect(resp.subarray(4, 8)).toEqual(indexI);

  expect(conf.subarray(4, 141)).toEqual(respBody.subarray(0, 137)); // idx_R and biscuit come back as they were
  const { ciphertext, secret } = nobleSuite.kemEncapsulate(respBody.slice(137, 937), randomness!)!;
  expect(conf.subarray(141, 909)).toEqual(ciphertext);
  const ck3 = extract(ck2, secret).slice(0, 32);
  const th3 = hash(th2, conf.subarray(0, 909));
  unseal(expand(ck3, join(label("mq1 conf"), th3), 32), th3, conf.subarray(909));
  const th4 = hash(th3, conf.subarray(909));
  const traffic = expand(ck3, join(label("mq1 traffic"), th4), 96);
  const roundSecret = traffic.slice(64);
  expect(near.binding).toEqual(expand(roundSecret, label("mq1 binding"), 32));

  for (const [session, name, at] of [[near, "mq1 to responder", 0] as const, [far, "mq1 to initiator", 32] as const]) {
    const keys = expand(expand(roundSecret, label(name), 32), label("mq1 packet"), 44);
    sealed(session, Uint8Array.of(0));
    const record = sealed(session, Uint8Array.of(7, 8, 9)); // packet number 1
    const [key, iv, hp] = [keys.slice(0, 32), keys.slice(32), traffic.slice(at, at + 32)];
    const mask = new Uint8Array(16);
    nobleSuite.headerMask(hp).mask(record, 13, mask);
    const header = record.slice(0, 13).map((byte, i) => (i < 5 ? byte : byte ^ mask[i - 5]!));
    expect(header.subarray(5)).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1));
    iv[11]! ^= 1;
    const body = record.slice(13);
    expect(nobleSuite.aead(key).open(iv, header, body, 0, body.length)).toBe(true);
    expect(body.subarray(0, 3)).toEqual(Uint8Array.of(7, 8, 9));
  }
});

describe("a hostile network", () => {
  type Act =
    | { kind: "deliver"; pick: number }
    | { kind: "drop"; pick: number }
    | { kind: "duplicate"; pick: number }
    | { kind: "flip"; pick: number; at: number }
    | { kind: "inject"; noise: Uint8Array; type: number }
    | { kind: "wait"; ms: number };

  const pick = fc.nat(1000);
  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant("deliver" as const), pick }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("drop" as const), pick }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("duplicate" as const), pick }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("flip" as const), pick, at: fc.nat(1200 * 8) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("inject" as const),
        noise: fc.uint8Array({ minLength: 1100, maxLength: 1200 }),
        type: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 900 }) }) },
  );

  /** One handshake over a network that does `acts` and then, if `heals`, delivers everything. */
  class Storm {
    readonly pair: HandshakePair;
    readonly initiator: Initiator;
    readonly far: Session[] = [];
    confirmed = false;
    failed = false;
    private nowUs = 0;
    /** In flight: whom it goes to, and the bytes. */
    private air: { to: "initiator" | "responder"; bytes: Uint8Array }[] = [];

    constructor(flightBytes: number, seed: number) {
      this.pair = new HandshakePair({ flightBytes, seed, responderSuite: native });
      this.initiator = this.pair.initiator();
      this.send("responder", this.initiator.start(0)!);
    }

    do(act: Act): void {
      if (act.kind === "wait") {
        this.wait(act.ms);
        return;
      }
      if (act.kind === "inject") {
        const noise = act.noise.slice();
        noise[0] = act.type;
        this.receive("initiator", noise);
        this.receive("responder", noise);
        return;
      }
      if (this.air.length === 0) return;
      const at = act.pick % this.air.length;
      const packet = this.air[at]!;
      if (act.kind === "duplicate") {
        this.air.push({ ...packet });
        return;
      }
      this.air.splice(at, 1);
      if (act.kind === "drop") return;
      if (act.kind === "flip") {
        const bit = act.at % (packet.bytes.length * 8);
        packet.bytes = packet.bytes.slice();
        packet.bytes[bit >>> 3]! ^= 1 << (bit & 7);
      }
      this.receive(packet.to, packet.bytes);
    }

    /** Everything arrives from now on, until the attempt is decided. */
    heal(): void {
      for (let step = 0; step < 40 && !this.failed; step += 1) {
        while (this.air.length > 0) this.do({ kind: "deliver", pick: 0 });
        if (this.confirmed) return;
        this.wait(500);
      }
    }

    private wait(ms: number): void {
      this.nowUs += ms * MILLISECOND_US;
      this.pair.responder.handleTimeout(this.nowUs);
      const due = this.initiator.handleTimeout(this.nowUs);
      if (due === "failed") this.failed = true;
      else if (due !== undefined) this.send("responder", due);
    }

    private send(to: "initiator" | "responder", bytes: Uint8Array): void {
      this.air.push({ to, bytes: bytes.slice() });
    }

    private receive(to: "initiator" | "responder", bytes: Uint8Array): void {
      if (to === "initiator") this.atInitiator(bytes);
      else this.atResponder(bytes);
    }

    private atInitiator(bytes: Uint8Array): void {
      if (bytes[0] === 3) {
        const conf = this.initiator.handleResp(this.nowUs, bytes, 0, bytes.length);
        if (conf !== undefined) this.send("responder", conf);
      } else if (bytes[0] === 1 && this.initiator.session !== undefined) {
        if (typeof opened(this.initiator.session, bytes) === "number") return;
        this.initiator.confirm();
        this.confirmed = true;
      }
    }

    private atResponder(bytes: Uint8Array): void {
      if (bytes[0] === 2) {
        const answer = this.pair.init(this.nowUs, bytes);
        if (typeof answer === "string") return;
        expect(answer.flight.length).toBeLessThanOrEqual(bytes.length);
        this.send("initiator", answer.flight);
      } else if (bytes[0] === 4) {
        const answer = this.pair.conf(this.nowUs, bytes);
        if (typeof answer === "string") return;
        if ("session" in answer) this.far.push(answer.session);
        const session =
          "session" in answer ? answer.session : this.far.find((known) => known.localIndex === answer.repeatOf);
        const record = sealed(session!, new Uint8Array(bytes.length - RECORD_OVERHEAD_BYTES));
        expect(record.length).toBeLessThanOrEqual(bytes.length);
        this.send("initiator", record);
      }
    }
  }

  test.each(SIZES)("either agrees on keys or fails cleanly, and never throws (%i-byte flights)", (flightBytes) => {
    let agreed = 0;
    let failed = 0;
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), fc.nat(1000), (acts, seed) => {
        const storm = new Storm(flightBytes, seed + 1);
        for (const one of acts) storm.do(one);
        storm.heal();
        expect(storm.confirmed !== storm.failed).toBe(true);
        expect(storm.far.length).toBeLessThanOrEqual(1); // one CONF, whatever was repeated: one session
        if (storm.confirmed) {
          agreed += 1;
          expect(talk(storm.initiator.session!, storm.far[0]!)).toBe(true);
        } else {
          failed += 1;
          expect(storm.initiator.session).toBeUndefined();
          expect(storm.initiator.nextTimeoutUs).toBe(NEVER);
        }
      }),
      { numRuns: 60 },
    );
    expect(agreed).toBeGreaterThan(20); // the storm is not so strong that the test says nothing
    expect(failed).toBeLessThan(40);
  });

  test("a handshake over a dead network repeats INIT three times, byte for byte, then fails", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(SECOND_US)!.slice();
    const sentMs: number[] = [];
    for (;;) {
      const dueUs = initiator.nextTimeoutUs;
      expect(initiator.handleTimeout(dueUs - 1)).toBeUndefined();
      const due = initiator.handleTimeout(dueUs);
      sentMs.push((dueUs - SECOND_US) / MILLISECOND_US);
      if (due === "failed") break;
      expect(due).toEqual(init);
    }
    expect(sentMs).toEqual([250, 750, 1750, 3750]);
    expect(initiator.nextTimeoutUs).toBe(NEVER);
  });

  test("CONF is repeated until a record of the responder opened, and no longer", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const { initiator, conf } = pair.connect();
    expect(initiator.handleTimeout(250 * MILLISECOND_US)).toBe(conf);
    expect(initiator.handleTimeout(750 * MILLISECOND_US)).toBe(conf);
    initiator.confirm();
    expect(initiator.nextTimeoutUs).toBe(NEVER);
    expect(initiator.handleTimeout(60 * SECOND_US)).toBeUndefined();
    expect(initiator.session).toBeDefined();
  });

  test("a session whose CONF nobody answered is erased", () => {
    const { initiator, near } = new HandshakePair({ responderSuite: native }).connect();
    while (initiator.handleTimeout(initiator.nextTimeoutUs) !== "failed");
    expect(initiator.session).toBeUndefined();
    expect(near.canSeal).toBe(false);
  });
});

describe("the responder", () => {
  test("holds no state of initiators before CONF: 500 INITs and 10,000 junk ones leave it as one INIT does", () => {
    const pair = new HandshakePair({ initiatorSuite: native, responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    expectAnswer(pair.init(0, init));
    const before = digestOf(pair.responder);
    for (let i = 0; i < 500; i += 1) expect(typeof pair.init(i, init)).toBe("object");
    const junk = seededEntropy(3);
    for (let i = 0; i < 10_000; i += 1) {
      const noise = junk(8);
      const flight = init.slice();
      flight.set(noise, 8 + ((i * 97) % 1150));
      if (i % 3 === 0) flight.set(noise.subarray(0, 3), 0);
      expect(typeof pair.init(i, flight)).toBe("string");
    }
    expect(digestOf(pair.responder)).toBe(before);
  });

  test("refuses a copy of CONF: no second session, also not with another seal or another session number", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const { conf, far, near } = pair.connect();
    const before = digestOf(pair.responder);
    expect(pair.conf(1, conf)).toEqual({ repeatOf: far.localIndex });
    expect(pair.conf(5 * SECOND_US, conf)).toEqual({ repeatOf: far.localIndex });
    pair.taken.clear(); // even if the owner gave the session up
    expect(pair.conf(2, conf)).toEqual({ repeatOf: far.localIndex });
    const resealed = conf.slice();
    resealed[1000]! ^= 1;
    expect(pair.conf(2, resealed)).toEqual({ repeatOf: far.localIndex });
    resealed[7]! ^= 1;
    expect(pair.conf(2, resealed)).toBe("biscuit");
    expect(digestOf(pair.responder)).toBe(before);
    expect(talk(near, far)).toBe(true);
  });

  test("a damaged CONF does not burn its biscuit", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { flight } = expectAnswer(pair.init(0, init));
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    for (const at of [150, 700, 920, 1199]) {
      const damaged = conf.slice();
      damaged[at]! ^= 4;
      expect(pair.conf(0, damaged)).toBe("seal");
    }
    expect(pair.conf(0, conf)).toHaveProperty("session");
  });

  test("drops a CONF from another path, and one whose session number was given away", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { flight } = expectAnswer(pair.init(0, init));
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    expect(pair.conf(0, conf, new Uint8Array(8).fill(1))).toBe("path");
    const taken = pair.responder.handleConf(0, conf, 0, conf.length, PATH_TAG, () => false);
    expect(taken).toBe("indexTaken");
    expect(pair.conf(0, conf)).toHaveProperty("session");
  });

  test("only reads the bytes it is given", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const { init, resp, conf } = pair.connect();
    const again = new HandshakePair({ responderSuite: native });
    const initiator = again.initiator();
    const sent = initiator.start(0)!.slice();
    const answer = expectAnswer(again.init(0, sent)).flight;
    const kept = answer.slice();
    const last = initiator.handleResp(0, answer, 0, answer.length)!.slice();
    again.conf(0, last);
    expect([sent, answer, last]).toEqual([init, resp, conf]);
    expect(answer).toEqual(kept);
  });

  test("works on flights in the middle of a larger buffer", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const around = (flight: Uint8Array) => {
      const buffer = new Uint8Array(flight.length + 50).fill(0xaa);
      buffer.set(flight, 20);
      return buffer;
    };
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { responder, flightBytes } = pair;
    const answer = responder.handleInit(0, around(init), 20, flightBytes, PATH_TAG, OBSERVED_NOTHING, () => 9);
    const conf = initiator.handleResp(0, around(expectAnswer(answer).flight), 20, flightBytes)!;
    expect(responder.handleConf(0, around(conf), 20, flightBytes, PATH_TAG, () => true)).toHaveProperty("session");
  });

  test("remembers a bounded number of used biscuits and then refuses instead of forgetting", () => {
    const pair = new HandshakePair({ responderSuite: native, usedBiscuitsMax: 2 });
    const [first, second] = [pair.connect(), pair.connect()];
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { flight } = expectAnswer(pair.init(0, init));
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    expect(pair.conf(0, conf)).toBe("full");
    expect(pair.conf(0, first.conf)).toEqual({ repeatOf: first.far.localIndex });
    expect(pair.conf(0, second.conf)).toEqual({ repeatOf: second.far.localIndex });
    expect(pair.conf(SERVE_US, conf)).toBe("full");
    pair.connect(SERVE_US); // the next pair of keys has room again
  });
});

describe("the ephemeral keys", () => {
  const confAfter = (waitUs: number, bornUs = 0) => {
    const pair = new HandshakePair({ responderSuite: native });
    pair.connect(bornUs);
    const initiator = pair.initiator();
    const issuedUs = bornUs + SERVE_US - 1;
    const init = initiator.start(issuedUs)!;
    const { flight } = expectAnswer(pair.init(issuedUs, init));
    const conf = initiator.handleResp(issuedUs, flight, 0, flight.length)!;
    return pair.conf(bornUs + waitUs, conf);
  };

  test("still take a CONF almost 20 s after they were made, and none after that", () => {
    expect(confAfter(SERVE_US + KEEP_US - 1000)).toHaveProperty("session");
    expect(confAfter(SERVE_US + KEEP_US)).toBe("biscuit");
  });

  test("a biscuit is too old after 10 s although its key is still there", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { flight } = expectAnswer(pair.init(0, init));
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    expect(pair.conf(KEEP_US + MILLISECOND_US, conf)).toBe("stale");
    expect(pair.conf(KEEP_US, conf)).toHaveProperty("session");
  });

  test("serve 10 s, are kept 10 s more, and are then zeros; without a call none are made", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const keys = new BiscuitKeys(pair.responderContext);
    expect(keys.nextTimeoutUs).toBe(NEVER);
    const first = keys.serving(5);
    expect(keys.serving(5 + SERVE_US - 1)).toBe(first);
    const second = keys.serving(5 + SERVE_US);
    expect(second).not.toBe(first);
    expect(keys.kept(5 + SERVE_US)).toEqual([second, first]);
    expect(keys.nextTimeoutUs).toBe(5 + SERVE_US + KEEP_US);
    expect(first.kem.secretKey.some((byte) => byte !== 0)).toBe(true);

    keys.handleTimeout(5 + SERVE_US + KEEP_US);
    expect(keys.kept(5 + SERVE_US + KEEP_US)).toEqual([second]);
    expect(first.kem.secretKey.every((byte) => byte === 0)).toBe(true);
    expect(first.biscuitKey.every((byte) => byte === 0)).toBe(true);
    expect(first.used.size).toBe(0);
    keys.handleTimeout(keys.nextTimeoutUs);
    expect(keys.nextTimeoutUs).toBe(NEVER);
    expect(second.kem.secretKey.every((byte) => byte === 0)).toBe(true);
  });
});

describe("whoever lacks the static key", () => {
  test("cannot answer an INIT: RESP made with another key is ignored, the genuine one still counts", () => {
    const pair = new HandshakePair({ seed: 1, responderSuite: native });
    const mallory = new HandshakePair({ seed: 2, responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    // Mallory sees the INIT, makes mac1 fit, and even takes the index from a genuine RESP.
    const forgedInit = withMac1(mallory, init.slice());
    expect(mallory.init(0, forgedInit)).toBe("seal");
    const genuine = expectAnswer(pair.init(0, init)).flight;
    const forged = mallory.connect().resp.slice();
    forged.set(genuine.subarray(0, 8));
    expect(initiator.handleResp(0, forged, 0, forged.length)).toBeUndefined();
    expect([initiator.faults, initiator.lastFault]).toEqual([1, "seal"]);
    expect(initiator.session).toBeUndefined();
    expect(initiator.handleResp(0, genuine, 0, genuine.length)).toBeDefined();
  });

  test("cannot make a responder from the public key alone", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const stolen = { publicKey: pair.keys.publicKey, secretKey: native.kemKeys(new Uint8Array(64)).secretKey };
    const impostor = new Responder(pair.responderContext, { keys: stolen, params: RESPONDER_PARAMS });
    const init = pair.initiator().start(0)!;
    const answer = impostor.handleInit(0, init, 0, init.length, PATH_TAG, OBSERVED_NOTHING, () => 3);
    expect(answer).toBe("seal");
  });
});

describe("a flight changed on the way", () => {
  test("INIT: another version, suite, network or flag is refused, with mac1 made right again too", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const init = pair.initiator().start(0)!;
    const changed = (at: number) => {
      const copy = init.slice();
      copy[at]! ^= 1;
      return withMac1(pair, copy);
    };
    expect(pair.init(0, changed(1))).toBe("version");
    expect(pair.init(0, changed(2))).toBe("suite");
    expect(pair.init(0, changed(4))).toBe("network");
    expect(pair.init(0, changed(3))).toBe("seal"); // flags
    expect(pair.init(0, changed(10))).toBe("seal"); // ct_s
    expect(pair.init(0, changed(780))).toBe("seal"); // X_I
    expect(pair.init(0, changed(900))).toBe("seal");
    const bare = init.slice();
    bare[3]! ^= 1;
    expect(pair.init(0, bare)).toBe("mac");
    for (const length of [0, 909, 1151, 1199, 1201]) {
      const answer = pair.responder.handleInit(0, init, 0, length, PATH_TAG, OBSERVED_NOTHING, () => 3);
      expect(answer).toBe("malformed");
    }
    expect(typeof pair.init(0, init)).toBe("object");
  });

  test("RESP and CONF: no byte can be changed", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const { flight } = expectAnswer(pair.init(0, init));
    const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 0x10 : byte));
    for (let at = 0; at < flight.length; at += at < 40 ? 1 : 37) {
      expect(initiator.handleResp(0, flipped(flight, at), 0, flight.length)).toBeUndefined();
    }
    initiator.handleResp(0, flipped(flight, 4), 0, flight.length); // another session's number: no key agreement is spent
    expect(initiator.lastFault).toBe("malformed");
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    for (const at of [0, 1, 2, 3, 4, 7, 8, 140, 141, 1199]) {
      expect(typeof pair.conf(0, flipped(conf, at))).toBe("string");
    }
    expect(pair.conf(0, conf)).toHaveProperty("session");
  });

  test("a network of another name hears nothing from us, even if its label were the same", () => {
    const pair = new HandshakePair({ responderSuite: native, initiatorNetwork: "other" });
    const init = pair.initiator().start(0)!;
    expect(pair.init(0, init)).toBe("network");
    const relabelled = init.slice();
    relabelled.set(pair.responderContext.networkId.subarray(0, 4), 4);
    expect(pair.init(0, withMac1(pair, relabelled))).toBe("seal");
  });
});

test("an initiator refuses a key that is none, instead of throwing", () => {
  const pair = new HandshakePair({ responderSuite: native });
  pair.keys.publicKey.fill(0xff);
  const initiator = pair.initiator();
  expect(initiator.start(0)).toBeUndefined();
  expect(initiator.nextTimeoutUs).toBe(NEVER);
});
