import type { Action, Plan } from "../plan/plan.js";
import { Cast } from "./cast.js";
import type { Complain, Draft } from "./draft.js";
import { addTimeline } from "./happenings.js";
import { addProcesses } from "./renewal.js";
import type { Scenario } from "./scenario.js";
import type { ScenarioData } from "./schema.js";
import { buildWorld } from "./world.js";

/**
 * All that happens in a run of the scenario with this seed. Pure: the same on any machine. Throws a RangeError where the seed makes the plan larger
 * than a plan may be, which parseScenario has found out for the scenario's own seed.
 */
export function expand(scenario: Scenario, seed: string = scenario.seed): Plan {
  let tooLarge: string | undefined;
  // With another seed a random graph or a draw may leave a selector with nobody: then nothing happens to nobody.
  const played = play(scenario, seed, (path, message) => {
    if (path.length === 0) tooLarge = message;
  });
  if (played === undefined || tooLarge !== undefined) {
    throw new RangeError(`scenario ${scenario.name} with seed ${seed}: ${tooLarge ?? "there is no such graph"}`);
  }
  const { draft, actions } = played;
  return {
    name: scenario.name,
    seed,
    hash: scenario.hash,
    durationUs: scenario.duration,
    warmupUs: scenario.warmup,
    crypto: scenario.crypto,
    nodes: draft.nodes.map((node) => ({
      name: node.name,
      role: node.role,
      region: node.regionIndex,
      interfaces: node.interfaces,
      dials: node.dials,
      driftPpm: node.driftPpm,
      cpu: node.cpu,
    })),
    realms: draft.realms,
    models: draft.models.all,
    regions: { names: draft.regionNames, rttUs: draft.rttUs },
    pairs: draft.pairs,
    defaultModel: 0,
    actions,
    expect: scenario.expect,
    isStrict: scenario.routing.profile === "strict",
    mutate: scenario.mutate,
  };
}

/** Undefined when not even the beginning is possible. What is wrong goes to `complain`; an empty path means: too large. */
export function play(
  data: ScenarioData,
  seed: string,
  complain: Complain,
): { readonly draft: Draft; readonly actions: readonly Action[] } | undefined {
  const draft = buildWorld(data, seed, complain);
  if (draft === undefined) return undefined;
  const cast = new Cast(draft);
  cast.startAll();
  addTimeline(cast);
  addProcesses(cast);
  return { draft, actions: cast.play() };
}
