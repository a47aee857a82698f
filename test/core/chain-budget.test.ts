import fc from "fast-check";
import { expect, test } from "vitest";
import { HashBudget } from "../../core/chain/hash-budget.js";
import { EPOCH_SLOTS_MAX } from "../../core/chain/step.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { modelledSuite } from "../../sim/suite/modelled-suite.js";
import { chainNode, hear, lifeOf, nacOf, originOf, tagged } from "../support/chain-nodes.js";

const ADA = nacOf(1);
const START = 1008;
const SECOND_US = 1_000_000;
const NOISE = (i: number) => Uint8Array.from({ length: 28 }, (_, k) => (i * 31 + k * 7) & 255);

/** The modelled suite, counting: budgets are in hashes, whatever a hash is. */
function counting() {
  const seen = { hashes: 0 };
  const suite: CryptoSuite = {
    ...modelledSuite,
    hashBlock(block, out, at) {
      seen.hashes += 1;
      modelledSuite.hashBlock(block, out, at);
    },
  };
  return { suite, seen };
}

const ada = originOf(ADA, 7, START, modelledSuite, EPOCH_SLOTS_MAX);

test("sixty-four liars together make a node compute no more than 260,000 hashes a second, after what it had saved", () => {
  const { suite, seen } = counting();
  const node = chainNode(suite);
  hear(node, ADA, 7, START + 9000, 3, tagged(ada, ADA, 7, START + 9000, 3), { link: 100 });
  const number = node.dictionary.find(ADA);
  const spent: number[] = [];
  for (let second = 0; second < 6; second += 1) {
    seen.hashes = 0;
    for (let i = 0; i < 64 * 30; i += 1) {
      const nowUs = 60 * SECOND_US + second * SECOND_US + Math.floor((i * SECOND_US) / (64 * 30));
      const link = i % 64;
      if (i % 3 === 0) node.chains.checkLife(nowUs, link, number, 7, START + 8000 + (i % 500), NOISE(i), 0);
      else if (i % 3 === 1) hear(node, ADA, 7, START + (i % 9000), 3, NOISE(i), { link, nowUs, isTagged: false });
      else node.chains.checkEpoch(nowUs, link, number, 8, new Uint8Array(344).fill(i), 0);
    }
    spent.push(seen.hashes);
  }
  // In the first seconds what the pool and 64 new shares had saved: 400,000 and 64 times 20,000 at most.
  expect(spent[0]).toBeLessThan(1_950_000);
  for (const hashes of spent.slice(4)) expect(hashes).toBeLessThan(270_000);
  expect(Math.min(...spent)).toBeGreaterThan(1_000); // they did make it work
}, 20_000);

test("who lies without end uses up his own allowance and the pool, and an honest neighbour's claims are still checked", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 4000, 3, tagged(ada, ADA, 7, START + 4000, 3), { link: 1 });
  const busy = { liar: 0, honest: 0 };
  for (let second = 1; second < 9; second += 1) {
    for (let i = 0; i < 200; i += 1) {
      const nowUs = 40 * SECOND_US + second * SECOND_US + i * 5_000;
      const told = hear(node, ADA, 7, START + 4000 + 1 + ((i * 17) % 300), 3, NOISE(i), {
        link: 2,
        nowUs,
        isTagged: false,
      });
      if (told === "busy") busy.liar += 1;
      else expect(told).toBe("disputed");
    }
    const generation = START + 4000 + 3 * second; // every 15 s would do: 192 hashes
    const nowUs = 41 * SECOND_US + second * SECOND_US;
    const told = hear(node, ADA, 7, generation, 3, tagged(ada, ADA, 7, generation, 3), { link: 1, nowUs });
    if (told === "busy") busy.honest += 1;
    else expect(told).toBe("sound");
  }
  expect(busy.liar).toBeGreaterThan(200);
  expect(busy.honest).toBe(0);
}, 20_000);

test("no check holds up a node for more than one slice of 32,768 hashes, and a life check for 19,440", () => {
  const { suite, seen } = counting();
  const node = chainNode(suite);
  hear(node, ADA, 7, START + 20, 3, tagged(ada, ADA, 7, START + 20, 3));
  const number = node.dictionary.find(ADA);
  let most = 0;
  for (let i = 0; i < 200; i += 1) {
    seen.hashes = 0;
    hear(node, ADA, 7, START + 17_000 + (i % 2), 3, NOISE(i), { nowUs: i * 50_000, isTagged: false });
    most = Math.max(most, seen.hashes);
    seen.hashes = 0;
    node.chains.checkLife(i * 50_000, 3, number, 7, START + i, NOISE(i), 0);
    expect(seen.hashes).toBeLessThanOrEqual(19_440);
  }
  expect(most).toBe(32_768);
});

test("a long walk that is asked for again and again is finished in pieces, though others are checked between", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 20, 3, tagged(ada, ADA, 7, START + 20, 3), { link: 1 });
  const far = tagged(ada, ADA, 7, START + 5000, 6);
  const told: string[] = [];
  for (let i = 0; i < 30 && told.at(-1) !== "sound"; i += 1) {
    const nowUs = 40 * SECOND_US + i * 500_000;
    told.push(hear(node, ADA, 7, START + 5000, 6, far, { link: 2, nowUs }));
    if (told.at(-1) === "busy") {
      expect(hear(node, ADA, 7, START + 20, 4, tagged(ada, ADA, 7, START + 20, 4), { link: 1, nowUs })).toBe("sound");
    }
  }
  expect(told.filter((verdict) => verdict === "busy").length).toBeGreaterThanOrEqual(9); // 318,717 hashes
  expect(told.at(-1)).toBe("sound");
});

test("a walk under way for one claim does not make another sound", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 20, 3, tagged(ada, ADA, 7, START + 20, 3));
  const far = tagged(ada, ADA, 7, START + 5000, 6);
  for (let i = 0; i < 9; i += 1)
    expect(hear(node, ADA, 7, START + 5000, 6, far, { nowUs: i * SECOND_US })).toBe("busy");
  let told = "busy";
  for (let i = 9; i < 60 && told === "busy"; i += 1) {
    told = hear(node, ADA, 7, START + 5000, 5, far, { nowUs: i * SECOND_US }); // the same bytes for a better metric
  }
  expect(told).toBe("forged");
});

test("a walk that was begun with the true element does not end for a false one of the same place", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 20, 3, tagged(ada, ADA, 7, START + 20, 3));
  const far = tagged(ada, ADA, 7, START + 5000, 6);
  for (let i = 0; i < 9; i += 1)
    expect(hear(node, ADA, 7, START + 5000, 6, far, { nowUs: i * SECOND_US })).toBe("busy");
  const wrong = far.slice();
  wrong[15]! ^= 1;
  let told = "busy";
  for (let i = 9; i < 60 && told === "busy"; i += 1) {
    told = hear(node, ADA, 7, START + 5000, 6, wrong, { nowUs: i * SECOND_US });
  }
  expect(told).toBe("forged");
});

test("what is 256 slots older than the held element is not written, however cheap it is to ask", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 1000, 3, tagged(ada, ADA, 7, START + 1000, 3));
  const number = node.dictionary.find(ADA);
  const bytes = new Uint8Array(16);
  expect(node.chains.writeMetric(number, 7, START + 744, 3, bytes, 0)).toBe(true);
  expect(node.chains.writeMetric(number, 7, START + 744, 4, bytes, 0)).toBe(false);
});

test("the same element again costs a comparison, and no allowance", () => {
  const { suite, seen } = counting();
  const node = chainNode(suite);
  const bytes = tagged(ada, ADA, 7, START + 20, 3);
  hear(node, ADA, 7, START + 20, 3, bytes);
  seen.hashes = 0;
  for (let i = 0; i < 10_000; i += 1) expect(hear(node, ADA, 7, START + 20, 3, bytes, { link: i % 8 })).toBe("sound");
  expect(seen.hashes).toBe(0);
});

test("five thousand destinations with life take less than 500 KB", () => {
  const node = chainNode(modelledSuite);
  const nac = new Uint8Array(16);
  for (let i = 0; i < 5_000; i += 1) {
    nac[0] = i >> 8;
    nac[1] = i;
    hear(node, nac, 7, START + 20, 3, NOISE(i));
  }
  expect(node.chains.held.rows.bytes).toBeLessThan(500_000);
});

test("a hundred thousand invented destinations cost no hashes, and what they took is free again when they are forgotten", () => {
  const { suite, seen } = counting();
  const node = chainNode(suite);
  const nac = new Uint8Array(16);
  for (let i = 0; i < 100_000; i += 1) {
    new DataView(nac.buffer).setUint32(0, i);
    const number = node.dictionary.intern(nac);
    node.chains.checkMetric(0, 1, number, 7, START, 3, NOISE(i), 0, true);
    node.chains.forget(number);
    node.dictionary.release(number);
  }
  expect(seen.hashes).toBe(0);
  expect(node.chains.held.rows.bytes).toBeLessThan(20_000);
});

test("disputes at most double what a claim costs, and no more than 4,096 are recorded", () => {
  const node = chainNode(modelledSuite);
  const nac = new Uint8Array(16);
  for (let i = 0; i < 5_000; i += 1) {
    new DataView(nac.buffer).setUint32(0, i);
    hear(node, nac, 7, START, 3, NOISE(i), { link: 1 });
    expect(hear(node, nac, 7, START, 3, NOISE(i + 1), { link: 2 })).toBe("disputed");
  }
  expect(node.chains.held.challengers.size).toBe(4_096);
});

test("an allowance is never overdrawn and comes back at its rate, however it is asked", () => {
  const step = fc.record({ link: fc.nat(9), hashes: fc.nat(300_000), passUs: fc.nat(3 * SECOND_US) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new HashBudget();
      let nowUs = 0;
      let spent = 0;
      for (const { link, hashes, passUs } of steps) {
        nowUs += passUs;
        const there = budget.available(nowUs, link);
        expect(there).toBeGreaterThanOrEqual(0);
        const taken = Math.min(hashes, there);
        budget.spend(nowUs, link, taken);
        spent += taken;
        expect(budget.available(nowUs, link)).toBe(there - taken);
      }
      expect(spent).toBeLessThanOrEqual(400_000 + 10 * 20_000 + (260_000 * nowUs) / SECOND_US);
    }),
  );
});

test("a link that comes anew brings a second's allowance, so that coming again pays nothing", () => {
  const budget = new HashBudget();
  budget.spend(0, 1, budget.available(0, 1));
  expect(budget.available(0, 1)).toBe(0);
  budget.forget(1);
  expect(budget.available(0, 1)).toBe(20_000);
});

test("life elements that are wrong are forged at whatever slot, and a true one after them is sound", () => {
  const node = chainNode(modelledSuite);
  hear(node, ADA, 7, START + 20, 3, tagged(ada, ADA, 7, START + 20, 3));
  const number = node.dictionary.find(ADA);
  for (let i = 0; i < 20; i += 1) {
    const nowUs = i * SECOND_US;
    expect(node.chains.checkLife(nowUs, 1, number, 7, START + i * 800, NOISE(i), 0)).toBe("forged");
  }
  const life = lifeOf(ada, ADA, 7, START + 16_000);
  expect(node.chains.checkLife(30 * SECOND_US, 2, number, 7, START + 16_000, life, 0)).toBe("sound");
});
