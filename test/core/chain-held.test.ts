import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { chainNode, hear, lifeOf, nacOf, originOf, tagged } from "../support/chain-nodes.js";

const [ADA, BOB] = [nacOf(1), nacOf(40)];
const START = 1008;
const ada = originOf(ADA, 7, START);
const SECOND_US = 1_000_000;

const slot = fc.integer({ min: START, max: START + 255 });
const metric = fc.nat(63);
const claim = fc.record({ generation: slot, metric });
const at = ({ generation, metric: m }: { generation: number; metric: number }) => generation * 64 + 63 - m;

describe("elements", () => {
  test("what honest relays write at their metric verifies, in any order: better, worse, older, again", () => {
    fc.assert(
      fc.property(fc.array(claim, { minLength: 1, maxLength: 6 }), (claims) => {
        const node = chainNode();
        for (const { generation, metric: m } of claims) {
          const bytes = tagged(ada, ADA, 7, generation, m);
          expect(hear(node, ADA, 7, generation, m, bytes)).toBe("sound");
          expect(hear(node, ADA, 7, generation, m, bytes, { isTagged: false, link: 2 })).toBe("sound");
        }
      }),
      { numRuns: 30 },
    );
  });

  test("a relay writes what is worse or older than what it holds, the origin's own bytes, and nothing better", () => {
    fc.assert(
      fc.property(claim, claim, (held, wanted) => {
        const node = chainNode();
        hear(node, ADA, 7, held.generation, held.metric, tagged(ada, ADA, 7, held.generation, held.metric));
        const bytes = new Uint8Array(16);
        const number = node.dictionary.find(ADA);
        const isPossible = at(wanted) <= at(held);
        expect(node.chains.writeMetric(number, 7, wanted.generation, wanted.metric, bytes, 0)).toBe(isPossible);
        const expected = isPossible ? tagged(ada, ADA, 7, wanted.generation, wanted.metric) : new Uint8Array(16);
        expect(bytes).toEqual(expected.slice(0, 16));
      }),
      { numRuns: 60 },
    );
  });

  test("an element is sound for no better metric, no newer generation, no other NAC and no other epoch", () => {
    const bobs = originOf(BOB, 7, START);
    fc.assert(
      fc.property(claim, claim, (held, told) => {
        const node = chainNode();
        hear(node, ADA, 7, held.generation, held.metric, tagged(ada, ADA, 7, held.generation, held.metric));
        hear(node, BOB, 7, held.generation, held.metric, tagged(bobs, BOB, 7, held.generation, held.metric));
        const bytes = tagged(ada, ADA, 7, told.generation, told.metric);
        if (told.metric > 0) expect(hear(node, ADA, 7, told.generation, told.metric - 1, bytes)).toBe("forged");
        expect(hear(node, ADA, 7, told.generation + 1, told.metric, bytes)).toBe("forged");
        expect(hear(node, ADA, 7, told.generation + 16, told.metric, bytes)).toBe("forged"); // the same salts
        expect(hear(node, BOB, 7, told.generation, told.metric, bytes)).toBe("forged");
        expect(hear(node, ADA, 8, told.generation, told.metric, bytes)).toBe("unproven");
        expect(hear(node, ADA, 6, told.generation, told.metric, bytes)).toBe("disputed");
      }),
      { numRuns: 30 },
    );
  });

  test("a changed bit of an element or a tag never verifies", () => {
    fc.assert(
      fc.property(claim, fc.nat(24 * 8 - 1), (told, bit) => {
        const node = chainNode();
        hear(node, ADA, 7, START + 100, 5, tagged(ada, ADA, 7, START + 100, 5));
        const bytes = tagged(ada, ADA, 7, told.generation, told.metric);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(hear(node, ADA, 7, told.generation, told.metric, bytes)).toBe("forged");
      }),
      { numRuns: 60 },
    );
  });

  test("a metric of 64 or more, and a generation more than a day away, are refused without a hash", () => {
    const node = chainNode();
    const bytes = tagged(ada, ADA, 7, START, 5);
    expect(hear(node, ADA, 7, START, 64, bytes)).toBe("forged");
    hear(node, ADA, 7, START, 5, bytes);
    expect(hear(node, ADA, 7, START + 20_000, 5, bytes)).toBe("forged");
    expect(hear(node, ADA, 7, START - 20_000, 5, bytes)).toBe("forged");
  });

  test("a first mention without a tag is not taken", () => {
    const node = chainNode();
    expect(hear(node, ADA, 7, START, 5, tagged(ada, ADA, 7, START, 5), { isTagged: false })).toBe("unproven");
    expect(node.chains.held.rows.find(node.dictionary.find(ADA))).toBe(-1);
  });

  test("slots that wrap at 2^32 are ordered as if they did not", () => {
    const start = 0xffff_fff0;
    const wrapping = originOf(ADA, 7, start);
    const node = chainNode();
    const slots = [start + 3, 5, start + 15, 0, 200];
    for (const s of slots.map((value) => value % 2 ** 32)) {
      const bytes = tagged(wrapping, ADA, 7, s, 9);
      expect(hear(node, ADA, 7, s, 9, bytes)).toBe("sound");
      expect(hear(node, ADA, 7, s, 8, bytes)).toBe("forged");
      const life = lifeOf(wrapping, ADA, 7, s);
      expect(node.chains.checkLife(0, 1, node.dictionary.find(ADA), 7, s, life, 0)).toBe("sound");
    }
    // Held is the one after the wrap: the older one can be made of it.
    const older = new Uint8Array(16);
    expect(node.chains.writeMetric(node.dictionary.find(ADA), 7, start + 15, 20, older, 0)).toBe(true);
    expect(older).toEqual(tagged(wrapping, ADA, 7, start + 15, 20).slice(0, 16));
  });

  test("the native suite takes what the reference makes", () => {
    const node = chainNode(createNativeSuite());
    expect(hear(node, ADA, 7, START, 5, tagged(ada, ADA, 7, START, 5))).toBe("sound");
    expect(hear(node, ADA, 7, START + 9, 2, tagged(ada, ADA, 7, START + 9, 2))).toBe("sound");
  });
});

describe("life", () => {
  test("any life element of the chain verifies, first by the tag and then by what is held", () => {
    fc.assert(
      fc.property(fc.array(slot, { minLength: 1, maxLength: 5 }), (slots) => {
        const node = chainNode();
        hear(node, ADA, 7, START, 5, tagged(ada, ADA, 7, START, 5));
        const number = node.dictionary.find(ADA);
        for (const s of slots)
          expect(node.chains.checkLife(0, 1, number, 7, s, lifeOf(ada, ADA, 7, s), 0)).toBe("sound");
        const newest = Math.max(...slots);
        expect(lifeOf(node, ADA, 7, newest)).toEqual(lifeOf(ada, ADA, 7, newest));
        expect(node.chains.writeLife(number, 7, newest + 1, new Uint8Array(28), 0)).toBe(false);
      }),
      { numRuns: 30 },
    );
  });

  test("no life element serves a later slot, another NAC or another epoch; a liar's own life chain does not fit the tag", () => {
    const liar = originOf(ADA, 7, START, undefined, 128); // as if he had drawn another secret: other chains of the same name
    fc.assert(
      fc.property(slot, fc.boolean(), (s, isHeld) => {
        const node = chainNode();
        hear(node, ADA, 7, START, 5, tagged(ada, ADA, 7, START, 5));
        const number = node.dictionary.find(ADA);
        if (isHeld) node.chains.checkLife(0, 1, number, 7, START + 3, lifeOf(ada, ADA, 7, START + 3), 0);
        const life = lifeOf(ada, ADA, 7, s);
        expect(node.chains.checkLife(0, 1, number, 7, s + 1, life, 0)).toBe("forged");
        for (const later of [16, 128, 1024]) {
          expect(node.chains.checkLife(0, 1, number, 7, s + later, life, 0)).toBe("forged"); // the same salts
        }
        expect(node.chains.checkLife(0, 1, number, 8, s, life, 0)).toBe("unproven");
        expect(node.chains.checkLife(0, 1, number, 6, s, life, 0)).toBe("disputed");
        expect(node.chains.checkLife(0, 1, number, 7, START + 50, lifeOf(liar, ADA, 7, START + 50), 0)).toBe("forged");
      }),
      { numRuns: 20 },
    );
  });
});

describe("who is believed", () => {
  const liar = originOf(ADA, 7, START, undefined, 128);
  const truth = (generation: number, m: number) => tagged(ada, ADA, 7, generation, m);
  const lie = (generation: number, m: number) => tagged(liar, ADA, 7, generation, m);

  test("a lie that came first is outvoted by two neighbours, and refused from then on", () => {
    const node = chainNode();
    expect(hear(node, ADA, 7, START + 1, 3, lie(START + 1, 3), { link: 1 })).toBe("sound");
    expect(hear(node, ADA, 7, START + 1, 5, truth(START + 1, 5), { link: 2 })).toBe("disputed");
    expect(hear(node, ADA, 7, START + 1, 4, truth(START + 1, 4), { link: 3 })).toBe("sound");
    expect(hear(node, ADA, 7, START + 1, 5, truth(START + 1, 5), { link: 2 })).toBe("sound");
    expect(hear(node, ADA, 7, START + 2, 3, lie(START + 2, 3), { link: 1 })).toBe("disputed");
    expect(hear(node, ADA, 7, START + 2, 3, lie(START + 2, 3), { link: 1, nowUs: 31 * SECOND_US })).toBe("disputed");
    expect(node.chains.counters).toMatchObject({ disputed: 3, forged: 0 });
  });

  test("who came first is not outvoted by as many, nor by one neighbour that speaks often", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 1 });
    for (let i = 1; i < 50; i += 1) {
      expect(hear(node, ADA, 7, START + i, 3, lie(START + i, 3), { link: 2 })).toBe("disputed");
    }
    expect(hear(node, ADA, 7, START + 9, 3, truth(START + 9, 3), { link: 1 })).toBe("sound");
  });

  test("a neighbour that alone spoke for a chain cannot replace it by another", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 2 });
    expect(hear(node, ADA, 7, START + 2, 0, lie(START + 2, 0), { link: 2 })).toBe("forged");
    expect(hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 1 })).toBe("sound");
  });

  test("after half a minute no number of neighbours replaces what is held", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 1 });
    for (let link = 2; link < 12; link += 1) {
      expect(hear(node, ADA, 7, START + 2, 0, lie(START + 2, 0), { link, nowUs: 30 * SECOND_US })).toBe("disputed");
    }
    expect(hear(node, ADA, 7, START + 3, 3, truth(START + 3, 3), { link: 1, nowUs: 31 * SECOND_US })).toBe("sound");
  });

  test("a neighbour is blamed for contradicting what it vouched for, and not for what others made it believe", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 1 });
    hear(node, ADA, 7, START + 1, 4, truth(START + 1, 4), { link: 2 });
    const number = node.dictionary.find(ADA);
    const nowUs = 40 * SECOND_US;
    const life = lifeOf(liar, ADA, 7, START + 2);
    for (const [link, verdict] of [
      [2, "forged"],
      [3, "disputed"],
    ] as const) {
      expect(hear(node, ADA, 7, START + 2, 0, lie(START + 2, 0), { link, nowUs })).toBe(verdict);
      expect(hear(node, ADA, 7, START + 1, 2, truth(START + 1, 3), { link, nowUs })).toBe(verdict);
      expect(node.chains.checkLife(nowUs, link, number, 7, START + 2, life, 0)).toBe(verdict);
    }
    expect(hear(node, ADA, 7, START + 2, 0, truth(START + 2, 0), { link: 2, nowUs })).toBe("sound");
  });

  test("a link that is gone has no voice any more", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, lie(START + 1, 3), { link: 1 });
    node.chains.forgetLink(1);
    expect(hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 2 })).toBe("sound");
  });

  test("what is forgotten is heard of anew, and another NAC's number knows nothing of it", () => {
    const node = chainNode();
    hear(node, ADA, 7, START + 1, 3, lie(START + 1, 3));
    node.chains.forget(node.dictionary.find(ADA));
    expect(hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { nowUs: 99 * SECOND_US })).toBe("sound");
  });

  test("two nodes with the same keys: elements of both are taken, and the newer epoch decides", () => {
    const clone = originOf(ADA, 7, START);
    const node = chainNode();
    expect(hear(node, ADA, 7, START + 1, 3, truth(START + 1, 3), { link: 1 })).toBe("sound");
    expect(hear(node, ADA, 7, START + 2, 1, tagged(clone, ADA, 7, START + 2, 1), { link: 2 })).toBe("sound");
    // What each hears of itself is its own: it cannot tell, and need not, before the other takes the next epoch.
    expect(hear(ada, ADA, 7, START + 2, 1, tagged(clone, ADA, 7, START + 2, 1))).toBe("sound");
    clone.chains.originate(clone.number, 8, START + 16);
    const proof = new Uint8Array(344);
    while (!clone.chains.proveEpoch(clone.number, 8, proof, 0)) clone.chains.work(10_000);
    const bytes = tagged(clone, ADA, 8, START + 17, 1);
    expect(node.chains.checkEpoch(0, 2, node.dictionary.find(ADA), 8, proof, 0)).toBe("sound");
    expect(hear(node, ADA, 8, START + 17, 1, bytes, { link: 2 })).toBe("sound");
    expect(hear(node, ADA, 7, START + 18, 0, truth(START + 18, 0), { link: 1 })).toBe("disputed");
  });

  test("an origin knows its own elements, and what nobody can have made", () => {
    expect(hear(ada, ADA, 7, START + 1, 3, truth(START + 1, 3))).toBe("sound");
    expect(hear(ada, ADA, 7, START + 1, 3, lie(START + 1, 3))).toBe("forged");
    expect(hear(ada, ADA, 9, START + 1, 3, lie(START + 1, 3))).toBe("disputed");
  });
});
