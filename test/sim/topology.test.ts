/** What every generator promises of its graphs: counts, degrees, one whole, no edge twice. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Stream } from "../../sim/random/stream.js";
import { type Edge, parts } from "../../sim/topology/edges.js";
import { type InternetShape, internet } from "../../sim/topology/internet.js";
import { grid, line, ring, tree } from "../../sim/topology/lattices.js";
import { preferentialAttachment } from "../../sim/topology/preferential-attachment.js";
import { randomRegular } from "../../sim/topology/random-regular.js";
import { waxman } from "../../sim/topology/waxman.js";

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const stream = (id: string | number = 1) => new Stream("test", "topology", id);

/** No loops, no edge twice, all ends there. */
function expectSimple(count: number, edges: readonly Edge[]): void {
  const keys = new Set(edges.map(([a, b]) => `${Math.min(a, b)}/${Math.max(a, b)}`));
  expect(keys.size).toBe(edges.length);
  const wrong = edges.filter(([a, b]) => a === b || Math.min(a, b) < 0 || Math.max(a, b) >= count);
  expect(wrong).toEqual([]);
}

function degrees(count: number, edges: readonly Edge[]): number[] {
  const degree = Array<number>(count).fill(0);
  for (const end of edges.flat()) degree[end]! += 1;
  return degree;
}

describe("topologies without chance", () => {
  test("a line has an end at each side and one edge less than nodes", () => {
    expect(line(1)).toEqual([]);
    expect(line(4)).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
  });

  test("a ring gives everybody two neighbours, and two nodes one edge", () => {
    expect(degrees(7, ring(7))).toEqual(Array(7).fill(2));
    expect(ring(2)).toEqual([[0, 1]]);
    expect(ring(1)).toEqual([]);
  });

  test("a grid joins neighbours in its rows and columns only", () => {
    const edges = grid(7, 7);
    expect(edges).toHaveLength(84);
    expectSimple(49, edges);
    expect(parts(49, edges)).toEqual([0]);
    const ofDegree = [2, 3, 4].map((degree) => degrees(49, edges).filter((one) => one === degree).length);
    expect(ofDegree).toEqual([4, 20, 25]);
    expect(edges.every(([a, b]) => b - a === 7 || (b - a === 1 && b % 7 !== 0))).toBe(true);
  });

  test("a tree hangs everybody but the root below one other, no more than its arity", () => {
    const edges = tree(40, 3);
    expect(edges).toHaveLength(39);
    expect(parts(40, edges)).toEqual([0]);
    const below = degrees(40, edges).map((degree, node) => (node === 0 ? degree : degree - 1));
    expect(Math.max(...below)).toBe(3);
    expect(degrees(6, tree(6, 5))).toEqual([5, 1, 1, 1, 1, 1]);
  });
});

describe("topologies drawn from a seed", () => {
  test("the same stream gives the same graph, another gives another", () => {
    expect(randomRegular(30, 4, stream())).toEqual(randomRegular(30, 4, stream()));
    expect(randomRegular(30, 4, stream(1))).not.toEqual(randomRegular(30, 4, stream(2)));
  });

  test(`random regular: everybody has the degree, in one whole, down to nearly complete graphs (FC_SEED=${seed})`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 60 }), fc.integer({ min: 2, max: 12 }), fc.nat(), (count, wished, id) => {
        const degree = Math.min(wished, count - 1);
        if ((degree * count) % 2 === 1) return;
        const edges = randomRegular(count, degree, stream(id));
        expectSimple(count, edges);
        expect(degrees(count, edges)).toEqual(Array(count).fill(degree));
        expect(parts(count, edges)).toEqual([0]);
      }),
      { seed, numRuns: 200 },
    );
  });

  test("preferential attachment: whole, with the number of edges its rule gives, and a few well-known nodes", () => {
    const edges = preferentialAttachment(500, 3, stream());
    expectSimple(500, edges);
    expect(edges).toHaveLength(6 + 496 * 3);
    expect(parts(500, edges)).toEqual([0]);
    const sorted = degrees(500, edges).sort((a, b) => b - a);
    expect(sorted.at(-1)).toBe(3);
    expect(sorted[0]).toBeGreaterThan(30); // a random graph with this many edges stays below 16
  });

  test("waxman: whole, and edges are shorter the smaller alpha is", () => {
    const near = waxman(200, 50_000, 900_000, stream());
    const far = waxman(200, 900_000, 900_000, stream());
    for (const edges of [near, far]) {
      expectSimple(200, edges);
      expect(parts(200, edges)).toEqual([0]);
    }
    expect(far.length).toBeGreaterThan(5 * near.length);
    expect(waxman(50, 150_000, 0, stream())).toHaveLength(49); // a tree of nearest ones
  });
});

describe("the small internet", () => {
  const SHAPE: InternetShape = {
    count: 5000,
    publicPpm: 200_000,
    uplinks: 5,
    publicLinks: 4,
    degreeMax: 64,
    subnetsPpm: 250_000,
    subnetNodes: [2, 8],
    gateways: [1, 2],
  };

  test("of five thousand nodes a fifth is public, all hang together, and nobody public has more than 64 links", () => {
    const net = internet(SHAPE, stream());
    expectSimple(5000, net.edges);
    expect(net.publicCount).toBe(1000);
    expect(parts(5000, net.edges)).toEqual([0]);
    expect(net.edges.length).toBeGreaterThan(21_000);
    expect(net.edges.length).toBeLessThan(25_000);
    const degree = degrees(5000, net.edges);
    expect(Math.max(...degree)).toBeLessThanOrEqual(64);
    expect(degree.slice(net.houses)).toEqual(Array(5000 - net.houses).fill(5));
    // Whoever is public has dialled four others of them, or has been dialled by so many.
    expect(Math.min(...degree.slice(0, 1000))).toBeGreaterThanOrEqual(4);
  });

  test("a subnet is a mesh of two to eight with one or two gateways, and only these have uplinks", () => {
    const net = internet(SHAPE, stream());
    expect(net.subnets.length).toBeGreaterThan(100);
    const uplinks = new Map<number, number>();
    for (const [a, b] of net.edges)
      if (b < net.publicCount && a >= net.publicCount) uplinks.set(a, (uplinks.get(a) ?? 0) + 1);
    const edges = new Set(net.edges.map(([a, b]) => `${Math.min(a, b)}/${Math.max(a, b)}`));
    const missing: string[] = [];
    for (const { first, gateways, inner } of net.subnets) {
      expect(gateways === 1 || gateways === 2).toBe(true);
      expect(inner >= 2 && inner <= 8).toBe(true);
      for (let a = first; a < first + gateways + inner; a += 1) {
        expect(uplinks.get(a) ?? 0).toBe(a < first + gateways ? 5 : 0);
        for (let b = first; b < a; b += 1) if (!edges.has(`${b}/${a}`)) missing.push(`${b}/${a}`);
      }
    }
    expect(missing).toEqual([]);
  });

  test(`its bounds hold for any shape, also where there is no room for all uplinks (FC_SEED=${seed})`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 2, max: 64 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        (count, publicPpm, uplinks, degreeMax, subnetsPpm) => {
          const net = internet({ ...SHAPE, count, publicPpm, uplinks, degreeMax, subnetsPpm }, stream(count));
          expectSimple(count, net.edges);
          expect(net.publicCount).toBeGreaterThanOrEqual(1);
          const degree = degrees(count, net.edges);
          expect(Math.max(0, ...degree.slice(0, net.publicCount))).toBeLessThanOrEqual(degreeMax);
          expect(Math.max(0, ...degree.slice(net.houses))).toBeLessThanOrEqual(uplinks);
        },
      ),
      { seed, numRuns: 100 },
    );
  });
});
