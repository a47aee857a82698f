/** Liars at work, and what the others make of it: true whether or not anybody proves that he lives. */
import { describe, expect, test } from "vitest";
import { insideOf } from "../../sim/fault/stack-inside.js";
import { play, tell } from "../support/story.js";

/** The liar stands on the shorter way from ada to dan, and beside eve; an honest way leads to everybody. */
const ROUND = `
seed: 3
nodes: { names: [ada, bob, cyd, liar, dan, eve] }
topology: { kind: graph, edges: [[ada, liar], [liar, dan], [ada, bob], [bob, cyd], [cyd, dan], [dan, eve], [liar, eve]] }
links: { default: { latency: 10ms, jitter: 2ms, loss: 1% } }
`;
const HONEST = ["ada", "bob", "cyd", "dan", "eve"];

const turns = (as: string, atSeconds = 12) => `{ at: ${atSeconds}s, do: byzantine, select: liar, as: ${as} }`;

describe("a liar that replays the distance it heard", () => {
  test("draws whom it is as near as another to, by one link at most, and that is counted apart from forgeries", () => {
    const square = `
nodes: { names: [ada, bob, liar, dan] }
topology: { kind: graph, edges: [[ada, bob], [bob, dan], [ada, liar], [liar, dan]] }
seed: 1
duration: 40s
`;
    const { report } = tell(`${square}timeline: [${turns("same-distance")}]`, {
      39: (scene) => expect(scene.way("ada", "dan")).toEqual(["ada", "liar", "dan"]),
    });
    expect(report.metrics.replayGains).toBeGreaterThan(0);
    expect(report.metrics.forgedAccepted).toBe(0);
  });
});

describe("a liar that tells newer indexes than there are", () => {
  test("makes others ask for what no origin gave out, which is counted, and cuts nobody off for long", () => {
    const { report } = tell(
      `${ROUND}
duration: 80s
timeline:
  - ${turns("index")}
  - { at: 25s, do: cut, between: [liar, dan], for: 10s }
  - { at: 45s, do: cut, between: [liar, eve], for: 10s }
expect: [loops == 0, forgedRequests >= 1]`,
      { 79: (scene) => expect(scene.isMeshed(HONEST)).toBe(true) },
    );
    expect(report.metrics.forgedRequests).toBeLessThan(100);
  });
});

describe("a staller", () => {
  test("that says hello and processes nothing loses the links of those who have something to tell it", () => {
    const { events } = tell(`${ROUND}
duration: 100s
timeline: [${turns("stall")}, { at: 20s, do: crash, select: eve }]
expect: [loops == 0, ghosts == 0, removal.max < 30s]`);
    const lost = events.filter((event) => event.kind === "link" && event.peer === "liar" && !event.isUp);
    expect(lost.length).toBeGreaterThan(0);
  });
});

describe("a black hole", () => {
  test("drops what it should carry, while its routes are as good as any; what goes another way arrives", () => {
    const flow = (from: string, to: string) =>
      `{ at: 20s, do: traffic, kind: datagrams, from: ${from}, to: ${to}, size: 100B, count: 40, gap: 50ms }`;
    const through = tell(`${ROUND}
duration: 30s
timeline: [${turns("black-hole")}, ${flow("ada", "dan")}]
expect: ["delivery.share == 0%", "unreachablePairShare.max == 0% from 15s to 30s"]`);
    expect(through.report.metrics.forgedAccepted).toBe(0);
    tell(`${ROUND}
duration: 30s
timeline: [${turns("black-hole")}, ${flow("bob", "dan")}]
expect: ["delivery.share >= 80%"]`);
  });
});

describe("a flapper", () => {
  test.each([
    ["flap", 60],
    ["flap-fast", 18],
  ])("%s neither makes a loop nor disturbs the routes that lead round it", (as, seconds) => {
    const { report } = tell(
      `${ROUND}
duration: ${seconds}s
timeline: [${turns(as, 10)}]
expect: [loops == 0]`,
      {
        [seconds - 1]: (scene) => {
          expect(scene.way("bob", "dan")).toEqual(["bob", "cyd", "dan"]);
          expect(scene.way("dan", "eve")).toEqual(["dan", "eve"]);
        },
      },
    );
    expect(report.metrics.routeChanges).toBeGreaterThan(40);
  });
});

describe("floods", () => {
  test("of records whose frames lie about themselves lose no link between honest nodes, and starve nobody for long", () => {
    const { events } = tell(`${ROUND}
duration: 60s
timeline: [${turns("malformed")}]
expect: [loops == 0, starvation.longest < 12s]`);
    const lost = events.filter((event) => event.kind === "link" && !event.isUp && event.node !== "liar");
    expect(lost.filter((event) => "peer" in event && event.peer !== "liar")).toEqual([]);
  });

  test("of requests are dropped beyond the rate of one neighbour, and what the others ask is answered", () => {
    tell(
      `${ROUND}
duration: 30s
timeline: [${turns("oversized")}, { at: 20s, do: cut, between: [ada, bob], for: 5s }]
expect: [loops == 0]`,
      {
        29: (scene) => {
          expect(insideOf(scene.stack("ada")).routing.refusals.requests).toBeGreaterThan(1_000);
          expect(scene.isMeshed(HONEST)).toBe(true);
        },
      },
    );
  });

  test("of a hundred thousand NACs that nobody has fill no more than the share of one neighbour, and every node keeps its routes", () => {
    const { report } = tell(
      `
seed: 1
duration: 24s
nodes: { names: [ada, liar] }
topology: { kind: line }
timeline: [${turns("overflow", 4)}]
expect: [loops == 0]`,
      { 23: (scene) => expect(scene.isMeshed()).toBe(true) },
    );
    const { peak, limit } = (report.metrics.caps as Record<string, { peak: number; limit: number }>)
      .routesPerNeighbour!;
    expect(peak).toBeGreaterThan(1_000);
    expect(peak).toBeLessThanOrEqual(limit);
  });
});

describe("liars together", () => {
  test("around a victim are all who have a link to it, and nobody else", () => {
    const { report } = play(
      `${ROUND}
duration: 100s
timeline: [{ at: 12s, do: byzantine, around: ada, as: [ghost, swallow] }, { at: 20s, do: crash, select: eve }]`,
    );
    expect(report.metrics.eclipsed).toBe(1); // ada, whose neighbours are bob and the liar
  });

  test("must be named, one by one or around somebody", () => {
    const nobody = `${ROUND}duration: 20s\ntimeline: [{ at: 12s, do: byzantine, as: ghost }]`;
    expect(() => play(nobody)).toThrow("who lies is missing");
  });

  test("who are restarted lie on", () => {
    tell(
      `${ROUND}
duration: 50s
timeline: [${turns("black-hole")}, { at: 20s, do: restart, select: liar }, { at: 35s, do: traffic, kind: datagrams, from: ada, to: dan, size: 100B, count: 20, gap: 50ms }]
expect: ["delivery.share == 0%"]`,
      { 34: (scene) => expect(scene.way("ada", "dan")).toEqual(["ada", "liar", "dan"]) },
    );
  });
});
