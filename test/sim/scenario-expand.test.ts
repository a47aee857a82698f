/** Plans: what a scenario and a seed become. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { Action, Plan } from "../../sim/plan/plan.js";
import { expand, parseScenario, printComplaint, type Scenario } from "../../sim/scenario/scenario.js";

const FOLDER = new URL("../../scenarios/", import.meta.url);
const HEAD = "name: x\nduration: 100s\nnodes: { count: 10 }\ntopology: { kind: ring }\n";

function scenario(text: string, set: readonly string[] = []): Scenario {
  const parsed = parseScenario(text, "x.yaml", { set });
  if (!parsed.ok) throw new Error(parsed.errors.map(printComplaint).join("\n"));
  return parsed.scenario;
}

const shipped = (name: string, set: readonly string[] = []) =>
  scenario(readFileSync(new URL(`${name}.yaml`, FOLDER), "utf8"), set);

const plan = (text: string, seed?: string): Plan => expand(scenario(HEAD + text), seed);
const happened = (made: Plan) => made.actions.filter(({ do: what }) => what !== "start");
const hash = (value: unknown) => Buffer.from(nobleSuite.hash(Buffer.from(JSON.stringify(value)))).toString("hex");

describe("every shipped scenario", () => {
  const names = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => name.replace(".yaml", ""));

  test.each(names)("%s becomes a plan that hangs together", (name) => {
    for (const seed of ["1", "2"]) expectSound(expand(shipped(name), seed));
  });

  /** Whatever a reader of a plan may rely on. */
  function expectSound(made: Plan): void {
    const addresses = [
      ...made.nodes.flatMap((node) => node.interfaces.map(({ address }) => address)),
      ...made.realms.flatMap((realm) => (realm.nat === undefined ? [] : [realm.nat.address])),
      ...made.actions.flatMap((action) => ("address" in action ? [action.address] : [])),
    ];
    expect(new Set(addresses).size).toBe(addresses.length);
    expect(new Set(made.nodes.map(({ name }) => name)).size).toBe(made.nodes.length);
    for (const [i, realm] of made.realms.entries()) {
      expect(i === 0 ? realm.parent === -1 : realm.parent >= 0 && realm.parent < i).toBe(true);
    }
    const wrongDials = made.nodes.flatMap((node, i) =>
      node.dials.filter((dial) => {
        const target = made.nodes[dial.node]!.interfaces.find(({ address }) => address === dial.address);
        // The target stands in a realm of the dialler, or in one above it.
        const above: number[] = [];
        for (let realm = node.interfaces[dial.from]!.realm; realm >= 0; realm = made.realms[realm]!.parent)
          above.push(realm);
        return dial.node === i || target === undefined || !above.includes(target.realm);
      }),
    );
    expect(wrongDials).toEqual([]);
    for (const pair of made.pairs) expect(pair.model).toBeLessThan(made.models.length);
    const times = made.actions.map(({ atUs }) => atUs);
    expect(
      times.filter((atUs, i) => !Number.isInteger(atUs) || atUs < (times[i - 1] ?? 0) || atUs > made.durationUs),
    ).toEqual([]);
    const starting = made.actions.flatMap((action) => (action.do === "start" ? [action.node] : []));
    const starts = new Set(starting);
    expect(starting.length).toBe(starts.size);
    expect(starts.size).toBe(made.nodes.length);
  }
});

describe("chance", () => {
  test("the same seed gives the same plan, another gives another, and the file's own is the default", () => {
    const storm = shipped("storm-1000");
    expect(expand(storm, "7")).toEqual(expand(storm, "7"));
    expect(expand(storm, "7").actions).not.toEqual(expand(storm, "8").actions);
    expect(expand(storm)).toEqual(expand(storm, storm.seed));
  });

  test("churn-5000 expands to this very plan on every machine", () => {
    const made = expand(shipped("churn-5000", ["expect=[]", "name=pinned"]));
    const pinned = { ...made, hash: "", expect: [] };
    expect(hash(pinned)).toBe(PINNED);
  });

  test("ends of sessions in churn-5000 come as often as arrivals, 70 % of them crashes", () => {
    const made = expand(shipped("churn-5000"));
    const count = (what: Action["do"]) => made.actions.filter((action) => action.do === what).length;
    // 5,000 nodes, an hour on average, nine minutes: 750 expected of each; four standard deviations are 110.
    const arrivals = made.nodes.length - 5000;
    const ends = count("crash") + count("leave");
    expect(Math.abs(arrivals - 750)).toBeLessThan(110);
    expect(Math.abs(ends - 750)).toBeLessThan(110);
    expect(count("crash") / ends).toBeGreaterThan(0.64);
    expect(count("crash") / ends).toBeLessThan(0.76);
  });

  test("who arrives dials live public nodes that have room", () => {
    const made = expand(shipped("storm-1000"));
    const alive = new Set<number>();
    let arrivals = 0;
    for (const action of made.actions) {
      if (action.do === "crash" || action.do === "leave") alive.delete(action.node);
      if (action.do !== "start" && action.do !== "restart") continue;
      const node = made.nodes[action.node]!;
      if (action.do === "start" && action.node >= 1000) {
        arrivals += 1;
        expect(node.dials).toHaveLength(5);
        for (const dial of node.dials) expect(alive.has(dial.node) && made.nodes[dial.node]!.role).toBe("public");
      }
      alive.add(action.node);
    }
    expect(arrivals).toBeGreaterThan(1000);
  });
});

describe("the timeline", () => {
  test("a crash that lasts is followed by a return with the state kept", () => {
    expect(happened(plan("timeline: [{ at: 5s, do: crash, select: n3, for: 10s }]\n"))).toEqual([
      { atUs: 5_000_000, do: "crash", node: 3 },
      { atUs: 15_000_000, do: "restart", node: 3, keepsState: true },
    ]);
  });

  test("who is dead does not die again, unless it has come back", () => {
    const text =
      "timeline:\n  - { at: 5s, do: crash, select: [n1, n2] }\n  - { at: 6s, do: crash, select: [n2, n3] }\n  - { at: 7s, do: restart, select: n1, state: lost }\n";
    expect(happened(plan(text)).map((action) => [action.do, "node" in action && action.node])).toEqual([
      ["crash", 1],
      ["crash", 2],
      ["crash", 3],
      ["restart", 1],
    ]);
  });

  test("a flap leaves alone who is dead already, and brings nobody back twice", () => {
    const text =
      "timeline:\n  - { at: 4s, do: crash, select: n1, for: 5s }\n  - { at: 5s, do: flap, select: n1, every: 10s, down: 6s, times: 2 }\n";
    expect(happened(plan(text)).map(({ atUs, do: what }) => [atUs / 1_000_000, what])).toEqual([
      [4, "crash"],
      [9, "restart"],
      [15, "crash"],
      [21, "restart"],
    ]);
  });

  test("a share is of those that live, drawn anew for each entry, and at least one", () => {
    const made = plan(
      "timeline:\n  - { at: 1s, do: crash, select: { share: 50% } }\n  - { at: 2s, do: crash, select: { share: 50% } }\n  - { at: 3s, do: crash, select: { share: 1% } }\n",
    );
    expect(happened(made).map(({ atUs }) => atUs / 1_000_000)).toEqual([1, 1, 1, 1, 1, 2, 2, 2, 3]);
    expect(new Set(happened(made).map((action) => "node" in action && action.node)).size).toBe(9);
  });

  test("a partition names both sides and is healed under its own number", () => {
    const made = plan(
      "timeline:\n  - { at: 5s, do: partition, id: a, from: [n0, n1], oneWay: true }\n  - { at: 6s, do: partition, id: b, from: n0, to: n9, for: 1s }\n  - { at: 8s, do: heal, id: a }\n",
    );
    expect(happened(made)).toEqual([
      { atUs: 5_000_000, do: "partition", id: 0, from: [0, 1], to: [2, 3, 4, 5, 6, 7, 8, 9], oneWay: true },
      { atUs: 6_000_000, do: "partition", id: 1, from: [0], to: [9], oneWay: false },
      { atUs: 7_000_000, do: "heal", id: 1 },
      { atUs: 8_000_000, do: "heal", id: 0 },
    ]);
  });

  test("links are cut, degraded to a class upon the default, flapped, and mended", () => {
    const made = plan(
      "links: { default: { latency: 30ms }, classes: { bad: { loss: 30% } } }\ntimeline:\n  - { at: 1s, do: cut, between: [n1, n0], oneWay: true }\n  - { at: 2s, do: degrade, between: [n2, n3], link: bad, for: 1s }\n  - { at: 4s, do: mend, between: [all, all] }\n  - { at: 10s, do: flap, between: [n4, n5], every: 4s, down: 1s, times: 2 }\n",
    );
    expect(made.models[1]).toMatchObject({ delayUs: 30_000, lossPpm: 300_000 });
    expect(happened(made).map(({ atUs, ...deed }) => [atUs / 1_000_000, deed])).toEqual([
      [1, { do: "cut", a: 1, b: 0, oneWay: true }],
      [2, { do: "degrade", a: 2, b: 3, model: 1, oneWay: false }],
      [3, { do: "degrade", a: 2, b: 3, model: -1, oneWay: false }],
      [4, { do: "mend", a: 0, b: 1 }],
      [10, { do: "cut", a: 4, b: 5, oneWay: false }],
      [11, { do: "mend", a: 4, b: 5 }],
      [14, { do: "cut", a: 4, b: 5, oneWay: false }],
      [15, { do: "mend", a: 4, b: 5 }],
    ]);
  });

  test("clocks, processors, liars, moves, dials and traffic", () => {
    const made = plan(
      "timeline:\n  - { at: 1s, do: clock, select: n1, leap: 30s, drift: -50ppm }\n  - { at: 2s, do: slow, select: n2, packet: 5ms, queue: 8, for: 1s }\n  - { at: 4s, do: byzantine, select: n3, as: ghost }\n  - { at: 5s, do: move, select: n4 }\n  - { at: 6s, do: dial, from: n5, to: n0 }\n  - { at: 7s, do: traffic, kind: datagrams, from: n6, to: n1, size: 1kB, count: 3, gap: 10ms }\n",
    );
    expect(happened(made)).toEqual([
      { atUs: 1_000_000, do: "clock", node: 1, leapUs: 30_000_000, driftPpm: -50 },
      { atUs: 2_000_000, do: "slow", node: 2, packetUs: 5000, queuePackets: 8 },
      { atUs: 3_000_000, do: "slow", node: 2, packetUs: 0, queuePackets: 8 },
      { atUs: 4_000_000, do: "byzantine", node: 3, as: "ghost" },
      { atUs: 5_000_000, do: "move", node: 4, interface: 0, address: 11 },
      { atUs: 6_000_000, do: "dial", node: 5, dial: { node: 0, from: 0, address: 1 } },
      {
        atUs: 7_000_000,
        do: "traffic",
        flow: { from: 6, to: 1, kind: "datagrams", bytes: 1000, count: 3, gapUs: 10_000 },
      },
    ]);
  });
});

describe("the world", () => {
  test("NATs stand before subnets, one before the other, and gateways in both worlds", () => {
    const made = expand(shipped("nat-mix"));
    const realm = (name: string) => made.realms.findIndex((one) => one.name === name);
    expect(made.realms[realm("row")]!.parent).toBe(realm("carrier"));
    expect(made.realms[realm("mute")]!.nat!.udpBlocked).toBe(true);
    expect(made.models[made.realms[realm("house")]!.nat!.access]).toMatchObject({
      delayUs: 8000,
      rate: 10_000_000,
      mtuBytes: 1464,
    });
    const office = expand(shipped("subnet-gateway"));
    const gate = office.nodes.find(({ name }) => name === "gate")!;
    expect(gate.role).toBe("gateway");
    expect(gate.interfaces.map(({ realm: at }) => at)).toEqual([0, 1]);
    expect(office.realms[1]!.nat).toBeUndefined();
  });

  test("regions: weights, places, a matrix of round trips; and links between regions are as long as these", () => {
    const made = plan(
      "regions: { names: [eu, us], rtt: [[10ms, 90ms], [90ms, 10ms]], weights: { eu: 1 }, place: { us: [n0, n1] } }\nlinks: { overrides: [{ between: [n1, n2], link: { loss: 5% } }, { between: [n4, n5], link: { latency: 3ms } }] }\n",
    );
    expect(made.nodes.map(({ region }) => region)).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(made.regions.rttUs).toEqual([10_000, 90_000, 90_000, 10_000]);
    expect(made.pairs.map(({ a, b, model }) => [a, b, made.models[model]!.delayUs])).toEqual([
      [1, 2, 55_000], // 10 ms by default, and half of 90
      [4, 5, 3000],
    ]);
  });

  test("starts are spread, clocks drift within bounds, roles have their own processors", () => {
    const made = expand(
      scenario(
        "name: x\nduration: 60s\nnodes: { count: 200, over: 10s, drift: 100ppm, roles: { public: { cpu: { packet: 20us } } } }\ntopology: { kind: internet }\n",
      ),
    );
    const starts = made.actions.map(({ atUs }) => atUs);
    expect(Math.max(...starts)).toBeLessThan(10_000_000);
    expect(Math.max(...starts)).toBeGreaterThan(8_000_000);
    const drifts = made.nodes.map(({ driftPpm }) => driftPpm);
    expect(Math.min(...drifts)).toBeLessThan(-80);
    expect(Math.max(...drifts.map(Math.abs))).toBeLessThanOrEqual(100);
    for (const node of made.nodes)
      expect(node.cpu).toEqual(node.role === "public" ? { packetUs: 20, queuePackets: 256 } : undefined);
  });
});

/** SHA3-256 of the expanded churn-5000, as JSON. Changes with the generator, the samplers and the file: then write down why. */
const PINNED = "8b2b66a44c0604052fff0ee5e8d83a6e64e2603ed14757fd4c1f8b6a2438c77a";
