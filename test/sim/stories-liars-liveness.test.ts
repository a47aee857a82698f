/**
 * Liars against the rules that make an origin prove that it lives, and that bind metrics and epochs to its hash chains. One
 * constant says whether the core has these rules: each story says what becomes of the lie with them, and what without.
 */
import { describe, expect, test } from "vitest";
import type { Metrics } from "../../sim/report/metrics.js";
import { play, type Story } from "../support/story.js";

/** Whether this core proves lives, and metrics. */
const LIVES_ARE_PROVEN: boolean = true;
const ADVERTS_ARE_PROVEN: boolean = true;

/** The liar stands on the shorter way from ada to dan, and beside eve; an honest way leads to everybody. */
const ROUND = `
seed: 3
nodes: { names: [ada, bob, cyd, liar, dan, eve] }
topology: { kind: graph, edges: [[ada, liar], [liar, dan], [ada, bob], [bob, cyd], [cyd, dan], [dan, eve], [liar, eve]] }
links: { default: { latency: 10ms, jitter: 2ms, loss: 1% } }
`;

const turns = (as: string) => `{ at: 12s, do: byzantine, select: liar, as: ${as} }`;

/** Eve dies at 20 s, and the liar would not have it so. */
function lifeAfterDeath(as: string, more = ""): Story {
  return play(`${ROUND}
duration: 150s
timeline: [${turns(as)}, { at: 20s, do: crash, select: eve }${more}]`);
}

function removalOf({ report }: Story): number {
  return (report.metrics.removal as Metrics).max as number;
}

describe("the dead", () => {
  test.each(["ghost", "swallow", "'[ghost, swallow]'"])(
    "whom %s keeps alive are gone within a minute once lives are proven",
    (role) => {
      const story = lifeAfterDeath(role.replaceAll("'", ""));
      if (LIVES_ARE_PROVEN) {
        expect(story.report.violation).toBeUndefined();
        expect(removalOf(story)).toBeLessThan(60);
      } else expect(story.report.violation).toMatchObject({ oracle: "ghost" });
    },
  );

  test("whom a replayer brings back when all have forgotten them stay dead once lives are proven", () => {
    const { report } = lifeAfterDeath("replay");
    if (LIVES_ARE_PROVEN) expect(report.violation).toBeUndefined();
    else expect(report.violation).toMatchObject({ oracle: "ghost" });
  });

  test("are no news to a newcomer who hears of them from a ghost", () => {
    let believers: readonly string[] | undefined;
    play(
      `${ROUND}
duration: 90s
timeline:
  - ${turns("ghost")}
  - { at: 20s, do: crash, select: eve }
  - { at: 22s, do: crash, select: bob, for: 20s }`,
      {
        81: (scene) => {
          believers = scene.holders("eve");
        },
      },
    );
    expect(believers).toEqual(LIVES_ARE_PROVEN ? [] : undefined); // the ghost oracle ends the run before the look
  });

  test("are kept from a victim whose every neighbour lies no longer than a proof lasts", () => {
    const { report } = play(`${ROUND}
duration: 150s
timeline: [{ at: 12s, do: byzantine, around: ada, as: [ghost, swallow] }, { at: 20s, do: crash, select: eve }]`);
    expect(report.metrics.eclipsed).toBe(1);
    const { max } = report.metrics.removalEclipsed as Metrics;
    if (LIVES_ARE_PROVEN) expect(max).toBeLessThan(60);
    else expect(max).toBeGreaterThan(60);
  });
});

describe("the living", () => {
  test("whom a false accuser suspects stay in every table", () => {
    const { report } = play(`${ROUND}
duration: 120s
timeline: [${turns("accuse")}]`);
    expect(report.violation).toBeUndefined();
    expect(report.metrics.loops).toBe(0);
    if (LIVES_ARE_PROVEN) {
      expect(report.metrics.falseRemovals).toBe(0);
      const { max } = (report.metrics.control as { public: Metrics }).public;
      expect(max).toBeLessThan(14_000);
    }
  });
});

describe("a way that ends at a staller", () => {
  test("is left when its offer is not renewed, by those who have nothing to tell it as well", () => {
    let way: readonly string[] | undefined;
    play(
      `${ROUND}
duration: 62s
timeline: [${turns("stall")}, { at: 20s, do: crash, select: eve }]`,
      {
        61: (scene) => {
          way = scene.way("ada", "dan");
        },
      },
    );
    expect(way).toEqual(LIVES_ARE_PROVEN ? ["ada", "bob", "cyd", "dan"] : undefined);
  });
});

describe("traffic", () => {
  test("is drawn by a liar that says that all are next door, unless adverts are proven", () => {
    let way: readonly string[] | undefined;
    play(
      `
nodes: { names: [ada, liar, m1, m2, dan] }
topology: { kind: graph, edges: [[ada, liar], [liar, m2], [m2, dan], [ada, m1], [m1, dan]] }
seed: 1
duration: 60s
timeline: [${turns("metric")}]`,
      {
        59: (scene) => {
          way = scene.way("ada", "dan");
        },
      },
    );
    expect(way?.[1]).toBe(ADVERTS_ARE_PROVEN ? "m1" : "liar");
  });
});

describe("adverts", () => {
  test.each(["metric", "epoch"])("of a liar that forges each %s are believed by nobody once they are proven", (as) => {
    const { report } = play(`${ROUND}
duration: 90s
timeline: [${turns(as)}]`);
    expect(report.violation).toBeUndefined();
    if (ADVERTS_ARE_PROVEN) expect(report.metrics).toMatchObject({ forgedAccepted: 0, falseRemovals: 0 });
    else expect(report.metrics.forgedAccepted).toBeGreaterThan(0);
  });
});
