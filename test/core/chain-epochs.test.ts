import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkDescriptor, DESCRIPTOR_BYTES, decodeDescriptor, signDescriptor } from "../../core/chain/descriptor.js";
import { decodeEpochProof } from "../../core/chain/epoch-proof.js";
import { HashChains } from "../../core/chain/hash-chains.js";
import { identityFromSeeds } from "../../core/crypto/identity.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { EPOCH_PROOF_BYTES } from "../../core/routing/elements.js";
import {
  type ChainNode,
  chainNode,
  finish,
  hear,
  NETWORK,
  nacOf,
  type Origin,
  originOf,
  tagged,
} from "../support/chain-nodes.js";

const SECOND_US = 1_000_000;
const START = 1008;
const identity = identityFromSeeds(nobleSuite, NETWORK, new Uint8Array(64).fill(5), new Uint8Array(32).fill(6));
const ADA = identity.nac;

/** The origin in epoch 7, and then in 8 from slot 1040 on. */
const seven = originOf(ADA, 7, START);
const eight = originOf(ADA, 7, START);
eight.chains.originate(eight.number, 8, START + 35);
finish(eight.chains);

function proofOf(from: ChainNode, epoch: number, nac = ADA): Uint8Array {
  const bytes = new Uint8Array(EPOCH_PROOF_BYTES);
  if (!from.chains.proveEpoch(from.dictionary.find(nac), epoch, bytes, 0)) throw new Error("no proof");
  return bytes;
}

/** A node that has heard of epoch 7. */
function heardSeven(): ChainNode & { readonly number: number } {
  const node = chainNode();
  expect(hear(node, ADA, 7, START + 5, 3, tagged(seven, ADA, 7, START + 5, 3))).toBe("sound");
  return { ...node, number: node.dictionary.find(ADA) };
}

const route = tagged(eight, ADA, 8, START + 40, 4);
function hearEight(node: ChainNode, link = 1) {
  return hear(node, ADA, 8, START + 40, 4, route, { link });
}

describe("the next epoch", () => {
  test("is taken when the epoch before vouches for it, and then vouches for the one after", () => {
    const node = heardSeven();
    expect(hearEight(node)).toBe("unproven");
    expect(node.chains.checkEpoch(0, 1, node.number, 8, proofOf(eight, 8), 0)).toBe("sound");
    expect(hearEight(node)).toBe("sound");
    expect(proofOf(node, 8)).toEqual(proofOf(eight, 8)); // it can show others

    const nine = originOf(ADA, 7, START);
    for (const epoch of [8, 9]) nine.chains.originate(nine.number, epoch, START + 60);
    finish(nine.chains);
    const bytes = tagged(nine, ADA, 9, START + 70, 4);
    expect(hear(node, ADA, 9, START + 70, 4, bytes)).toBe("unproven");
    expect(node.chains.checkEpoch(0, 1, node.number, 9, proofOf(nine, 9), 0)).toBe("sound");
    expect(hear(node, ADA, 9, START + 70, 4, bytes)).toBe("sound");
  });

  test("is taken from a relay that shows the proof, by a node that heard of the old epoch only", () => {
    const relay = heardSeven();
    relay.chains.checkEpoch(0, 1, relay.number, 8, proofOf(eight, 8), 0);
    hearEight(relay);
    const node = heardSeven();
    expect(node.chains.checkEpoch(0, 1, node.number, 8, proofOf(relay, 8), 0)).toBe("sound");
    const told = tagged(relay, ADA, 8, START + 40, 7);
    expect(hear(node, ADA, 8, START + 40, 7, told)).toBe("sound");
  });

  test("is not taken with any bit of its proof changed, nor with the proof of another NAC", () => {
    fc.assert(
      fc.property(fc.integer({ min: 32, max: EPOCH_PROOF_BYTES * 8 - 1 }), (bit) => {
        const node = heardSeven();
        const proof = proofOf(eight, 8);
        proof[bit >> 3]! ^= 1 << (bit & 7);
        expect(["forged", "disputed"]).toContain(node.chains.checkEpoch(0, 1, node.number, 8, proof, 0));
        expect(hearEight(node)).toBe("unproven");
      }),
      { numRuns: 40 },
    );
    const bob = originOf(nacOf(40), 8, START);
    const node = heardSeven();
    expect(node.chains.checkEpoch(0, 1, node.number, 8, proofOf(bob, 8, nacOf(40)), 0)).toBe("disputed");
  });

  test("is not a liar's, who shows the true proof and elements of his own under the true tag", () => {
    const node = heardSeven();
    node.chains.checkEpoch(0, 1, node.number, 8, proofOf(eight, 8), 0);
    const bytes = route.slice();
    bytes.fill(0x55, 0, 16);
    expect(hear(node, ADA, 8, START + 40, 4, bytes)).toBe("forged");
    expect(hear(node, ADA, 8, START + 40, 3, route)).toBe("forged"); // a better metric than the element's
    expect(hear(node, ADA, 8, START + 41, 4, route)).toBe("forged");
    expect(hearEight(node)).toBe("sound");
  });

  test("whoever lies about the slot it began in keeps nobody else's word out", () => {
    const node = heardSeven();
    const lie = proofOf(eight, 8);
    lie[3]! ^= 16; // another slot of the grid
    expect(node.chains.checkEpoch(0, 2, node.number, 8, lie, 0)).toBe("sound"); // the slot is not signed
    expect(hearEight(node, 2)).toBe("forged");
    expect(hearEight(node, 1)).toBe("unproven"); // its own proof, please
    expect(node.chains.checkEpoch(0, 1, node.number, 8, proofOf(eight, 8), 0)).toBe("sound");
    expect(hearEight(node, 1)).toBe("sound");
  });

  test("of a destination that nothing is held of, any epoch is taken; an old one replaces nothing", () => {
    const node = chainNode();
    expect(hearEight(node)).toBe("sound");
    const number = node.dictionary.find(ADA);
    expect(hear(node, ADA, 7, START + 5, 3, tagged(seven, ADA, 7, START + 5, 3), { nowUs: 40 * SECOND_US })).toBe(
      "disputed",
    );
    expect(node.chains.checkEpoch(0, 1, number, 8, proofOf(eight, 8), 0)).toBe("sound"); // known
    expect(node.chains.checkEpoch(0, 1, number, 7, proofOf(eight, 8), 0)).toBe("forged"); // it signs no 7
  });

  test("that skips one cannot be proven: it waits until the destination is forgotten, or for the descriptor", () => {
    const ten = originOf(ADA, 10, START + 60);
    const bytes = tagged(ten, ADA, 10, START + 70, 4);
    const node = heardSeven();
    expect(node.chains.checkEpoch(0, 1, node.number, 10, proofOf(ten, 10), 0)).toBe("disputed");
    expect(hear(node, ADA, 10, START + 70, 4, bytes)).toBe("unproven");
    node.chains.forget(node.number);
    expect(hear(node, ADA, 10, START + 70, 4, bytes)).toBe("sound");
  });

  test("may be passed on by who knows no other epoch, but not with a wrong tag or signature", () => {
    const node = chainNode();
    expect(hearEight(node)).toBe("sound");
    const number = node.dictionary.find(ADA);
    const check = (at: number) => {
      const proof = proofOf(eight, 8);
      proof[at]! ^= 1;
      return node.chains.checkEpoch(0, 1, number, 8, proof, 0);
    };
    expect(check(5)).toBe("disputed"); // another tag than the held epoch's
    expect(check(20)).toBe("forged"); // another end of the metric chain
    expect(check(50)).toBe("forged"); // another key
    expect(check(100)).toBe("forged");
    expect(check(30)).toBe("sound"); // of the epoch before nothing is known here
  });

  test("follows a short one as a long one: what proves it does not tell how long the epoch before was", () => {
    const dictionary = chainNode().dictionary;
    const secretOf = () => new Uint8Array(32).fill(3);
    const args = { suite: nobleSuite, dictionary, networkId: NETWORK, secretOf, epochSlots: 512 };
    const number = dictionary.intern(ADA);
    const proofs = [128, 256, 512].map((firstSlots) => {
      const chains = new HashChains({ ...args, firstSlots });
      chains.originate(number, 7, START);
      finish(chains);
      expect(chains.lastSlot(number)).toBe(START + firstSlots - 1);
      chains.originate(number, 8, START + firstSlots - 16);
      expect(chains.isReady(number, 8)).toBe(true); // it was made meanwhile
      return decodeEpochProof(proofOf({ chains, dictionary }, 8), 0)!;
    });
    for (const { previousLife, previousKey } of proofs) {
      expect([previousLife, previousKey]).toEqual([proofs[0]!.previousLife, proofs[0]!.previousKey]);
    }
  });

  test("is known to its origin as its own, whoever claims it, and another's is not", () => {
    const own = originOf(ADA, 5, START);
    const ours = (bytes: Uint8Array, generation: number, isTagged = true) =>
      own.chains.isOwnEpoch(own.number, 8, generation, bytes, 0, isTagged);
    expect(ours(route, START + 40)).toBe(true);
    expect(ours(route, START + 400)).toBe(true);
    expect(ours(route, START + 40, false)).toBe(false); // nothing to tell it by
    expect(ours(route, START)).toBe(false); // it had not begun
    const lie = route.slice();
    lie[17]! ^= 1;
    expect(ours(lie, START + 40)).toBe(false);
  });

  test("is proven by what a node restarts with: its secret and the number of the epoch before", () => {
    const restarted = originOf(ADA, 8, START + 35);
    expect(proofOf(restarted, 8)).toEqual(proofOf(eight, 8));
  });
});

test("whatever bytes come as epoch proof, life or element, nothing throws and nothing is sound", () => {
  const node = heardSeven();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.nat(255),
      (bytes, slot, metric) => {
        const verdicts = [
          node.chains.checkEpoch(0, 1, node.number, 8, bytes, 0),
          node.chains.checkLife(0, 1, node.number, 7, slot, bytes, 0),
          node.chains.checkMetric(0, 1, node.number, 7, slot, metric, bytes, 0, true),
        ];
        expect(verdicts).not.toContain("sound");
        const proof = decodeEpochProof(bytes, 0);
        expect(proof === undefined).toBe(bytes.length < EPOCH_PROOF_BYTES);
      },
    ),
    { numRuns: 100 },
  );
});

describe("the descriptor", () => {
  const statement = (origin: Origin) => origin.chains.statement(origin.number, START + 1)!;
  const signed = signDescriptor(nobleSuite, NETWORK, identity, statement(seven));
  const liar = originOf(ADA, 7, START, undefined, 128);

  test("reads back as what was signed, and is sound for its NAC in its network alone", () => {
    expect(signed).toHaveLength(DESCRIPTOR_BYTES);
    const read = decodeDescriptor(signed)!;
    expect(read).toMatchObject({ ...statement(seven), suiteFloor: 1 });
    expect(checkDescriptor(nobleSuite, NETWORK, ADA, read)).toBe("sound");
    expect(checkDescriptor(nobleSuite, NETWORK, nacOf(1), read)).toBe("stranger");
    expect(checkDescriptor(nobleSuite, new Uint8Array(32), ADA, read)).toBe("stranger");
  });

  test("any bytes are read without a throw, and one changed bit anywhere is found", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
        expect(decodeDescriptor(bytes) === undefined).toBe(bytes.length !== DESCRIPTOR_BYTES);
      }),
    );
    fc.assert(
      fc.property(fc.nat(DESCRIPTOR_BYTES * 8 - 1), (bit) => {
        const bytes = signed.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(checkDescriptor(nobleSuite, NETWORK, ADA, decodeDescriptor(bytes)!)).not.toBe("sound");
      }),
      { numRuns: 25 },
    );
  });

  test("ends a dispute: the liar's chain is dropped, the true one taken, and nothing else from then on", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, tagged(liar, ADA, 7, START + 1, 3), { link: 1 });
    expect(hear(node, ADA, 7, START + 1, 5, tagged(seven, ADA, 7, START + 1, 5), { link: 2 })).toBe("disputed");
    const number = node.dictionary.find(ADA);
    expect(node.chains.bind(0, number, decodeDescriptor(signed)!)).toBe("sound");
    for (const link of [1, 3, 4]) {
      expect(hear(node, ADA, 7, START + 1, 3, tagged(liar, ADA, 7, START + 1, 3), { link })).toBe("forged");
    }
    expect(hear(node, ADA, 7, START + 1, 5, tagged(seven, ADA, 7, START + 1, 5), { link: 2 })).toBe("sound");
    for (const link of [1, 3, 4]) {
      expect(hear(node, ADA, 7, START + 1, 3, tagged(liar, ADA, 7, START + 1, 3), { link })).toBe("forged");
    }
    expect(node.chains.bind(0, number, decodeDescriptor(signed)!)).toBe("sound");
  });

  test("vouches for what is held already, without losing it", () => {
    const node = heardSeven();
    expect(node.chains.bind(0, node.number, decodeDescriptor(signed)!)).toBe("sound");
    expect(tagged(node, ADA, 7, START + 5, 9)).toEqual(tagged(seven, ADA, 7, START + 5, 9));
    expect(hear(node, ADA, 7, START + 6, 3, tagged(liar, ADA, 7, START + 6, 3), { link: 2 })).toBe("forged");
    node.chains.checkEpoch(0, 1, node.number, 8, proofOf(eight, 8), 0);
    expect(hearEight(node)).toBe("sound"); // what was vouched for vouches on
  });

  test("speaks for an origin that lost count of its epochs", () => {
    const ten = originOf(ADA, 10, START + 60);
    const node = heardSeven();
    const bytes = tagged(ten, ADA, 10, START + 70, 4);
    expect(hear(node, ADA, 10, START + 70, 4, bytes)).toBe("unproven");
    const late = signDescriptor(nobleSuite, NETWORK, identity, statement(ten));
    expect(node.chains.bind(0, node.number, decodeDescriptor(late)!)).toBe("sound");
    expect(hear(node, ADA, 10, START + 70, 4, bytes)).toBe("sound");
  });

  test("of yesterday's epoch changes nothing, and one that nobody signed is forged", () => {
    const node = chainNode();
    hearEight(node);
    const number = node.dictionary.find(ADA);
    expect(node.chains.bind(0, number, decodeDescriptor(signed)!)).toBe("disputed");
    expect(tagged(node, ADA, 8, START + 40, 9)).toEqual(tagged(eight, ADA, 8, START + 40, 9));
    const other = decodeDescriptor(signDescriptor(nobleSuite, NETWORK, identity, { ...statement(seven), epoch: 9 }))!;
    expect(node.chains.bind(0, number, { ...other, startSlot: 1 })).toBe("forged");
  });

  test("of an epoch that is old already is walked a slice at a time, while newer generations come", () => {
    const slots = 4_096;
    const origin = originOf(ADA, 7, START, nobleSuite, slots);
    const descriptor = decodeDescriptor(signDescriptor(nobleSuite, NETWORK, identity, statement(origin)))!;
    const node = chainNode(nobleSuite, slots);
    const number = hearAged(node, origin, 3_900);
    let [nowUs, shown, verdict] = [40 * SECOND_US, 0, "busy"];
    while (verdict === "busy" && shown < 100) {
      if (shown % 3 === 2) hearAged(node, origin, 3_900 + shown, nowUs); // each would begin the walk anew
      verdict = node.chains.bind(nowUs, number, descriptor);
      nowUs += SECOND_US / 10;
      shown += 1;
    }
    expect(verdict).toBe("sound");
    expect(shown).toBeGreaterThan(5); // a slice at a time
    expect(node.chains.isUnbound(number)).toBe(false);
  });
});

function hearAged(node: ChainNode, origin: Origin, age: number, nowUs = 0): number {
  const generation = START + age;
  const element = tagged(origin, ADA, 7, generation, 3);
  expect(hear(node, ADA, 7, generation, 3, element, { nowUs })).toBe("sound");
  return node.dictionary.find(ADA);
}
