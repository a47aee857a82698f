import { describe, expect, test } from "vitest";
import { type Story, type StoryEvent, tell } from "../support/story.js";

const RING = `
nodes: { count: 6 }
topology: { kind: ring }
links: { default: { latency: 10ms, jitter: 2ms, loss: 1% } }
`;

/** Each loss of a route to `to`, in order. */
function lossesOf(story: Story, to: string, fromSeconds: number): readonly StoryEvent[] {
  return story.events.filter(
    (event) => event.kind === "route" && event.to === to && event.hop === "" && event.atSeconds >= fromSeconds,
  );
}

/** The link of `node` to `peer` went down at, seconds. */
function linkDownAt(story: Story, node: string, peer: string): number | undefined {
  return story.events.find(
    (event) => event.kind === "link" && event.node === node && event.peer === peer && !event.isUp,
  )?.atSeconds;
}

describe("a node", () => {
  test("that crashes is missed by its neighbours within five seconds, and by everybody a moment later", () => {
    const story = tell(
      `${RING}
seed: 1
duration: 90s
timeline: [{ at: 20s, do: crash, select: n3 }]
expect: [crashes == 1, removal.max < 6s, loops == 0, ghosts == 0]`,
      {
        19: (scene) => expect(scene.holders("n3")).toHaveLength(5),
        21: (scene) => expect(scene.isMeshed()).toBe(false), // nobody was told
        28: (scene) => {
          expect(scene.holders("n3")).toEqual([]);
          expect(scene.isMeshed()).toBe(true);
          expect(scene.way("n2", "n4")).toEqual(["n2", "n1", "n0", "n5", "n4"]);
        },
      },
    );
    for (const neighbour of ["n2", "n4"]) {
      expect(linkDownAt(story, neighbour, "n3")).toBeGreaterThan(22);
      expect(linkDownAt(story, neighbour, "n3")).toBeLessThan(25.5);
    }
  });

  test("that leaves is forgotten at once, and counts as no death", () => {
    const story = tell(
      `${RING}
seed: 1
duration: 40s
timeline: [{ at: 20s, do: leave, select: n3 }]
expect: [crashes == 0, falseRemovals == 0]`,
      { 21: (scene) => expect(scene.holders("n3")).toEqual([]) },
    );
    expect(story.events.some(({ kind }) => kind === "leave")).toBe(true);
    const losses = lossesOf(story, "n3", 20);
    expect(losses.length).toBeGreaterThanOrEqual(5);
    expect(losses.at(-1)!.atSeconds).toBeLessThan(20.4);
  });

  test.each(["kept", "lost"])(
    "that restarts with its state %s is routable again at once, in a newer epoch",
    (state) => {
      let before = 0;
      const story = tell(
        `${RING}
seed: 1
duration: 40s
timeline: [{ at: 20s, do: restart, select: n3, state: ${state} }]
expect: [falseRemovals == 0, joins == 1 from 15s to 40s, join.max < 1s from 15s to 40s]`,
        {
          19: (scene) => {
            before = scene.stack("n3").status().epoch;
          },
          22: (scene) => {
            expect(scene.stack("n3").status().epoch).toBeGreaterThan(before);
            expect(scene.isMeshed()).toBe(true);
          },
        },
      );
      expect(story.events.filter(({ kind, node }) => kind === "start" && node === "n3")).toHaveLength(2);
    },
  );

  test("that stands still for two seconds keeps its links; for thirty it is forgotten, and comes back when it wakes", () => {
    const short = tell(`${RING}
seed: 1
duration: 40s
timeline: [{ at: 20s, do: pause, select: n3, for: 2s }]
expect: [falseRemovals == 0]`);
    expect(short.events.filter((event) => event.kind === "link" && !event.isUp)).toEqual([]);
    tell(
      `${RING}
seed: 1
duration: 70s
timeline: [{ at: 20s, do: pause, select: n3, for: 30s }]`,
      {
        30: (scene) => {
          expect(scene.holders("n3")).toEqual([]);
          expect(scene.way("n2", "n4")).toHaveLength(5);
        },
        53: (scene) => expect(scene.isMeshed()).toBe(true),
      },
    );
  });

  test("whose clock leaps by half a minute has its links again within seconds, and a clock that drifts costs none", () => {
    tell(
      `${RING}
seed: 1
duration: 40s
timeline: [{ at: 20s, do: clock, select: n3, leap: 30s }]`,
      { 25: (scene) => expect(scene.isMeshed()).toBe(true) },
    );
    const drifting = tell(`${RING}
seed: 1
duration: 120s
timeline: [{ at: 10s, do: clock, select: n3, drift: 2000ppm }, { at: 10s, do: clock, select: n5, drift: -2000ppm }]
expect: ["unreachablePairShare.max == 0% from 10s to 120s"]`);
    expect(drifting.events.filter((event) => event.kind === "link" && !event.isUp)).toEqual([]);
  });

  test("that is slow says so to its neighbours, who keep their links to it", () => {
    const story = tell(
      `${RING}
seed: 1
duration: 60s
timeline:
  - { at: 10s, do: slow, select: n3, packet: 60ms, queue: 64, for: 30s }
  - { at: 12s, do: traffic, kind: datagrams, from: n2, to: n4, size: 100B, count: 300, gap: 90ms }
expect: ["unreachablePairShare.max == 0% from 10s to 60s"]`,
      {
        9: (scene) => expect(scene.link("n2", "n3")).toMatchObject({ load: 0, queueDelayMs: 0 }),
        38: (scene) => {
          for (const neighbour of ["n2", "n4"]) {
            expect(scene.link(neighbour, "n3")!.load).toBeGreaterThan(150);
            expect(scene.link(neighbour, "n3")!.queueDelayMs).toBeGreaterThan(20);
          }
          expect(scene.link("n3", "n2")!.load).toBe(0);
        },
        50: (scene) => expect(scene.link("n2", "n3")).toMatchObject({ load: 0, queueDelayMs: 0 }),
      },
    );
    expect(story.events.filter((event) => event.kind === "link" && !event.isUp)).toEqual([]);
  });
});

describe("a liar", () => {
  // All that ada hears of dan comes through bob.
  const LINE = `
nodes: { names: [ada, bob, cyd, dan] }
topology: { kind: line }
`;

  test("that keeps a dead node alive deceives those who hear of it only through him, and they are counted", () => {
    const { report } = tell(
      `${LINE}
seed: 1
duration: 110s
timeline: [{ at: 12s, do: byzantine, select: bob, as: swallow }, { at: 20s, do: crash, select: dan }]
expect: [eclipsed == 1, ghosts == 0]`,
      { 27: (scene) => expect(scene.holders("dan")).toContain("ada") },
    );
    expect(report.metrics).toMatchObject({ removal: { count: 1, censored: 0 }, removalEclipsed: { count: 1 } });
  });
});

// A route that leads over one who died next is missed only with him: twice the time of one death.
test("where nodes come and go by the dozen, the dead are forgotten in time and nobody living is", () => {
  const { report } = tell(`
seed: 1
duration: 90s
nodes: { count: 20, over: 2s }
topology: { kind: random-regular, degree: 4 }
links: { default: { latency: 10ms, loss: 1% } }
churn:
  - { sessions: { kind: weibull, mean: 40s, shape: 60% }, arrivals: balanced, crash: 70%, returning: 30%, peers: 3, start: 10s }
expect:
  - crashes >= 5
  - joins >= 5 from 15s to 90s
  - removal.max < 15s
  - join.p99 < 3s
  - loops == 0
  - ghosts == 0`);
  expect(report.metrics.announcedNacs).toBeGreaterThan(20);
});
