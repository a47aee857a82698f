/** Making failures small: delta debugging, parts of plans, plans as files. What fails here is a predicate over the plan. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leastThat, minimal } from "../../node/sim/delta-debugging.js";
import { decodePlan, encodePlan, isPlanText } from "../../node/sim/plan-file.js";
import { endingAt, pausesOf, SIMPLIFICATIONS, withPauses } from "../../node/sim/plan-simplification.js";
import { nearestFirst, planOf } from "../../node/sim/plan-subset.js";
import { type Probe, shrink } from "../../node/sim/shrink.js";
import type { Plan } from "../../sim/plan/plan.js";
import { anyPlan, planWith } from "../support/plans.js";

const PATIENT = { runs: 100_000, isOver: () => false };

/** Through the file, which checks every index. Throws what the file complains of. */
function throughFile(plan: Plan): Plan {
  const decoded = decodePlan(encodePlan(plan, ["a heading"]), "p.yaml");
  if ("errors" in decoded) throw new Error(decoded.errors.join("\n"));
  return decoded.plan;
}

describe("delta debugging", () => {
  test("leaves exactly the items that fail together, in their order, and asks the same questions each time", async () => {
    const items = fc.uniqueArray(fc.nat(200), { minLength: 1, maxLength: 40 });
    const sample = items.chain((all) => fc.tuple(fc.constant(all), fc.subarray(all)));
    await fc.assert(
      fc.asyncProperty(sample, async ([all, culprits]) => {
        const asked: string[][] = [[], []];
        for (const log of asked) {
          const kept = await minimal(all, async (some) => {
            log.push(some.join());
            return culprits.every((culprit) => some.includes(culprit));
          });
          expect(kept).toEqual(culprits);
        }
        expect(asked[0]).toEqual(asked[1]);
      }),
    );
  });

  test("none of what is left can be left out alone, also when more is not always worse", async () => {
    const rule = fc.record({ all: fc.integer({ min: 1, max: 24 }), odd: fc.integer({ min: 2, max: 5 }) });
    await fc.assert(
      fc.asyncProperty(rule, async ({ all, odd }) => {
        const fails = (some: readonly number[]) => some.length % odd === all % odd && some.length > 0;
        const items = Array.from({ length: all }, (_, i) => i);
        const kept = await minimal(items, async (some) => fails(some));
        expect(fails(kept)).toBe(true);
        for (const item of kept) expect(fails(kept.filter((other) => other !== item))).toBe(false);
      }),
    );
  });

  test("finds the least number that fails", async () => {
    expect(await leastThat(1, 100, async (value) => value >= 37)).toBe(37);
    expect(await leastThat(1, 100, async () => false)).toBe(100);
    expect(await leastThat(1, 100, async () => true)).toBe(1);
  });
});

describe("a part of a plan", () => {
  test("any choice of nodes of any plan has only indexes that lead somewhere, and every simplification too", () => {
    const sample = anyPlan.chain((plan) =>
      fc.tuple(
        fc.constant(plan),
        fc.subarray(
          plan.nodes.map((_, i) => i),
          { minLength: 1 },
        ),
      ),
    );
    fc.assert(
      fc.property(sample, ([plan, keep]) => {
        const part = planOf(plan, keep);
        expect(part.nodes.map(({ name }) => name)).toEqual(keep.map((node) => `n${node}`));
        expect(throughFile(part)).toEqual(part);
        for (const { apply } of SIMPLIFICATIONS) {
          const simpler = apply(part);
          expect(throughFile(simpler)).toEqual(simpler);
          expect(apply(simpler)).toEqual(simpler);
        }
      }),
    );
  });

  test("all nodes of a plan are the plan without what nobody uses", () => {
    const plan = planWith(3, (node) => (node === 0 ? [] : [node - 1]), []);
    expect(planOf(plan, [0, 1, 2])).toEqual(plan);
  });

  test("whoever lost all whom it dialled dials the nearest one that is left", () => {
    const line = planWith(5, (node) => (node === 0 ? [] : [node - 1]), []);
    const ends = planOf(line, [0, 4]);
    expect(ends.nodes[1]!.dials).toEqual([{ node: 0, from: 0, address: 1000 }]);
    expect(nearestFirst(line, [3])).toEqual([3, 2, 4, 1, 0]);
  });

  test("pauses are what lies between events, and other pauses keep the order", () => {
    const plan = planWith(2, () => [], [
      { atUs: 4_000_000, do: "crash", node: 1 },
      { atUs: 9_000_000, do: "restart", node: 1, keepsState: true },
    ]);
    expect(pausesOf(plan)).toEqual([4_000_000, 5_000_000, 91_000_000]);
    const quick = withPauses(plan, [1, 2, 3]);
    expect(quick.actions.map(({ atUs }) => atUs)).toEqual([0, 0, 1, 3]);
    expect(quick.durationUs).toBe(6);
    expect(withPauses(plan, pausesOf(plan))).toEqual(plan);
    expect(endingAt(plan, 5_000_000).actions).toHaveLength(3);
  });
});

describe("a plan as a file", () => {
  const plan = planWith(2, (node) => (node === 0 ? [] : [0]), [{ atUs: 12_500_000, do: "crash", node: 1 }]);
  const text = encodePlan(plan, ["Why it is here."]);

  test("says in words what its numbers mean", () => {
    expect(text).toMatch(/^# Why it is here\.\n/);
    expect(text).toContain("# 12.5 s: crash n1\n");
    expect(isPlanText(text)).toBe(true);
    expect(isPlanText("name: plan\nduration: 1s\n")).toBe(false);
  });

  test.each([
    ["a node that is not there", text.replace("node: 1 }", "node: 7 }"), /^p\.yaml:\d+:\d+: there is no node 7/],
    ["an unknown key", text.replace("do: crash,", "do: crash, why: 1,"), /^p\.yaml:\d+:\d+: .*why/],
    ["a negative time", text.replace("12500000", "-1"), /^p\.yaml:\d+:\d+: plan\.actions\.2\.atUs/],
    ["an address of nobody", text.replace("address: 1000 } ]", "address: 9 } ]"), /no node has the address 9/],
    ["no YAML", "plan: [", /^p\.yaml:1:\d+: /],
    ["nothing", "plan:\n", /^p\.yaml:1:\d+: plan/],
    [
      "events out of order",
      text.replace("do: start, node: 1", "do: crash, node: 1").replace("atUs: 0, do: start", "atUs: 5, do: start"),
      /earlier than the one before/,
    ],
  ])("with %s it is refused at that place", (_what, wrong, message) => {
    const decoded = decodePlan(wrong, "p.yaml");
    expect("errors" in decoded ? decoded.errors.join("\n") : "no error").toMatch(message);
  });

  test("any text at all is refused or read, never thrown at", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length }), fc.string(), (at, more) => {
        decodePlan(text.slice(0, at) + more + text.slice(at), "p.yaml");
      }),
    );
  });
});

describe("shrinking", () => {
  const RING = planWith(
    60,
    (node) => [(node + 1) % 60, (node + 7) % 60],
    Array.from({ length: 60 }, (_, node) => ({ atUs: (node + 1) * 1_000_000, do: "crash", node }) as const),
  );

  /** Fails when `crashed` crashes while `witness` is there and a minute of the run is left after it. */
  function ghostOf(crashed: string, witness: string, waitUs: number): { probe: Probe; plans: Plan[] } {
    const plans: Plan[] = [];
    const probe: Probe = async (plan) => {
      plans.push(plan);
      const at = plan.nodes.findIndex(({ name }) => name === crashed);
      const sees = plan.nodes.some(({ name }) => name === witness);
      const crash = plan.actions.find((action) => action.do === "crash" && action.node === at);
      if (crash !== undefined && crash.atUs < 200_000) return { reason: "another", atUs: 0, nodes: [] };
      if (crash === undefined || !sees || crash.atUs + waitUs > plan.durationUs) return undefined;
      return { reason: "ghosts", atUs: crash.atUs + waitUs, nodes: [at] };
    };
    return { probe, plans };
  }

  test("leaves the two nodes, the crash and the wait that the failure needs, and fails for the same reason", async () => {
    const { probe, plans } = ghostOf("n20", "n50", 30_000_000);
    const cause = (await probe(RING))!;
    const { plan, isMinimal, runs } = await shrink(RING, cause, probe, PATIENT);

    expect(plan.nodes.map(({ name }) => name)).toEqual(["n20", "n50"]);
    expect(plan.actions.map((action) => action.do)).toEqual(["crash"]);
    expect(plan.durationUs).toBeLessThanOrEqual(33_000_000);
    expect(await probe(plan)).toMatchObject({ reason: "ghosts" });
    expect(isMinimal).toBe(true);
    expect(runs).toBeLessThan(400);
    expect(plan.models).toHaveLength(2); // the default and the LAN; the loss went
    expect(plan.models.every(({ lossPpm }) => lossPpm === 0)).toBe(true);
    const sizes = plans.slice(1).map(({ nodes }) => nodes.length);
    expect(sizes.slice(0, 7), "neighbourhoods, the smallest first").toEqual([4, 8, 16, 32, 48, 8, 16]);
    expect(sizes.filter((size) => size === 60).length, "all of them only when none fails").toBeLessThan(4);
  });

  test("a failure of a few neighbours is found without another run of the whole network, also when few fail later", async () => {
    const { probe, plans } = ghostOf("n20", "n21", 30_000_000);
    const slow: Probe = async (plan) => {
      const cause = await probe(plan);
      if (cause === undefined || plan.nodes.length === 60) return cause;
      const atUs = cause.atUs + 20_000_000;
      return atUs > plan.durationUs ? undefined : { ...cause, atUs };
    };
    const { plan } = await shrink(RING, (await probe(RING))!, slow, PATIENT);
    expect(plan.nodes.map(({ name }) => name)).toEqual(["n20", "n21"]);
    const sizes = plans.slice(1).map(({ nodes }) => nodes.length);
    expect(Math.max(...sizes)).toBe(4);
  });

  test("a failure that needs somebody far away is sought where else something happened, in few nodes again", async () => {
    const plans: Plan[] = [];
    const probe: Probe = async (plan) => {
      plans.push(plan);
      const names = plan.nodes.map(({ name }) => name);
      return names.includes("n45") && names.includes("n46") ? { reason: "it", atUs: 9_500_000, nodes: [0] } : undefined;
    };
    const { plan } = await shrink(RING, (await probe(RING))!, probe, PATIENT);
    expect(plan.nodes.map(({ name }) => name)).toEqual(["n45", "n46"]);
    expect(Math.max(...plans.slice(1).map(({ nodes }) => nodes.length))).toBe(32);
  });

  test("a failure that a network at rest does not show is found in a few nodes that are not given any", async () => {
    const late = planWith(
      200,
      (node) => [(node + 1) % 200],
      Array.from(
        { length: 60 },
        (_, node) => ({ atUs: 60_000_000 + node * 500_000, do: "crash", node: node * 3 }) as const,
      ),
    );
    const sizes: number[] = [];
    const probe: Probe = async (plan) => {
      sizes.push(plan.nodes.length);
      const rests =
        plan.nodes.length < 200 &&
        pausesOf(plan)
          .slice(0, -1)
          .some((pause) => pause > 20_000_000);
      if (rests) return { reason: "another", atUs: 30_000_000, nodes: [] };
      const crashes = plan.actions.filter((action) => action.do === "crash").length;
      const sees = plan.nodes.some(({ name }) => name === "n61");
      return sees && crashes >= 3 ? { reason: "it", atUs: 90_000_000, nodes: [60] } : undefined;
    };
    const { plan } = await shrink(late, (await probe(late))!, probe, PATIENT);
    expect(plan.nodes.length).toBe(4);
    expect(Math.max(...sizes.slice(1))).toBeLessThan(80);
  });

  test("a large network none of whose neighbourhoods fails loses nodes before anything is tried on all of it", async () => {
    const far = planWith(1_100, (node) => [(node + 1) % 1_100], [{ atUs: 5_000_000, do: "crash", node: 0 }]);
    const plans: Plan[] = [];
    const probe: Probe = async (plan) => {
      plans.push(plan);
      const names = plan.nodes.map(({ name }) => name);
      return names.includes("n0") && names.includes("n550") ? { reason: "it", atUs: 9_500_000, nodes: [0] } : undefined;
    };
    const { plan } = await shrink(far, (await probe(far))!, probe, PATIENT);
    expect(plan.nodes.map(({ name }) => name)).toEqual(["n0", "n550"]);
    const whole = plans.slice(1).filter(({ nodes }) => nodes.length === 1_100);
    expect(whole, "ends at the failure").toHaveLength(1);
  });

  test("gives the same small plan each time", async () => {
    const once = async () => {
      const { probe } = ghostOf("n3", "n4", 10_000_000);
      return (await shrink(RING, (await probe(RING))!, probe, PATIENT)).plan;
    };
    expect(await once()).toEqual(await once());
  });

  test("whatever the failure needs, what is left still fails for that reason", async () => {
    const sample = anyPlan.chain((plan) => {
      const names = plan.nodes.map(({ name }) => name);
      return fc.tuple(fc.constant(plan), fc.subarray(names, { minLength: 1 }), fc.nat(90));
    });
    await fc.assert(
      fc.asyncProperty(sample, async ([plan, needed, seconds]) => {
        const probe: Probe = async (tried) => {
          const has = needed.every((name) => tried.nodes.some((node) => node.name === name));
          const isLong = tried.durationUs >= seconds * 1_000_000;
          return has && isLong ? { reason: "it", atUs: tried.durationUs, nodes: [] } : undefined;
        };
        const { plan: small } = await shrink(plan, (await probe(plan))!, probe, PATIENT);
        expect(await probe(small)).toMatchObject({ reason: "it" });
        expect(small.nodes.map(({ name }) => name)).toEqual(
          plan.nodes.map(({ name }) => name).filter((name) => needed.includes(name)),
        );
        expect(small.durationUs).toBeLessThan((seconds + 2) * 1_000_000);
        expect(throughFile(small)).toEqual(small);
      }),
      { numRuns: 40 },
    );
  });

  test("a budget that is over from the beginning ends it at once, also for a large network", async () => {
    const large = planWith(3_000, (node) => [(node + 1) % 3_000, (node * 7 + 1) % 3_000], [
      { atUs: 5_000_000, do: "crash", node: 0 },
    ]);
    const cause = { reason: "it", atUs: 9_500_000, nodes: [0] };
    const beganMs = performance.now();
    const { plan, runs, isMinimal } = await shrink(large, cause, async () => cause, { runs: 9, isOver: () => true });
    expect({ isSame: plan === large, runs, isMinimal }).toEqual({ isSame: true, runs: 0, isMinimal: false });
    expect(performance.now() - beganMs).toBeLessThan(3_000);
  });

  test("a budget ends it with the smallest so far, and it says so", async () => {
    const { probe, plans } = ghostOf("n20", "n50", 30_000_000);
    const { plan, isMinimal } = await shrink(RING, (await probe(RING))!, probe, { runs: 5, isOver: () => false });
    expect(isMinimal).toBe(false);
    expect(plans).toHaveLength(6);
    expect(await probe(plan)).toMatchObject({ reason: "ghosts" });
  });
});
