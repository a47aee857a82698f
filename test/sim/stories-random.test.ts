/** Stories that nobody wrote: small worlds, NATs, bad lines, and one to six faults of any kind at any time. */
import { expect, test } from "vitest";
import { Stream } from "../../sim/random/stream.js";
import { lengthOf } from "../support/length.js";
import { play, type Scene } from "../support/story.js";

const SEEDS = lengthOf({ short: 25, full: 300 });
/** Faults begin before 60 s and last 25 s at most. What they lead to is over by then, a leave's silence included. */
const CALM_FROM_SECONDS = 130;
const END_SECONDS = 180;
/** A link that gets dearer leaves those behind it without a route until they asked, one destination each half second. */
const WITHOUT_ROUTE_MAX_SECONDS = 5;

const FAULTS = [
  "crash",
  "leave",
  "restart",
  "pause",
  "partition",
  "oneWay",
  "cut",
  "degrade",
  "move",
  "clock",
  "slow",
  "traffic",
  "rebind",
  "reboot",
] as const;

function scenarioOf(seed: number): string {
  const chance = new Stream("stories", "random", seed);
  const pick = <T>(...from: readonly T[]): T => from[chance.below(from.length)]!;
  const hidden = chance.hits(500_000) ? 1 + chance.below(3) : 0; // n0 .. are behind NATs
  const count = hidden + chance.between(3, 8);
  const node = () => `n${chance.below(count)}`;
  const open = () => hidden + chance.below(count - hidden);
  const edges = new Map<string, string>();
  const join = (a: number, b: number) => {
    if (a !== b && !edges.has(`${b} ${a}`)) edges.set(`${a} ${b}`, `[n${a}, n${b}]`);
  };
  for (let i = hidden + 1; i < count; i += 1) join(i, hidden + chance.below(i - hidden));
  for (let i = 0; i < count / 2; i += 1) join(open(), open());
  for (let i = 0; i < hidden; i += 1) for (let uplink = 0; uplink < 2; uplink += 1) join(i, open());

  const fault = (i: number): string => {
    const at = `at: ${chance.between(12_000, 60_000)}ms`;
    const lasting = `for: ${chance.between(1, 25)}s`;
    const entry = (rest: string) => `  - { ${at}, ${rest} }`;
    const kind = pick(...FAULTS);
    switch (kind) {
      case "crash":
      case "leave":
        return entry(`do: ${kind}, select: ${node()}${pick(`, ${lasting}`, "")}`);
      case "restart":
        return entry(`do: restart, select: ${node()}, state: ${pick("kept", "lost")}`);
      case "pause":
        return entry(`do: pause, select: ${node()}, ${lasting}`);
      case "partition":
      case "oneWay":
        return entry(
          `do: partition, id: p${i}, from: [${node()}, ${node()}], oneWay: ${kind === "oneWay"}, ${lasting}`,
        );
      case "cut":
        return entry(`do: cut, between: [all, all], count: ${pick(1, 2)}, ${lasting}`);
      case "degrade": {
        const link = `{ latency: ${pick("60ms", "300ms")}, loss: ${pick("5%", "30%")} }`;
        return entry(`do: degrade, between: [all, all], count: 2, link: ${link}, ${lasting}`);
      }
      case "move":
        return entry(`do: move, select: n${open()}`);
      case "clock":
        return entry(
          `do: clock, select: ${node()}, leap: ${pick("3s", "20s", "600s")}, drift: ${pick("0ppm", "100ppm")}`,
        );
      case "slow":
        return entry(`do: slow, select: ${node()}, packet: ${pick("5ms", "100ms")}, queue: 32, ${lasting}`);
      case "traffic": {
        const flow = `kind: ${pick("stream", "request", "datagrams")}, from: ${node()}, to: n${hidden}`;
        return entry(`do: traffic, ${flow}, size: 900B, count: 20`);
      }
      default:
        return hidden === 0
          ? entry(`do: move, select: n${open()}`)
          : entry(`do: ${kind}, subnet: s${chance.below(hidden)}`);
    }
  };
  const nat = () => pick("home", "symmetric", "carrier-grade", "corporate");
  const subnets = Array.from({ length: hidden }, (_, i) => `  - { name: s${i}, select: n${i}, nat: ${nat()} }`);
  return `
seed: ${seed}
duration: ${END_SECONDS}s
nodes: { count: ${count} }
topology: { kind: graph, edges: [${[...edges.values()].join(", ")}] }
links: { default: { latency: ${pick("5ms", "15ms", "60ms")}, jitter: ${pick("0ms", "5ms")}, loss: ${pick("0%", "1%", "5%")} } }
${hidden === 0 ? "" : `subnets:\n${subnets.join("\n")}\n`}timeline:
${Array.from({ length: 1 + chance.below(6) }, (_, i) => fault(i)).join("\n")}
`;
}

test("whatever befalls a small world, no promise is broken, and once it is over every pair with a path has a route", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const yaml = scenarioOf(seed);
    let sinceSeconds = CALM_FROM_SECONDS;
    let longest = 0;
    const looks = Object.fromEntries(
      Array.from({ length: END_SECONDS - CALM_FROM_SECONDS }, (_, i) => [
        CALM_FROM_SECONDS + i,
        (scene: Scene) => {
          if (scene.unserved.length === 0) sinceSeconds = CALM_FROM_SECONDS + i;
          longest = Math.max(longest, CALM_FROM_SECONDS + i - sinceSeconds);
        },
      ]),
    );
    const { report } = play(yaml, looks);
    const wrong = { violation: report.violation?.text, loops: report.metrics.loops, ghosts: report.metrics.ghosts };
    expect(wrong, `story ${seed}:\n${yaml}`).toEqual({ violation: undefined, loops: 0, ghosts: 0 });
    expect(longest, `story ${seed}: seconds without a route\n${yaml}`).toBeLessThanOrEqual(WITHOUT_ROUTE_MAX_SECONDS);
  }
}, 300_000);
