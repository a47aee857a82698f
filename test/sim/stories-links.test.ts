import { describe, expect, test } from "vitest";
import { type Story, tell } from "../support/story.js";

/** Two sides of three, joined by two cables. */
const TWO_SIDES = `
nodes: { names: [a0, a1, a2, b0, b1, b2] }
topology: { kind: graph, edges: [[a0, a1], [a1, a2], [a2, a0], [b0, b1], [b1, b2], [b2, b0], [a0, b0], [a1, b1]] }
links: { default: { latency: 10ms, jitter: 2ms, loss: 1% } }
seed: 1
`;
const A = ["a0", "a1", "a2"];
const B = ["b0", "b1", "b2"];
const RING = `
nodes: { count: 6 }
topology: { kind: ring }
links: { default: { latency: 8ms, loss: 1% } }
seed: 1
`;

function linksLost(story: Story, fromSeconds = 0): readonly string[] {
  return story.events.flatMap((event) =>
    event.kind === "link" && !event.isUp && event.atSeconds >= fromSeconds ? [`${event.node} ${event.peer}`] : [],
  );
}

describe("a partition", () => {
  test("leaves each side whole and without routes to the other; healed, they are one within ten seconds", () => {
    tell(
      `${TWO_SIDES}duration: 90s
timeline: [{ at: 20s, do: partition, from: "a*", for: 30s }]
expect: [loops == 0, ghosts == 0]`,
      {
        19: (scene) => expect(scene.isMeshed()).toBe(true),
        29: (scene) => {
          expect(scene.isMeshed(A)).toBe(true);
          expect(scene.isMeshed(B)).toBe(true);
          for (const name of B) expect(scene.holders(name).filter((holder) => A.includes(holder))).toEqual([]);
          for (const name of A) expect(scene.holders(name).filter((holder) => B.includes(holder))).toEqual([]);
        },
        60: (scene) => expect(scene.isMeshed()).toBe(true),
      },
    );
  });

  test("in one direction takes the links down at both ends: nobody sends into silence", () => {
    const story = tell(
      `${TWO_SIDES}duration: 60s
timeline: [{ at: 20s, do: partition, from: "a*", to: "b*", oneWay: true, for: 20s }]
expect: [loops == 0]`,
      {
        30: (scene) => {
          for (const from of A) for (const to of B) expect(scene.way(from, to)).toBeUndefined();
          for (const from of B) for (const to of A) expect(scene.way(from, to)).toBeUndefined();
        },
        52: (scene) => expect(scene.isMeshed()).toBe(true),
      },
    );
    expect(new Set(linksLost(story, 20))).toEqual(new Set(["a0 b0", "b0 a0", "a1 b1", "b1 a1"]));
  });
});

describe("a link", () => {
  test("that is cut is gone within five seconds, and its traffic goes the long way round until it is mended", () => {
    const story = tell(
      `${RING}duration: 60s
timeline: [{ at: 20s, do: cut, between: [n0, n1], for: 20s }]
expect: [falseRemovals == 0, loops == 0]`,
      {
        19: (scene) => expect(scene.way("n0", "n1")).toEqual(["n0", "n1"]),
        29: (scene) => expect(scene.way("n0", "n1")).toEqual(["n0", "n5", "n4", "n3", "n2", "n1"]),
        55: (scene) => expect(scene.way("n0", "n1")).toEqual(["n0", "n1"]),
      },
    );
    expect(new Set(linksLost(story))).toEqual(new Set(["n0 n1", "n1 n0"]));
  });

  test("that grows slow stays, and costs more: traffic goes round it, and comes back", () => {
    const story = tell(
      `
nodes: { names: [a, b, c] }
topology: { kind: ring }
links: { default: { latency: 4ms } }
seed: 1
duration: 200s
timeline: [{ at: 20s, do: degrade, between: [a, b], link: { latency: 150ms }, for: 60s }]
expect: ["unreachablePairShare.max == 0% from 10s to 200s"]`,
      {
        19: (scene) => expect(scene.way("a", "b")).toEqual(["a", "b"]),
        75: (scene) => {
          expect(scene.link("a", "b")!.cost).toBeGreaterThan(2);
          expect(scene.way("a", "b")).toEqual(["a", "c", "b"]);
          expect(scene.way("b", "a")).toEqual(["b", "c", "a"]);
        },
        190: (scene) => expect(scene.way("a", "b")).toEqual(["a", "b"]),
      },
    );
    expect(linksLost(story)).toEqual([]);
  });

  test("that flaps moves the routes over it, and no others", () => {
    const story = tell(
      `${RING}duration: 110s
timeline: [{ at: 20s, do: flap, between: [n0, n1], every: 20s, down: 8s, times: 3 }]
expect: [falseRemovals == 0, loops == 0, ghosts == 0]`,
      { 105: (scene) => expect(scene.way("n0", "n1")).toEqual(["n0", "n1"]) },
    );
    expect(linksLost(story).filter((pair) => pair === "n0 n1")).toHaveLength(3);
    expect(new Set(linksLost(story))).toEqual(new Set(["n0 n1", "n1 n0"]));
    const moved = story.events.filter(
      (event) => event.kind === "route" && event.atSeconds > 20 && event.node === "n3" && event.to === "n4",
    );
    expect(moved).toEqual([]);
  });
});

test("a node that flaps is forgotten each time, and found again each time within a second", () => {
  const { report } = tell(
    `${RING}duration: 130s
timeline: [{ at: 20s, do: flap, select: n3, every: 20s, down: 10s, times: 3 }]
expect:
  - crashes == 3
  - joins == 3 from 20s to 130s
  - join.max < 1s from 20s to 130s
  - falseRemovals == 0
  - loops == 0`,
    { 120: (scene) => expect(scene.isMeshed()).toBe(true) },
  );
  expect(report.metrics).toMatchObject({ removal: { count: 3, censored: 0 } });
});

test("a node with another address moves its links there: neighbours answer it where it is", () => {
  const story = tell(
    `${RING}duration: 60s
timeline: [{ at: 20s, do: move, select: n3 }]
expect: [loops == 0]`,
    {
      32: (scene) => {
        expect(scene.isMeshed()).toBe(true);
        expect(scene.way("n2", "n3")).toEqual(["n2", "n3"]);
      },
    },
  );
  expect(story.drops.unreachable).toBeGreaterThan(0); // what was on its way to the old one
});

test("a subnet that loses one of its two gateways is reached through the other", () => {
  tell(
    `
nodes: { names: [p0, p1, gate0, gate1, in0, in1, in2] }
topology: { kind: graph, edges: [[p0, p1], [gate0, p0], [gate1, p1]] }
links: { default: { latency: 10ms, loss: 1% } }
subnets: [{ name: office, select: "in*", gateways: [gate0, gate1], mesh: true }]
seed: 1
duration: 60s
timeline: [{ at: 20s, do: gateway-death, subnet: office }]
expect: [crashes == 1, loops == 0]`,
    {
      19: (scene) => {
        expect(scene.way("p0", "in0")).toEqual(["p0", "gate0", "in0"]);
        expect(scene.way("p1", "in0")).toEqual(["p1", "gate1", "in0"]);
      },
      30: (scene) => {
        const left = scene.alive().filter((name) => name.startsWith("gate"));
        expect(left).toHaveLength(1);
        expect(scene.isMeshed()).toBe(true);
        expect(scene.way("p0", "in0")).toContain(left[0]);
        expect(scene.way("p1", "in0")).toContain(left[0]);
      },
    },
  );
});

describe("traffic", () => {
  const LINE = (link: string) => `
nodes: { count: 4 }
topology: { kind: line }
links: { default: { latency: 10ms, ${link} } }
seed: 1
duration: 60s
timeline:
  - { at: 12s, do: traffic, kind: stream, from: n0, to: n3, size: 200KiB }
  - { at: 12s, do: traffic, kind: request, from: n1, to: n3, size: 64KiB }
`;
  const DATAGRAMS =
    "  - { at: 12s, do: traffic, kind: datagrams, from: n3, to: n0, size: 300B, count: 50, gap: 10ms }\n";

  test("of all three kinds arrives whole over four nodes", () => {
    tell(`${LINE("jitter: 2ms")}${DATAGRAMS}expect: [delivery.share == 100%]`);
  });

  test("loses no byte of streams and requests where one datagram in ten is lost, and nothing of the rest is damaged", () => {
    const story = tell(
      `${LINE("loss: 10%, duplicate: 2%, reorder: 5%, reorderBy: 8ms, corrupt: 1%")}expect: [delivery.share == 100%]`,
    );
    expect(story.drops.loss).toBeGreaterThan(50);
  });

  test("survives the death of a relay when there is another way", () => {
    tell(`
nodes: { names: [ada, left, right, dan] }
topology: { kind: ring }
links: { default: { latency: 10ms, rate: 2Mbit, queue: 64KiB } }
seed: 1
duration: 90s
timeline:
  - { at: 12s, do: traffic, kind: stream, from: ada, to: right, size: 2MiB }
  - { at: 14s, do: crash, select: left }
expect: [delivery.share == 100%, crashes == 1]`);
  });
});
