/** An active attacker on the way: flights that are changed, exchanged, late or astray come to nothing, bit by bit. */
import { describe, expect, test } from "vitest";
import { Digest } from "../../core/collections/digest.js";
import { mac1Of } from "../../core/crypto/key-schedule.js";
import { FORGED_CONFS_MAX } from "../../core/session/biscuit-keys.js";
import { Initiator } from "../../core/session/initiator.js";
import { SECOND_US } from "../../core/time/instant.js";
import { Writer } from "../../core/wire/cursor.js";
import { encodeInitBody, INIT_HEAD_BYTES } from "../../core/wire/init.js";
import {
  anyNac,
  END_BYTES,
  expectAnswer,
  HandshakePair,
  INITIATOR_PARAMS,
  LINK_BYTES,
  opened,
  sealed,
  seededEntropy,
  talk,
} from "../support/handshake-pair.js";
import { createModelledSuite } from "../support/modelled-suite.js";

const suite = createModelledSuite();
const MACS_BYTES = 32;

function digestOf(state: { digest(into: Digest): void }): string {
  const into = new Digest();
  state.digest(into);
  return into.hex();
}

function withMac1(pair: HandshakePair, init: Uint8Array): Uint8Array {
  const covered = init.length - MACS_BYTES;
  init.set(mac1Of(suite, suite.hash(pair.keys.publicKey), init, 0, covered), covered);
  return init;
}

interface Flip {
  readonly at: number;
  readonly bit: number;
}

/** Every bit of the first `whole` bytes, and one bit of every byte behind them. */
function flipsOf(length: number, whole: number): Flip[] {
  return Array.from({ length }, (_, at) =>
    at < whole ? Array.from({ length: 8 }, (_bit, bit) => ({ at, bit })) : [{ at, bit: at % 8 }],
  ).flat();
}

function flip(flight: Uint8Array, { at, bit }: Flip): Uint8Array {
  return flight.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
}

describe.each([LINK_BYTES, END_BYTES])("one bit changed in a flight of %i bytes", (flightBytes) => {
  const config = { flightBytes, responderSuite: suite, returnNac: anyNac(seededEntropy(5)) };

  test("of INIT: it is refused, with mac1 made to fit too; in mac2 it changes nothing while there is no load", () => {
    const pair = new HandshakePair(config);
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const macsAt = init.length - MACS_BYTES;
    for (const place of flipsOf(init.length, 48)) {
      const { at } = place;
      const flipped = flip(init, place);
      const answer = pair.init(0, flipped);
      if (at >= macsAt + 16) expect(typeof answer).toBe("object");
      else expect(typeof answer).toBe("string");
      if (at < macsAt) expect(typeof pair.init(0, withMac1(pair, flipped))).toBe("string");
    }
    const { flight } = expectAnswer(pair.init(0, init));
    expect(initiator.handleResp(0, flight, 0, flight.length)).toBeDefined();
  });

  test("of RESP: it is ignored, and the true one still counts", () => {
    const pair = new HandshakePair(config);
    const initiator = pair.initiator();
    const { flight } = expectAnswer(pair.init(0, initiator.start(0)!));
    for (const place of flipsOf(flight.length, 48)) {
      const flipped = flip(flight, place);
      expect(initiator.handleResp(0, flipped, 0, flipped.length)).toBeUndefined();
      expect(initiator.session).toBeUndefined();
    }
    const conf = initiator.handleResp(0, flight, 0, flight.length)!;
    const done = pair.conf(0, conf);
    expect(typeof done === "object" && "session" in done && talk(initiator.session!, done.session)).toBe(true);
  });

  test("of CONF: it makes no session, and the true one still does", () => {
    const pair = new HandshakePair(config);
    const begin = () => {
      const initiator = pair.initiator();
      const { flight } = expectAnswer(pair.init(0, initiator.start(0)!));
      return { initiator, conf: initiator.handleResp(0, flight, 0, flight.length)! };
    };
    let { conf: fresh } = begin();
    for (const [i, place] of flipsOf(flightBytes, 48).entries()) {
      if (i % FORGED_CONFS_MAX === 0) fresh = begin().conf; // a biscuit is good for so many forged CONFs
      expect(typeof pair.conf(0, flip(fresh, place))).toBe("string");
    }
    expect(pair.taken.size).toBe(0);
    const { initiator, conf } = begin();
    const done = pair.conf(0, conf);
    expect(typeof done === "object" && "session" in done && talk(initiator.session!, done.session)).toBe(true);
  });

  test("of the first records: they are refused, and the true ones still count", () => {
    const { near, far } = new HandshakePair(config).connect();
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      const record = sealed(from, Uint8Array.of(1, 2, 3, 4, 5, 6));
      for (const place of flipsOf(record.length, record.length)) {
        expect([place.at, typeof opened(to, flip(record, place))]).toEqual([place.at, "number"]);
      }
      expect(opened(to, record)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6));
    }
  });
});

describe("a downgrade", () => {
  test("is refused: an INIT that does not offer our suite gets no answer, however well it is sealed", () => {
    const pair = new HandshakePair({ responderSuite: suite });
    // The initiator's own code, made to offer other suites in the body before it is sealed.
    const offering = (suites: number) => {
      const { aead, ...rest } = suite;
      const context = {
        ...pair.initiatorContext,
        suite: {
          ...rest,
          aead: (key: Uint8Array) => {
            const real = aead(key);
            return {
              open: real.open.bind(real),
              seal: (nonce: Uint8Array, associated: Uint8Array, out: Uint8Array, at: number, length: number) => {
                const body = { index: 7, returnNac: new Uint8Array(16), params: INITIATOR_PARAMS, suites };
                encodeInitBody(new Writer(out, INIT_HEAD_BYTES, at + length), body);
                real.seal(nonce, associated, out, at, length);
              },
            };
          },
        },
      };
      const { publicKey: peerPublicKey } = pair.keys;
      const initiator = new Initiator(context, {
        peerPublicKey,
        params: INITIATOR_PARAMS,
        flightBytes: LINK_BYTES,
        localIndex: 7,
      });
      return initiator.start(0)!;
    };
    expect(typeof pair.init(0, offering(0b0010))).toBe("object");
    expect(typeof pair.init(0, offering(0b1010))).toBe("object"); // more than we know does no harm
    for (const suites of [0, 0b0001, 0b0100, 0xfffd]) expect(pair.init(0, offering(suites))).toBe("suite");
  });
});

test("a biscuit in five forged CONFs is spent, and no other: junk CONFs cost five decapsulations for each answered INIT", () => {
  const pair = new HandshakePair({ responderSuite: suite });
  const begin = () => {
    const initiator = pair.initiator();
    const { flight } = expectAnswer(pair.init(0, initiator.start(0)!));
    return initiator.handleResp(0, flight, 0, flight.length)!;
  };
  const [spent, spared] = [begin(), begin()];
  const forged = flip(spent, { at: 1000, bit: 3 });
  const faults = Array.from({ length: 100 }, () => pair.conf(0, forged));
  expect(faults.filter((fault) => fault === "seal")).toHaveLength(FORGED_CONFS_MAX);
  expect(faults.filter((fault) => fault === "biscuit")).toHaveLength(100 - FORGED_CONFS_MAX);
  expect(pair.conf(0, spent)).toBe("biscuit");
  expect(pair.conf(0, spared)).toHaveProperty("session");
});

describe("flights of other sessions", () => {
  test("put in the place of a session's own make no session, in any combination", () => {
    // Three sessions: two with one responder, one with another; then each flight is offered wherever it does not belong.
    const ada = new HandshakePair({ seed: 1, responderSuite: suite });
    const bob = new HandshakePair({ seed: 2, responderSuite: suite });
    const begin = (pair: HandshakePair) => {
      const initiator = pair.initiator();
      const init = initiator.start(0)!;
      return { pair, initiator, init, resp: expectAnswer(pair.init(0, init)).flight };
    };
    const sessions = [begin(ada), begin(ada), begin(bob)];
    for (const one of sessions) {
      for (const other of sessions) {
        if (one === other) continue;
        expect(one.initiator.handleResp(0, other.resp, 0, LINK_BYTES)).toBeUndefined();
        const renumbered = other.resp.slice();
        renumbered.set(one.resp.subarray(0, 8)); // as if it answered this one
        expect(one.initiator.handleResp(0, renumbered, 0, LINK_BYTES)).toBeUndefined();
        if (one.pair !== other.pair)
          expect(typeof one.pair.init(0, withMac1(one.pair, other.init.slice()))).toBe("string");
      }
    }
    const confs = sessions.map(({ initiator, resp }) => initiator.handleResp(0, resp, 0, LINK_BYTES)!);
    const cuts = [4, 8, 141, 909]; // behind the opening, the number, the biscuit, the ciphertext
    for (const [i, one] of confs.entries()) {
      for (const [j, other] of confs.entries()) {
        if (i === j) continue;
        if (sessions[i]!.pair !== sessions[j]!.pair) expect(typeof sessions[i]!.pair.conf(0, other)).toBe("string");
        for (const cut of cuts) {
          const mixed = one.slice();
          mixed.set(other.subarray(cut), cut);
          const whole = [one, other].some((conf) => Buffer.compare(conf, mixed) === 0);
          if (!whole) expect(typeof sessions[i]!.pair.conf(0, mixed)).toBe("string");
        }
      }
    }
    for (const [i, { pair, initiator }] of sessions.entries()) {
      const done = pair.conf(0, confs[i]!);
      expect(typeof done === "object" && "session" in done && talk(initiator.session!, done.session)).toBe(true);
    }
  });

  test("a RESP to an earlier sending of the same INIT counts once: its twin makes no second session", () => {
    const pair = new HandshakePair({ responderSuite: suite });
    const initiator = pair.initiator();
    const init = initiator.start(0)!;
    const [first, second] = [0, 1].map(() => expectAnswer(pair.init(0, init)).flight);
    const conf = initiator.handleResp(0, second!, 0, LINK_BYTES)!;
    expect(initiator.handleResp(0, first!, 0, LINK_BYTES)).toBeUndefined();
    expect(initiator.lastFault).toBe("stray");
    expect(pair.conf(0, conf)).toHaveProperty("session");
    expect(pair.conf(0, conf)).toHaveProperty("repeatOf");
  });
});

describe("flights that come at the wrong time", () => {
  test("change nothing in any state of an initiator", () => {
    const pair = new HandshakePair({ responderSuite: suite });
    const old = pair.connect();
    const stages: ((initiator: Initiator) => void)[] = [
      () => undefined,
      (initiator) => {
        const { flight } = expectAnswer(pair.init(0, initiator.start(0)!));
        initiator.handleResp(0, flight, 0, LINK_BYTES);
      },
      (initiator) => {
        const { flight } = expectAnswer(pair.init(0, initiator.start(0)!));
        initiator.handleResp(0, flight, 0, LINK_BYTES);
        initiator.confirm();
      },
      (initiator) => {
        initiator.start(0);
        initiator.abandon();
      },
    ];
    for (const reach of stages) {
      const initiator = pair.initiator();
      reach(initiator);
      const { session, nextTimeoutUs } = initiator;
      for (const flight of [old.init, old.resp, old.conf, new Uint8Array(48).fill(5), new Uint8Array(LINK_BYTES)]) {
        expect(initiator.handleResp(1, flight, 0, flight.length)).toBeUndefined();
        expect(initiator.handleCookie(1, flight, 0, flight.length)).toBeUndefined();
      }
      expect(initiator.session).toBe(session);
      expect(initiator.nextTimeoutUs).toBe(nextTimeoutUs);
    }
  });

  test("change nothing at a responder: a RESP is no INIT, a CONF no RESP, whatever its first byte says", () => {
    const pair = new HandshakePair({ responderSuite: suite });
    const { init, resp, conf } = pair.connect();
    const before = digestOf(pair.responder);
    for (const flight of [init, resp, conf]) {
      for (let type = 0; type < 10; type += 1) {
        const retyped = flight.slice();
        retyped[0] = type;
        if (!(flight === init && type === 2)) expect(typeof pair.init(0, retyped)).toBe("string");
        if (!(flight === conf && type === 4)) expect(typeof pair.conf(0, retyped)).toBe("string");
      }
    }
    expect(digestOf(pair.responder)).toBe(before);
    expect(pair.conf(30 * SECOND_US, conf)).toBe("biscuit");
  });
});
