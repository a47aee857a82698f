/** Every way in which a scenario file can be wrong is said in one line, at the place where it is wrong. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseScenario, printComplaint } from "../../sim/scenario/scenario.js";

const HEAD = "name: x\nduration: 60s\nnodes: { count: 5 }\ntopology: { kind: line }\n";

function complaints(text: string, options: Parameters<typeof parseScenario>[2] = {}): string[] {
  const parsed = parseScenario(text, "x.yaml", options);
  return parsed.ok ? [] : parsed.errors.map(printComplaint);
}

describe("the form of a file", () => {
  test.each([
    ["", "x.yaml:1:1: the file is empty"],
    ["- a\n", "x.yaml:1:1: expected keys and values, such as  name: line"],
    ["name: x\nname: y\n", "x.yaml:2:1: this key stands here a second time"],
    ["name: [x\n", expect.stringMatching(/^x\.yaml:2:1: this is not YAML/)],
    ["a: *nobody\n", expect.stringContaining("nobody")],
    ["[".repeat(100_000), "x.yaml:1:1: brackets or dashes stand too deep in each other: this is no scenario"],
    ["- ".repeat(100_000), "x.yaml:1:1: brackets or dashes stand too deep in each other: this is no scenario"],
    ["#".repeat(4_000_001), "x.yaml:1:1: the file has 4000001 characters: this is no scenario"],
  ])("what is no scenario at all is refused in one line: %.20j", (text, line) => {
    expect(complaints(text)).toEqual([line]);
  });

  test("aliases that would unfold to gigabytes are refused", () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(10)}]`);
    expect(complaints(`a0: &a0 [x]\n${levels.join("\n")}\n`)).toEqual([expect.stringContaining("alias")]);
  });

  test("an error behind an alias stands where the alias leads", () => {
    expect(complaints(`${HEAD}links: { classes: { a: &a { los: 5% }, b: *a } }\n`)).toEqual([
      'x.yaml:5:29: unknown key "los" in links.classes.a; nearest: "loss"',
      expect.stringContaining('unknown key "los" in links.classes.b; nearest: "loss"'),
    ]);
  });

  test("twenty errors are enough", () => {
    const keys = Array.from({ length: 50 }, (_, i) => `key${i}: 1\n`).join("");
    expect(complaints(HEAD + keys)).toHaveLength(20);
  });
});

describe("keys and units", () => {
  test.each([
    ["links:\n  default:\n    latancy: 5ms\n", '7:5: unknown key "latancy" in links.default; nearest: "latency"'],
    ["timline: []\n", '5:1: unknown key "timline"; nearest: "timeline"'],
    ["warmup: 60\n", '5:9: warmup: expected a time such as "250ms": the number 60 has no unit'],
    ['warmup: "60"\n', '5:9: warmup: expected a time such as "250ms": "60" has no unit'],
    ["warmup: 3m\n", '5:9: warmup: expected a time such as "250ms": "m" is no unit of time (us, ms, s, min, h)'],
    [
      'warmup: "3 days\\nand a bit"\n',
      '5:9: warmup: expected a time such as "250ms": "days and a bit" is no unit of time (us, ms, s, min, h)',
    ],
    ["warmup: -1s\n", '5:9: warmup: expected a time such as "250ms": "-1s" is negative'],
    ["warmup: 900000000h\n", '5:9: warmup: "900000000h" is too much'],
    [
      "links: { default: { loss: 0.02 } }\n",
      '5:27: links.default.loss: expected a share such as "5%": the number 0.02 has no unit',
    ],
    ["links: { default: { loss: 101% } }\n", '5:27: links.default.loss: "101%" is too much'],
    [
      "links: { default: { rate: 10Mbyte } }\n",
      '5:27: links.default.rate: expected a rate such as "10Mbit": "Mbyte" is no unit of rate (bit, kbit, Mbit, Gbit)',
    ],
    ["crypto: modeled\n", '5:9: crypto: expected modelled, real, got "modeled"; nearest: "modelled"'],
    [
      "churn: [{ sessions: { kind: weibull, mean: 1h }, arrivals: often }]\n",
      '5:60: churn[0].arrivals: expected balanced, none or a frequency such as "3/min", got "often"',
    ],
    ["timeline: [{ at: 5s, do: crahs, select: n1 }]\n", '5:26: timeline[0].do: "crahs" is not known; nearest: "crash"'],
    ["timeline: [{ do: crash, select: n1 }]\n", "5:12: timeline[0].at: is missing"],
    [
      "timeline: [{ at: 5s, do: crash, select: { rolle: public } }]\n",
      '5:43: unknown key "rolle" in timeline[0].select; nearest: "role"',
    ],
    ["timeline: 5\n", "5:11: timeline: expected a list, got 5"],
    ["seed: [1]\n", "5:7: seed: expected a text or a number, got a list"],
    ["expect: [loops]\n", '5:10: expect[0]: expected METRIC OP VALUE [from T to T], such as "removal.p99 < 10s"'],
    ["expect: [removal.p98 < 10s]\n", '5:10: expect[0]: unknown metric "removal.p98"; nearest: "removal.p99"'],
    ["expect: [removal.p99 < 10]\n", '5:10: expect[0]: removal.p99 is a time such as "10s", not "10"'],
    ["expect: [crashes == 0 from 10s to 5s]\n", "5:10: expect[0]: from is not before to"],
    ["expect: [loops == 0 from 1s to 5s]\n", "5:10: expect[0]: loops is of the whole run, not of a part of it"],
  ])("an error of its kind at its place: %j", (text, line) => {
    expect(complaints(HEAD + text)).toEqual([`x.yaml:${line}`]);
  });
});

describe("the meaning", () => {
  test.each([
    ["warmup: 61s\n", "5:9: warmup: 61s is after the end, 60s"],
    ["timeline:\n  - { at: 61s, do: crash, select: n1 }\n", "6:11: timeline[0].at: 61s is after the end, 60s"],
    [
      "churn: [{ sessions: { kind: weibull, mean: 1h }, start: 20s, end: 10s }]\n",
      "5:67: churn[0].end: 10s is before its start, 20s",
    ],
    ["timeline:\n  - { at: 1s, do: crash, select: n9 }\n", "6:34: timeline[0].select: selects nothing"],
    ["timeline:\n  - { at: 1s, do: crash, select: { role: gateway } }\n", "6:34: timeline[0].select: selects nothing"],
    [
      "timeline:\n  - { at: 1s, do: cut, between: [n0, n2] }\n",
      "6:33: timeline[0].between: between those there is no link",
    ],
    ["timeline:\n  - { at: 1s, do: heal }\n", '6:5: timeline[0]: there is no partition "partition" to heal'],
    ["timeline:\n  - { at: 1s, do: rebind, select: n1 }\n", "6:35: timeline[0].select: no NAT stands before those"],
    ["timeline:\n  - { at: 1s, do: reboot, subnet: sea }\n", "6:35: timeline[0].subnet: selects nothing"],
    [
      "subnets: [{ name: plant, select: n4, gateways: n3 }]\ntimeline:\n  - { at: 1s, do: reboot, subnet: plant }\n",
      "7:35: timeline[0].subnet: no NAT stands before it",
    ],
    ["timeline:\n  - { at: 1s, do: rebind }\n", "6:5: timeline[0]: expected either subnet or select"],
    [
      "timeline:\n  - { at: 1s, do: move, select: n1, interface: 1 }\n",
      "6:48: timeline[0]: n1 has 1 interfaces, none is 1",
    ],
    [
      "links: { overrides: [{ between: [n0, n1], link: slow }] }\n",
      '5:49: links.overrides[0].link: there is no link class "slow"',
    ],
    [
      "subnets:\n  - { name: a, select: n4, nat: hoem }\n",
      '6:33: subnets[0].nat: there is no NAT profile "hoem"; nearest: "home"',
    ],
    [
      "subnets:\n  - { name: a, nat: home, within: b }\n  - { name: b, nat: home, within: a }\n",
      "6:35: subnets: a lies within b lies within a: a ring",
    ],
    ["subnets:\n  - { name: a, nat: home }\n  - { name: a, nat: home }\n", '7:13: subnets: two are named "a"'],
    ["subnets:\n  - { name: a, nat: home, within: c }\n", '6:35: subnets[0].within: there is no subnet "c"'],
    [
      "subnets: [{ name: a, select: [n3], nat: home }, { name: b, select: [n3], nat: home }]\n",
      "5:68: subnets[1].select: n3 lives in a already",
    ],
    [
      "subnets: [{ name: a, select: n0, nat: home }, { name: b, select: n1, nat: home }]\n",
      "4:11: topology: n0 and n1 cannot reach each other: no NAT or gateway between them lets one dial the other",
    ],
    ["regions: { names: [a, a], rtt: [[1ms, 1ms], [1ms, 1ms]] }\n", '5:23: regions.names: two regions are named "a"'],
    [
      "regions: { names: [a, b], rtt: [[1ms, 2ms], [3ms, 1ms]] }\n",
      "5:46: regions.rtt: from b to a it is not as far as back",
    ],
    ["regions: { names: [a, b], rtt: [[1ms, 2ms]] }\n", "5:32: regions.rtt: 1 rows for 2 regions"],
    ["links: { default: { latency: 0s } }\n", "5:30: links.default.latency: nodes are at least 100us apart"],
    [
      "traffic: [{ from: all, to: all, kind: stream, arrivals: 9000/s }]\nduration2: 1\n",
      '6:1: unknown key "duration2"; nearest: "duration"',
    ],
  ])("an error of its kind at its place: %j", (text, line) => {
    expect(complaints(HEAD + text)).toEqual([`x.yaml:${line}`]);
  });

  test.each([
    [
      "{ kind: random-regular, degree: 3 }",
      "topology.degree: no graph has 5 nodes of degree 3: the ends of its edges would be odd",
      43,
    ],
    ["{ kind: random-regular, degree: 6 }", "topology.degree: no 5 nodes have a degree of 6", 43],
    ["{ kind: grid, rows: 2, columns: 2 }", "topology: a grid of 4 places for 5 nodes", 11],
    ["{ kind: graph, edges: [[n0, n7]] }", 'topology.edges[0]: there is no node "n7"; nearest: "n0"', 39],
    ["{ kind: graph, edges: [[n0, n0]] }", "topology.edges[0]: n0 has an edge to itself", 34],
    ["{ kind: graph, edges: [[n0, n1], [n1, n0]] }", "topology.edges[1]: n1 - n0 stands here twice", 44],
    [
      "{ kind: graph, edges: [[n0, n1], [n2, n3], [n3, n4]] }",
      "topology: the graph is in 2 parts, one with n0, one with n2; say allowDisconnected: true if it is to be",
      11,
    ],
    ["{ kind: graph }", "topology: a graph needs edges or a file", 13],
    ["{ kind: internet, gateways: [2, 1] }", "topology.gateways: from 2 to 1 there is nothing", 39],
  ])("a graph that cannot be: %s", (topology, message, column) => {
    const text = `name: x\nduration: 60s\nnodes: { count: 5 }\ntopology: ${topology}\n`;
    const lines = complaints(text).filter((line) => !line.includes("in 5 parts") && !line.includes("in 4 parts"));
    expect(lines).toEqual([`x.yaml:4:${column}: ${message}`]);
  });

  test("out of a closed subnet nobody dials but its gateway", () => {
    const closed = (gateways: string) => complaints(`${HEAD}subnets: [{ name: a, select: [n3, n4]${gateways} }]\n`);
    expect(closed("")).toEqual([expect.stringContaining("x.yaml:4:11: topology: n2 and n3 cannot reach each other")]);
    expect(closed(", gateways: n2")).toEqual([]);
  });

  test("a graph in parts passes when the file says so", () => {
    const text =
      "name: x\nduration: 60s\nnodes: { count: 3 }\ntopology: { kind: graph, edges: [[n0, n1]], allowDisconnected: true }\n";
    expect(complaints(text)).toEqual([]);
  });

  test("nodes: two with one name, more names than nodes, too many, and none at all", () => {
    const withNodes = (nodes: string) =>
      complaints(`name: x\nduration: 60s\nnodes: ${nodes}\ntopology: { kind: line }\n`);
    expect(withNodes("{ names: [ada, bob, ada] }")).toEqual(['x.yaml:3:28: nodes.names: two nodes are named "ada"']);
    expect(withNodes("{ names: [ada, bob], count: 3 }")).toEqual(["x.yaml:3:36: nodes.count: 3 nodes, but 2 names"]);
    expect(withNodes("{ count: 20001 }")).toEqual(["x.yaml:3:17: nodes.count: expected at most 20000"]);
    expect(withNodes("{ over: 1s }")).toEqual(["x.yaml:3:8: nodes.count: is missing, and so are names"]);
  });

  test("more than a million actions, or twenty thousand nodes by arrivals, are refused", () => {
    const long = HEAD.replace("60s", "600s");
    const busy = `${long}traffic: [{ from: n0, to: n1, kind: stream, arrivals: 9000/s }]\n`;
    expect(complaints(busy)).toEqual(["x.yaml:5:55: traffic[0].arrivals: about 5400000 of them, more than 1000000"]);
    const crowd = `${long}churn: [{ sessions: { kind: weibull, mean: 1h }, arrivals: 100/s }]\n`;
    expect(complaints(crowd)).toEqual(["x.yaml:5:60: churn[0].arrivals: about 60000 of them, more than 20000"]);
    const flaps = `${long}timeline: [{ at: 1s, do: flap, select: all, every: 2ms, down: 1ms, times: 100000 }, { at: 1s, do: flap, select: all, every: 2ms, down: 1ms, times: 100000 }]\n`;
    expect(complaints(flaps)).toEqual(["x.yaml:1:1: more than 1000000 actions"]);
  });

  test("what is wrong in a graph file stands in that file", () => {
    const text = "name: x\nduration: 60s\nnodes: { count: 3 }\ntopology: { kind: graph, file: x.graph }\n";
    const readFile = (path: string) => (path === "x.graph" ? "n0 n1\n\nn1 # and n2\n" : undefined);
    expect(complaints(text, { readFile })).toEqual([
      "x.graph:3:1: expected two names of nodes, and perhaps one of a link class",
    ]);
    expect(complaints(text)).toEqual(["x.yaml:4:26: topology.file: x.graph cannot be read"]);
    expect(complaints(text, { readFile: () => "n0 n1\nn1 n2\n" })).toEqual([]);
    expect(complaints(text, { readFile: () => "n0 n1\nn1 n3\n" })).toEqual([
      'x.graph:2:1: topology.edges[1]: there is no node "n3"; nearest: "n0"',
    ]);
  });
});

describe("flags", () => {
  test("a wrong override names the flag, not the file", () => {
    expect(complaints(HEAD, { set: ["links.default.loss=2"] })).toEqual([
      '--set links.default.loss=2: links.default.loss: expected a share such as "5%": the number 2 has no unit',
    ]);
    expect(complaints(HEAD, { set: ["nodes.cuont=3"] })).toEqual([
      '--set nodes.cuont=3: unknown key "cuont" in nodes; nearest: "count"',
    ]);
    expect(complaints(HEAD, { set: ["nodes.count"] })).toEqual([
      "--set nodes.count: expected KEY=VALUE, such as nodes.count=100",
    ]);
    expect(complaints(`${HEAD}expect: [loops == 0]\n`, { set: ["expect.1=x"] })).toEqual([
      "--set expect.1=x: expect is a list of 1: expected a place from 0 to 0",
    ]);
    expect(complaints(HEAD, { set: ["__proto__.x=1"] })).toEqual([
      "--set __proto__.x=1: expected a dotted key, such as links.default.loss",
    ]);
  });

  test("a right override is in force", () => {
    const parsed = parseScenario(HEAD, "x.yaml", { set: ["nodes.count=7", "links.default.loss=2%", "seed=abc"] });
    expect(parsed).toMatchObject({
      ok: true,
      scenario: { seed: "abc", nodes: { count: 7 }, links: { default: { loss: 20_000 } } },
    });
  });
});

describe("any text", () => {
  const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);

  test(`gives a scenario or complaints, never an exception (FC_SEED=${seed})`, () => {
    const words = fc.constantFrom(
      "name: x\n",
      "duration: 60s\n",
      "nodes: { count: 5 }\n",
      "topology: { kind: line }\n",
      "timeline:\n",
      "  - { at: 1s, do: crash, select: all }\n",
      "  - ",
      "? ",
      "&a ",
      "*a",
      "!!binary ",
      "!!set ",
      "<<: ",
      "{",
      "}",
      "[",
      "]",
      ":",
      "|\n",
      ">-\n",
      '"',
      "'",
      "\t",
      "\n",
      "--- ",
      "%YAML 1.2\n",
      "1e999",
      "__proto__",
      "constructor: 1\n",
    );
    const text = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.string({ unit: "binary", maxLength: 100 }),
      fc.array(words, { maxLength: 30 }).map((parts) => parts.join("")),
      fc.json(),
    );
    fc.assert(
      fc.property(text, (any) => {
        const parsed = parseScenario(any, "x.yaml");
        if (!parsed.ok) {
          expect(parsed.errors.length).toBeGreaterThan(0);
          for (const error of parsed.errors) {
            expect(error.message).not.toContain("\n");
            expect(error.line).toBeGreaterThan(0);
          }
        }
      }),
      { seed, numRuns: 1000 },
    );
  });

  test(`a scenario with something changed gives one or the other, too (FC_SEED=${seed})`, () => {
    const whole = `${HEAD}links: { default: { loss: 2% } }\nsubnets: [{ name: a, select: n4, nat: home }]\ntimeline: [{ at: 1s, do: crash, select: { share: 5% } }, { at: 2s, do: rebind, subnet: a }]\nchurn: [{ sessions: { kind: weibull, mean: 1h } }]\nexpect: [loops == 0]\n`;
    expect(complaints(whole)).toEqual([]);
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(12), fc.string({ maxLength: 6 }), (at, cut, put) => {
        const parsed = parseScenario(whole.slice(0, at) + put + whole.slice(at + cut), "x.yaml");
        expect(parsed.ok || parsed.errors.length > 0).toBe(true);
      }),
      { seed, numRuns: 400 },
    );
  });
});
