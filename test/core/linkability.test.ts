import { expect, test } from "vitest";
import { networkIdOf } from "../../core/crypto/identity.js";
import { KEM_SEED_BYTES } from "../../core/crypto/suite.js";
import { drawIndex } from "../../core/session/context.js";
import { Initiator } from "../../core/session/initiator.js";
import { Responder } from "../../core/session/responder.js";
import { END_PACKET_BYTES } from "../../core/wire/network-header.js";
import { OBSERVED_NOTHING } from "../../core/wire/resp.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import {
  anyNac,
  expectAnswer,
  INITIATOR_PARAMS,
  PATH_TAG,
  RESPONDER_PARAMS,
  sealed,
  seededEntropy,
} from "../support/handshake-pair.js";

/** All packets of one conversation that a relay sees go to the service's NAC, and all that go to the client's. */
interface Recording {
  readonly toService: Uint8Array[];
  readonly toClient: Uint8Array[];
}

const WINDOW = 4;
const suite = createNativeSuite();

/** Conversations of many clients with one service, end to end, all within the life of one ephemeral key. */
function record(count: number): Recording[] {
  const entropy = seededEntropy(99);
  const context = { suite, entropy, networkId: networkIdOf(suite, "test") };
  const keys = suite.kemKeys(entropy(KEM_SEED_BYTES));
  const responder = new Responder(context, { keys, params: RESPONDER_PARAMS });
  const draw = () => drawIndex(entropy);
  return Array.from({ length: count }, (_, i) => {
    const initiator = new Initiator(context, {
      peerPublicKey: keys.publicKey,
      returnNac: anyNac(entropy),
      params: INITIATOR_PARAMS,
      flightBytes: END_PACKET_BYTES,
      localIndex: draw(),
    });
    const init = initiator.start(i)!;
    const answer = responder.handleInit(i, init, 0, init.length, PATH_TAG, OBSERVED_NOTHING, draw);
    const resp = expectAnswer(answer).flight;
    const conf = initiator.handleResp(i, resp, 0, resp.length)!;
    const accepted = responder.handleConf(i, conf, 0, conf.length, PATH_TAG, () => true);
    if (typeof accepted === "string" || !("session" in accepted)) throw new Error("CONF was refused");
    const cell = new Uint8Array(END_PACKET_BYTES - 29);
    return {
      toService: [init, conf, sealed(initiator.session!, cell), sealed(initiator.session!, cell)],
      toClient: [resp, sealed(accepted.session, cell), sealed(accepted.session, cell)],
    };
  });
}

function windowsOf(flights: readonly Uint8Array[]): Set<number> {
  const out = new Set<number>();
  for (const flight of flights) {
    const view = new DataView(flight.buffer, flight.byteOffset, flight.length);
    for (let at = 0; at + WINDOW <= flight.length; at += 1) out.add(view.getUint32(at));
  }
  return out;
}

/** Byte strings that the two directions of one conversation share, and that are not the same in all conversations. */
function shared(recordings: readonly Recording[]): number {
  const directions = recordings.map(({ toService, toClient }) => [windowsOf(toService), windowsOf(toClient)] as const);
  const everywhere = (window: number) => directions.every(([there, back]) => there.has(window) || back.has(window));
  let found = 0;
  for (const [there, back] of directions) {
    for (const window of back) if (there.has(window) && !everywhere(window)) found += 1;
  }
  return found;
}

test("nothing in clear pairs a client with the service it talks to", () => {
  // 40 conversations share 0.2 of their 4-byte strings by chance; the seed is fixed, so the count is always the same.
  expect(shared(record(40))).toBe(0);
});

test("a session number shown in both directions would be found by this very search", () => {
  const recordings = record(10);
  for (const { toService, toClient } of recordings) toClient[1]!.set(toService[1]!.subarray(4, 8), 5);
  expect(shared(recordings)).toBeGreaterThanOrEqual(10);
});

test("no conversation shares a byte string with another but the fixed header and the session's own number", () => {
  const recordings = record(20);
  const seen = new Map<number, number>();
  for (const { toService, toClient } of recordings) {
    for (const window of new Set([...windowsOf(toService), ...windowsOf(toClient)])) {
      seen.set(window, (seen.get(window) ?? 0) + 1);
    }
  }
  const inAll = [...seen.values()].filter((count) => count === recordings.length).length;
  const inSome = [...seen.values()].filter((count) => count > 1 && count < recordings.length).length;
  expect(inAll).toBeLessThan(12); // header and label of INIT, opening of RESP and CONF, zero mac2
  expect(inSome).toBeLessThan(20); // about 8 by chance, most where a fixed field meets a random one; a key adds 29
});
