import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { isNac, printNac } from "../../core/address/nac.js";
import { printLongName, printName } from "../../core/address/name.js";
import { printHex } from "../../core/address/text.js";
import {
  DEFAULT_NETWORK,
  identityFromSeeds,
  linkKeyHashOf,
  nacHashOf,
  networkIdOf,
  networkLabelOf,
  SUITE_FLOOR,
} from "../../core/crypto/identity.js";
import {
  flightKey,
  initialTranscript,
  mac1Of,
  nextChainSecret,
  nextRoundSecret,
  packetKey,
  roundKeys,
  sessionBinding,
  trafficKeys,
} from "../../core/crypto/key-schedule.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";

const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i);
const sha3 = (...parts: (Uint8Array | string)[]) => {
  const state = createHash("sha3-256");
  for (const part of parts) state.update(part);
  return new Uint8Array(state.digest());
};

const networkId = networkIdOf(nobleSuite, DEFAULT_NETWORK);
const identity = identityFromSeeds(nobleSuite, networkId, counting(64), counting(32));

describe("an identity", () => {
  test("from the seeds of the RFCs has the frozen NAC, names and link key hash", () => {
    expect(printHex(networkLabelOf(networkId))).toBe("23b96c61");
    expect(printHex(identity.nacHash)).toBe("37814eeed9517e1b2c32f9db47b0931e61827417a8177b6c4076070861995cf1");
    expect(printNac(identity.nac)).toBe("37814eee-d951-8e1b-ac32-f9db47b0931e");
    expect(printName(identity.nac)).toBe("37814eee-d951-8e1b-ac32-f9db47b0931e.mariana");
    expect(printLongName(identity.nacHash)).toBe("g6au53wzkf7bwlbs7hnupmetdzqye5axvalxw3caoydqqymzltyq.mariana");
    const linkKeyHash = linkKeyHashOf(nobleSuite, networkId, SUITE_FLOOR, identity.kem.publicKey);
    expect(printHex(linkKeyHash)).toBe("2f2fdabd27ea03b8ca0519a26f0ea12b5ca89c842e9e29bb221445c694f6b013");
  });

  test("hashes exactly the fields that the protocol names, in their order", () => {
    const network = sha3("mq/network/1", DEFAULT_NETWORK);
    expect(networkId).toEqual(network);
    const { kem, signature } = identity;
    expect(identity.nacHash).toEqual(
      sha3("mq/nac/1", network, Uint8Array.of(1), sha3(kem.publicKey), sha3(signature.publicKey), new Uint8Array(32)),
    );
    expect(linkKeyHashOf(nobleSuite, networkId, 1, kem.publicKey)).toEqual(
      sha3("mq/link/1", network, Uint8Array.of(1), kem.publicKey),
    );
  });

  test("is the same with the native suite", () => {
    const native = createNativeSuite();
    expect(identityFromSeeds(native, networkIdOf(native, DEFAULT_NETWORK), counting(64), counting(32))).toEqual(
      identity,
    );
  });

  test("has another NAC and link key hash in another network, and for other keys or another suite floor", () => {
    const { kem, signature } = identity;
    const signatureHash = nobleSuite.hash(signature.publicKey);
    const other = identityFromSeeds(nobleSuite, networkIdOf(nobleSuite, "demo"), counting(64), counting(32));
    const otherKem = identityFromSeeds(nobleSuite, networkId, counting(64).reverse(), counting(32));
    const otherSignature = identityFromSeeds(nobleSuite, networkId, counting(64), counting(32).reverse());
    const hashes = [
      identity.nacHash,
      other.nacHash,
      otherKem.nacHash,
      otherSignature.nacHash,
      nacHashOf(nobleSuite, networkId, 2, kem.publicKey, signatureHash),
      linkKeyHashOf(nobleSuite, networkId, 1, kem.publicKey),
      linkKeyHashOf(nobleSuite, networkIdOf(nobleSuite, "demo"), 1, kem.publicKey),
      linkKeyHashOf(nobleSuite, networkId, 2, kem.publicKey),
      linkKeyHashOf(nobleSuite, networkId, 1, otherKem.kem.publicKey),
    ].map(printHex);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(new Set([identity, other, otherKem, otherSignature].map((each) => printNac(each.nac))).size).toBe(4);
    for (const each of [identity, other, otherKem, otherSignature]) expect(isNac(each.nac)).toBe(true);
  });
});

describe("the key schedule", () => {
  const chainingKey = counting(32);
  const transcript = counting(32).reverse();

  test("gives every flight, direction, round and update its own keys", () => {
    const traffic = trafficKeys(nobleSuite, chainingKey, transcript);
    const { maskToResponder, maskToInitiator, roundSecret } = traffic;
    const first = roundKeys(nobleSuite, roundSecret);
    const secret = nextRoundSecret(nobleSuite, first.salt, counting(32));
    const second = roundKeys(nobleSuite, secret, counting(32).reverse());
    const otherwise = roundKeys(nobleSuite, secret, counting(32));
    const chains = [first, second, otherwise].flatMap((round) => [round.toResponder, round.toInitiator]);
    chains.push(...chains.map((chain) => nextChainSecret(nobleSuite, chain)));
    const packet = chains.map((chain) => packetKey(nobleSuite, chain));
    const keys = [
      ...(["mq1 init", "mq1 resp", "mq1 conf"] as const).map((label) =>
        flightKey(nobleSuite, chainingKey, label, transcript),
      ),
      ...[maskToResponder, maskToInitiator, roundSecret, sessionBinding(nobleSuite, roundSecret), secret],
      ...[first.salt, second.salt, otherwise.salt, ...chains, ...packet.map((each) => each.key)],
    ];
    expect(keys.map((key) => key.length)).toEqual(keys.map(() => 32));
    expect(packet.map((each) => each.iv.length)).toEqual(packet.map(() => 12));
    const all = [...keys, ...packet.map((each) => each.iv)].map(printHex);
    expect(new Set(all).size).toBe(all.length);
  });

  test("lays the traffic keys out as one expansion: the mask of each way, then the secret of round 0", () => {
    const info = new TextEncoder().encode("mq1 traffic");
    const material = nobleSuite.expand(chainingKey, Uint8Array.of(...info, ...transcript), 96);
    const { maskToResponder, maskToInitiator, roundSecret } = trafficKeys(nobleSuite, chainingKey, transcript);
    expect(Uint8Array.of(...maskToResponder, ...maskToInitiator, ...roundSecret)).toEqual(material);
  });

  test("starts from the protocol, version, suite, network and the responder's key", () => {
    const staticHash = nobleSuite.hash(identity.kem.publicKey);
    expect(initialTranscript(nobleSuite, 1, 1, networkId, staticHash)).toEqual(
      sha3("MQ1", Uint8Array.of(1, 1), networkId, staticHash),
    );
  });

  test("makes mac1 from the responder's key and the bytes before it", () => {
    const bytes = counting(40);
    const expected = sha3("mq1 mac1", chainingKey, bytes.subarray(4, 24)).subarray(0, 16);
    expect(mac1Of(nobleSuite, chainingKey, bytes, 4, 20)).toEqual(expected);
  });
});
