import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { networkIdOf } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { drawIndex } from "../../core/session/context.js";
import { CALM_INITS, CookieGate, PATH_BURST, PATH_INITS } from "../../core/session/cookie-gate.js";
import { SECRET_LIFE_US } from "../../core/session/cookies.js";
import { Initiator } from "../../core/session/initiator.js";
import { KeyedRateLimit, LoadMeter, RateLimit } from "../../core/session/rate-limit.js";
import { MILLISECOND_US, SECOND_US } from "../../core/time/instant.js";
import { COOKIE_PACKET_BYTES } from "../../core/wire/cookie.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { expectAnswer, HandshakePair, LINK_BYTES, talk } from "../support/handshake-pair.js";
import { LoneStack } from "../support/lone-stack.js";
import { createModelledSuite } from "../support/modelled-suite.js";
import { StackWorld } from "../support/stack-world.js";

const native = createNativeSuite();

/** What stands for a path in cookies and biscuits. */
function tagOf(path: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, path >>> 8, path);
}

/** A responder's gate that is under load from the first INIT on, and an initiator that wants through. */
class GatedPair {
  readonly pair = new HandshakePair({ responderSuite: native });
  readonly gate = new CookieGate(this.pair.responderContext, this.pair.responder.publicKeyHash, 0);
  readonly initiator = this.pair.initiator();
  readonly init: Uint8Array = this.initiator.start(0)!;

  judge(nowUs: number, path: number, init: Uint8Array = this.init) {
    return this.gate.judge(nowUs, path, init, 0, init.length, tagOf(path));
  }

  bake(nowUs: number, path: number, init: Uint8Array = this.init) {
    return this.gate.bake(nowUs, init, 0, init.length, tagOf(path));
  }

  /** The INIT with a mac2 that holds the cookie for `path`. */
  proven(nowUs: number, path: number): Uint8Array {
    const cookie = this.bake(nowUs, path);
    return this.initiator.handleCookie(nowUs, cookie, 0, cookie.length) ?? this.init;
  }
}

describe("a responder under load", () => {
  test("asks for a cookie, serves who brings it back, and both ends get the same keys", () => {
    const { pair, gate, initiator, init } = new GatedPair();
    const before = init.slice();
    expect(gate.judge(0, 7, init, 0, init.length, tagOf(7))).toBe("ask");
    const cookie = gate.bake(0, init, 0, init.length, tagOf(7));
    expect(cookie.length).toBe(COOKIE_PACKET_BYTES);

    const again = initiator.handleCookie(0, cookie, 0, cookie.length)!;
    expect(again.subarray(0, -16)).toEqual(before.subarray(0, -16)); // the same INIT but for mac2
    expect(again.subarray(-16)).not.toEqual(before.subarray(-16));
    expect(gate.judge(0, 7, again, 0, again.length, tagOf(7))).toBe("serve");

    const { flight } = expectAnswer(pair.init(0, again, tagOf(7)));
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    const done = pair.conf(0, conf, tagOf(7));
    expect(typeof done === "object" && "session" in done && talk(initiator.session!, done.session)).toBe(true);
  });

  test("COOKIE and mac2 follow the written rule, recomputed here from the primitives alone", () => {
    const pair = new HandshakePair({ responderSuite: native });
    const secrets: Uint8Array[] = [];
    const entropy = (length: number) => {
      const drawn = pair.responderContext.entropy(length);
      secrets.push(drawn.slice());
      return drawn;
    };
    const gate = new CookieGate({ ...pair.responderContext, entropy }, pair.responder.publicKeyHash, 0);
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const packet = gate.bake(0, init, 0, init.length, tagOf(7));
    const [secret, nonce] = secrets; // drawn in this order

    const { hash } = nobleSuite;
    const label = (text: string) => new Uint8Array(Buffer.from(text));
    const cookie = hash(secret!, tagOf(7)).slice(0, 16);
    const sealed = new Uint8Array(32);
    sealed.set(cookie);
    const key = hash(label("mq1 cookie"), hash(pair.keys.publicKey));
    nobleSuite.aead(key).seal(nonce!, init.slice(-32, -16), sealed, 0, 16);
    expect(packet).toEqual(Uint8Array.from([5, 1, 1, 0, ...nonce!, ...sealed]));

    const again = initiator.handleCookie(0, packet, 0, packet.length)!;
    expect(again.slice(-16)).toEqual(hash(label("mq1 mac2"), cookie, again.subarray(0, -16)).slice(0, 16));
  });

  test("a cookie counts on the path that it was given to, and on no other", () => {
    const gated = new GatedPair();
    gated.proven(0, 7);
    expect(gated.judge(0, 8)).toBe("ask");
    expect(gated.judge(0, 7)).toBe("serve");
  });

  test("no bit of an INIT with a cookie can be changed, and mac2 cannot be guessed", () => {
    const gated = new GatedPair();
    const init = gated.proven(0, 7);
    for (let at = 0; at < LINK_BYTES; at += 1) {
      const changed = init.slice();
      changed[at]! ^= 1 << (at % 8);
      expect(gated.judge(0, 7, changed)).toBe("ask");
    }
  });

  test("a cookie is good for at least two minutes and less than four", () => {
    const gated = new GatedPair();
    gated.proven(0, 7);
    const minuteUs = 60 * SECOND_US;
    for (let minute = 0; minute < 4; minute += 1) {
      gated.judge(minute * minuteUs, 1, gated.init); // the secret is renewed as INITs come
      expect([minute, gated.judge(minute * minuteUs, 7)]).toEqual([minute, "serve"]);
    }
    expect(gated.judge(2 * SECRET_LIFE_US, 7)).toBe("ask");
    const quiet = new GatedPair();
    quiet.proven(0, 7);
    expect(quiet.judge(2 * SECRET_LIFE_US, 7)).toBe("ask");
  });

  test("a path with a cookie gets five answers at once and twenty a second; others are not held up by it", () => {
    const gated = new GatedPair();
    const init = gated.proven(0, 7).slice();
    const served = (fromUs: number, forUs: number) => {
      let count = 0;
      for (let atUs = fromUs; atUs < fromUs + forUs; atUs += MILLISECOND_US) {
        if (gated.judge(atUs, 7, init) === "serve") count += 1;
      }
      return count;
    };
    expect(served(SECOND_US, 10 * SECOND_US)).toBe(10 * PATH_INITS + PATH_BURST - 1);
    expect(gated.judge(11 * SECOND_US, 7, init)).toBe("serve");
    gated.proven(11 * SECOND_US, 9);
    expect(gated.judge(11 * SECOND_US, 9)).toBe("serve");
  });

  test("remembers no path whose allowance is whole, and never more than its bound", () => {
    const limit = new KeyedRateLimit(PATH_INITS, PATH_BURST, 100);
    for (let key = 0; key < 100; key += 1) expect(limit.take(SECOND_US, key)).toBe(true);
    expect(limit.take(SECOND_US, 1000)).toBe(false);
    expect(limit.take(SECOND_US + 50 * MILLISECOND_US, 1000)).toBe(true);
    expect(limit.size).toBe(1);
  });

  test("bakes cookies without keeping anything of who asked", () => {
    const gated = new GatedPair();
    gated.bake(0, 1);
    const digestOf = () => {
      const into = new Digest();
      gated.gate.digest(into);
      return into.hex();
    };
    const before = digestOf();
    for (let path = 0; path < 1000; path += 1) gated.bake(path, path);
    expect(digestOf()).toBe(before);
  });
});

describe("rates", () => {
  test("a limit gives its burst at once and then its rate, to the microsecond", () => {
    const limit = new RateLimit(400, 32);
    let taken = 0;
    while (limit.take(SECOND_US)) taken += 1;
    expect(taken).toBe(32);
    expect(limit.nextUs).toBe(SECOND_US + 2500);
    expect(limit.take(SECOND_US + 2499)).toBe(false);
    expect(limit.take(SECOND_US + 2500)).toBe(true);
    let later = 0;
    for (let atUs = 2 * SECOND_US; atUs < 12 * SECOND_US; atUs += 100) if (limit.take(atUs)) later += 1;
    expect(later).toBe(32 + 4000 - 1);
  });

  test("there is load from one more than the bound in a second until a whole second was calm", () => {
    const meter = new LoadMeter(CALM_INITS);
    const second = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => meter.isOver(from * SECOND_US + i)).filter(Boolean).length;
    expect(second(1, CALM_INITS)).toBe(0);
    expect(second(2, CALM_INITS + 3)).toBe(3);
    expect(second(3, 10)).toBe(10);
    expect(second(4, 10)).toBe(0);
    expect(second(9, CALM_INITS + 1)).toBe(1);
    expect(second(11, 1)).toBe(0);
  });
});

describe("an initiator that meets a COOKIE", () => {
  test("answers one at once and puts later ones into its next repeat, so that COOKIEs cannot make it talk", () => {
    const { gate, initiator, init } = new GatedPair();
    const bake = (path: number) => gate.bake(0, init, 0, init.length, tagOf(path));
    const first = bake(1);
    expect(initiator.handleCookie(10, first, 0, first.length)).toBe(init);
    const sent = init.slice();
    for (let path = 2; path < 200; path += 1) {
      const cookie = bake(path);
      expect(initiator.handleCookie(20, cookie, 0, cookie.length)).toBeUndefined();
    }
    const dueUs = initiator.nextTimeoutUs;
    expect(dueUs).toBe(10 + 250 * MILLISECOND_US);
    const repeat = initiator.handleTimeout(dueUs) as Uint8Array;
    expect(repeat.subarray(0, -16)).toEqual(sent.subarray(0, -16));
    expect(repeat.subarray(-16)).not.toEqual(sent.subarray(-16));
    let repeats = 1;
    while (initiator.handleTimeout(initiator.nextTimeoutUs) !== "failed") repeats += 1;
    expect(repeats).toBe(3);
  });

  test("ignores one that is damaged, of another responder, for another INIT, or too late", () => {
    const { pair, gate, initiator, init } = new GatedPair();
    const good = gate.bake(0, init, 0, init.length, tagOf(1));
    const kept = init.slice();
    const refused = (cookie: Uint8Array) => {
      const { faults } = initiator;
      expect(initiator.handleCookie(0, cookie, 0, cookie.length)).toBeUndefined();
      expect(initiator.faults).toBe(faults + 1);
      expect(init).toEqual(kept);
    };
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const changed = good.slice();
      changed[bit >>> 3]! ^= 1 << (bit & 7);
      refused(changed);
    }
    refused(good.subarray(0, 47));
    refused(Uint8Array.from([...good, 0]));
    const other = pair.initiator().start(0)!;
    refused(gate.bake(0, other, 0, other.length, tagOf(1)));
    const stranger = new CookieGate(pair.responderContext, new Uint8Array(32), 0);
    refused(stranger.bake(0, init, 0, init.length, tagOf(1)));

    const { flight } = expectAnswer(pair.init(0, init));
    expect(initiator.handleResp(0, flight, 0, flight.length)).toBeDefined();
    refused(good);
  });
});

describe("a stack under a flood of good INITs", () => {
  /** A stranger's INIT to `lone`. */
  function initTo(lone: LoneStack): Uint8Array {
    const initiator = new Initiator(lone.context, {
      peerPublicKey: lone.linkKeys.publicKey,
      params: { creditKiB: 0, streamsMax: 0, flags: 0 },
      flightBytes: LINK_BYTES,
      localIndex: drawIndex(lone.context.entropy),
    });
    return initiator.start(lone.nowUs)!;
  }

  test("answers fifty of a second by RESP and the others by a COOKIE of 48 bytes", () => {
    const lone = new LoneStack(createModelledSuite());
    const sizes = new Map<number, number>();
    for (let path = 0; path < 200; path += 1) {
      for (const answer of lone.receive(path, initTo(lone))) {
        sizes.set(answer.length, (sizes.get(answer.length) ?? 0) + 1);
      }
    }
    expect([...sizes]).toEqual([
      [LINK_BYTES, CALM_INITS],
      [COOKIE_PACKET_BYTES, 200 - CALM_INITS],
    ]);
    expect(lone.stack.status().handshakes).toMatchObject({ cookie: 200 - CALM_INITS, rate: 0, mac: 0 });
  });

  test("lets in whoever dials it, through a cookie, in a few round trips", () => {
    const world = new StackWorld({ seed: "cookies" });
    world.lay("ada", "bob").lay("eve", "bob");
    const bob = world.node("bob");
    const context = { suite: world.suite, entropy: (n: number) => world.random.bytes(n), networkId: networkOf(world) };
    const flood = (count: number) => {
      const localIndex = drawIndex(context.entropy);
      const params = { creditKiB: 0, streamsMax: 0, flags: 0 };
      const peerPublicKey = bob.linkKeys.publicKey;
      const init = new Initiator(context, { peerPublicKey, params, flightBytes: LINK_BYTES, localIndex }).start(0)!;
      for (let i = 0; i < count; i += 1) world.inject("eve", "bob", init);
    };
    flood(100);
    world.run(MILLISECOND_US);
    world.isRecording = true;
    world.dial("ada", "bob");
    const dialledUs = world.nowUs;
    let isUp = false;
    for (let ms = 0; ms < 200 && !isUp; ms += 1) {
      flood(2);
      isUp = world.run(MILLISECOND_US, () => bob.stack.status().neighbours === 1);
    }
    expect(isUp).toBe(true);
    expect(world.nowUs - dialledUs).toBeLessThan(100 * MILLISECOND_US);
    const seen = world.seen.filter(({ from, to }) => from === "bob" && to === "ada");
    expect(seen.filter(({ bytes }) => bytes[0] === 5)).toHaveLength(1);
    expect(bob.stack.status().handshakes.cookie).toBeGreaterThan(50);
  });
});

function networkOf(world: StackWorld): Uint8Array {
  return networkIdOf(world.suite, "world");
}
