import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressOf, endpointOf, portOf } from "../../sim/network/datagram.js";
import { FILTERED, NAT_MAPPINGS_MAX, Nat, NO_MAPPING } from "../../sim/network/nat.js";
import type { Nat as NatPlan } from "../../sim/plan/plan.js";
import { CONE } from "../support/network-world.js";

const BEHAVIOURS = ["endpoint", "address", "port"] as const;
const PORT_CHOICES = ["preserve", "sequential", "random"] as const;
const TIMEOUT_US = 30_000_000;
const MAPPINGS_MAX = 6;

const GRID = BEHAVIOURS.flatMap((mapping) =>
  BEHAVIOURS.flatMap((filtering) =>
    PORT_CHOICES.flatMap((portChoice) =>
      [false, true].map((inboundRefresh) => ({ mapping, filtering, portChoice, inboundRefresh })),
    ),
  ),
);

/** Two machines inside with two ports each; three remote machines with two ports each. */
const INSIDE = [10, 11].flatMap((address) => [4500, 4501].map((port) => endpointOf(address, port)));
const REMOTES = [20, 21, 22].flatMap((address) => [4500, 9000].map((port) => endpointOf(address, port)));

type Step =
  | { readonly do: "out"; readonly inside: number; readonly remote: number }
  | { readonly do: "in"; readonly which: number; readonly remote: number }
  | { readonly do: "wait"; readonly us: number }
  | { readonly do: "rebind" }
  | { readonly do: "reboot" };

/** Mostly the same again: that is where times and filters matter. */
const few = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3);
const many = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4, 5);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("out" as const), inside: few, remote: many }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("in" as const), which: few, remote: many }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      us: fc.oneof(
        fc.constantFrom(1, 1_000_000, TIMEOUT_US / 2, TIMEOUT_US / 2, TIMEOUT_US - 1, TIMEOUT_US),
        fc.nat(TIMEOUT_US),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rebind" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reboot" as const) }) },
);

interface ReferenceMapping {
  readonly from: number;
  readonly remote: number;
  port: number;
  oldPort: number;
  usedUs: number;
  readonly remotes: Map<number, number>;
}

/** After a rebind, until the next datagram from inside shows the new port. */
const UNKNOWN = -1;
const NEVER_MAPPED = 700;

/** RFC 4787 in the plainest words: lists that are searched, nothing clever. */
class ReferenceNat {
  address: number;
  nowUs = 0;
  /** Every outer port, in the order of its use. */
  readonly seen: number[] = [];
  readonly mappings: ReferenceMapping[] = [];
  private readonly plan: NatPlan;

  constructor(plan: NatPlan) {
    this.plan = plan;
    this.address = plan.address;
  }

  /** `seen`: what the other one answered. Its port is checked against what the rules allow, then taken. */
  outward(from: number, to: number, seen: number): void {
    this.forget();
    this.seen.push(portOf(seen));
    const remote = scope(this.plan.mapping, to);
    let mapping = this.mappings.find((m) => m.from === from && m.remote === remote);
    if (mapping === undefined) {
      if (this.mappings.length === MAPPINGS_MAX) this.mappings.splice(this.idlest(), 1);
      const taken = this.mappings.map((m) => m.port);
      expect(taken).not.toContain(portOf(seen));
      if (this.plan.portChoice === "preserve" && !taken.includes(portOf(from))) {
        expect(portOf(seen)).toBe(portOf(from));
      } else expect(portOf(seen)).toBeGreaterThanOrEqual(1024);
      mapping = { from, remote, port: portOf(seen), oldPort: UNKNOWN, usedUs: 0, remotes: new Map() };
      this.mappings.push(mapping);
    }
    if (mapping.port === UNKNOWN) {
      expect(portOf(seen)).not.toBe(mapping.oldPort);
      expect(this.mappings.map((m) => m.port)).not.toContain(portOf(seen));
      mapping.port = portOf(seen);
    }
    expect(seen).toBe(endpointOf(this.address, mapping.port));
    mapping.usedUs = this.nowUs;
    mapping.remotes.set(scope(this.plan.filtering, to), this.nowUs);
    // In the order of use, for mappings used at the same time.
    this.mappings.splice(this.mappings.indexOf(mapping), 1);
    this.mappings.push(mapping);
  }

  inward(from: number, port: number): number {
    this.forget();
    const mapping = this.mappings.find((m) => m.port === port);
    if (mapping === undefined) return NO_MAPPING;
    const remote = scope(this.plan.filtering, from);
    if (this.plan.filtering !== "endpoint") {
      const usedUs = mapping.remotes.get(remote);
      if (usedUs === undefined || this.nowUs - usedUs >= TIMEOUT_US) return FILTERED;
    }
    if (this.plan.inboundRefresh) {
      mapping.usedUs = this.nowUs;
      mapping.remotes.set(remote, this.nowUs);
      this.mappings.splice(this.mappings.indexOf(mapping), 1);
      this.mappings.push(mapping);
    }
    return mapping.from;
  }

  rebind(): void {
    this.forget();
    for (const mapping of this.mappings) {
      mapping.oldPort = mapping.port;
      mapping.port = UNKNOWN;
    }
  }

  forget(): void {
    for (let i = this.mappings.length - 1; i >= 0; i -= 1) {
      if (this.nowUs - this.mappings[i]!.usedUs >= TIMEOUT_US) this.mappings.splice(i, 1);
    }
  }

  private idlest(): number {
    return this.mappings.reduce((least, m, i) => (m.usedUs < this.mappings[least]!.usedUs ? i : least), 0);
  }
}

function scope(behaviour: (typeof BEHAVIOURS)[number], endpoint: number): number {
  if (behaviour === "endpoint") return 0;
  return behaviour === "address" ? addressOf(endpoint) : endpoint;
}

test.each(GRID)(
  "a NAT with mapping $mapping, filtering $filtering, ports $portChoice, inbound refresh $inboundRefresh does what RFC 4787 says",
  (behaviour) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const plan = { ...CONE, ...behaviour, address: 99, timeoutUs: TIMEOUT_US, mappingsMax: MAPPINGS_MAX };
        const nat = new Nat(plan, 1);
        const reference = new ReferenceNat(plan);
        for (const now of steps) {
          switch (now.do) {
            case "out": {
              const [from, to] = [INSIDE[now.inside]!, REMOTES[now.remote]!];
              reference.outward(from, to, nat.outward(reference.nowUs, from, to));
              break;
            }
            case "in": {
              const port = reference.mappings[now.which]?.port ?? NEVER_MAPPED;
              if (port === UNKNOWN) break;
              const from = REMOTES[now.remote]!;
              expect(nat.inward(reference.nowUs, from, port)).toBe(reference.inward(from, port));
              break;
            }
            case "wait":
              reference.nowUs += now.us;
              break;
            case "rebind": {
              nat.rebind(reference.nowUs);
              reference.rebind();
              break;
            }
            case "reboot":
              nat.reboot(nat.address + 1);
              reference.address += 1;
              reference.mappings.length = 0;
              break;
          }
          reference.forget();
          expect(nat.size).toBeGreaterThanOrEqual(reference.mappings.length);
          expect(nat.size).toBeLessThanOrEqual(MAPPINGS_MAX);
        }
      }),
      { numRuns: 100, seed: 4787 },
    );
  },
);

describe("ports", () => {
  const plan = { ...CONE, address: 99 };
  const portsOf = (portChoice: NatPlan["portChoice"], key = 1) => {
    const nat = new Nat({ ...plan, portChoice }, key);
    return [10, 11, 12, 13].map((host) => portOf(nat.outward(0, endpointOf(host, 4500), REMOTES[0]!)));
  };

  test("are kept by a NAT that preserves them, but for the second who wants the same", () => {
    expect(portsOf("preserve")).toEqual([4500, 1024, 1025, 1026]);
  });

  test("come one after the other from a NAT that counts", () => {
    expect(portsOf("sequential")).toEqual([1024, 1025, 1026, 1027]);
  });

  test("cannot be guessed from a NAT that draws them, and depend on nothing but the seed", () => {
    const ports = portsOf("random");
    expect(new Set(ports).size).toBe(4);
    expect(ports.some((port, i) => i > 0 && port === ports[i - 1]! + 1)).toBe(false);
    expect(portsOf("random")).toEqual(ports);
    expect(portsOf("random", 2)).not.toEqual(ports);
  });

  test("never run out: a NAT with all the mappings that its ports allow lets the one idle for longest go", () => {
    const nat = new Nat({ ...plan, portChoice: "random", mappingsMax: 70_000, timeoutUs: 1e12 }, 1);
    for (let i = 0; i < 70_000; i += 1) nat.outward(i, endpointOf(1000 + i, 4500), REMOTES[0]!);
    expect(nat.size).toBe(NAT_MAPPINGS_MAX);
    nat.rebind(70_000);
    expect(nat.size).toBe(NAT_MAPPINGS_MAX);
    const newest = nat.outward(70_001, endpointOf(1000 + 69_999, 4500), REMOTES[0]!);
    expect(nat.inward(70_002, REMOTES[0]!, portOf(newest))).toBe(endpointOf(1000 + 69_999, 4500));
    expect(nat.size).toBe(NAT_MAPPINGS_MAX);
  });
});
