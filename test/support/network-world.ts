/** A small world on the simulated network: nodes that do nothing but send what they are told, and keep what they get. */
import { endpointOf } from "../../sim/network/datagram.js";
import { Network } from "../../sim/network/network.js";
import type { Action, Interface, LinkModel, Nat, PairModel, Plan, Realm } from "../../sim/plan/plan.js";
import { NEUTRAL, PORT } from "../../sim/plan/plan.js";

export const PERFECT: LinkModel = { ...NEUTRAL, delayUs: 10_000, queueBytes: 0, mtuBytes: 65_507 };

/** Models of every world: what lies between any two nodes, and a LAN. */
export const LAN: LinkModel = { ...PERFECT, delayUs: 200 };
export const DEFAULT_MODEL = 0;
export const LAN_MODEL = 1;

export const CONE: Nat = {
  address: 0,
  mapping: "endpoint",
  filtering: "endpoint",
  portChoice: "preserve",
  hairpin: true,
  timeoutUs: 30_000_000,
  inboundRefresh: false,
  udpBlocked: false,
  mappingsMax: 100,
  access: -1,
};

export interface Arrival {
  readonly atUs: number;
  readonly node: number;
  readonly interface: number;
  /** As the node sees the sender. */
  readonly from: number;
  readonly tag: number;
  readonly length: number;
  readonly corruptBit: number;
}

interface Flying {
  readonly dueUs: number;
  readonly serial: number;
  readonly from: number;
  readonly to: number;
  readonly length: number;
  readonly fromNode: number;
  readonly tag: number;
  readonly corruptBit: number;
}

/** What a world is made of. Realm 0 is there already; models start with the default one and the LAN. */
export class WorldPlan {
  readonly nodes: Plan["nodes"][number][] = [];
  readonly realms: Realm[] = [{ name: "internet", parent: -1, region: 0, nat: undefined, lan: LAN_MODEL }];
  readonly models: LinkModel[] = [PERFECT, LAN];
  readonly pairs: PairModel[] = [];
  readonly actions: Action[] = [];
  regions: Plan["regions"] = { names: ["here"], rttUs: [0] };
  private nextAddress = 1000;

  address(): number {
    this.nextAddress += 1;
    return this.nextAddress;
  }

  model(model: Partial<LinkModel>): number {
    this.models.push({ ...PERFECT, ...model });
    return this.models.length - 1;
  }

  /** Interfaces in these realms, the internet unless said; answers the node's number. */
  node(realms: readonly number[] = [0], { region = 0, access = -1 } = {}): number {
    const interfaces: Interface[] = realms.map((realm) => ({ realm, address: this.address(), access }));
    const number = this.nodes.length;
    const role = realms.includes(0) ? (realms.length > 1 ? "gateway" : "public") : "private";
    this.nodes.push({ name: `n${number}`, role, region, interfaces, dials: [], driftPpm: 0, cpu: undefined });
    return number;
  }

  realm(nat: Partial<Nat> | undefined, parent = 0): number {
    const full = nat === undefined ? undefined : { ...CONE, address: this.address(), ...nat };
    this.realms.push({ name: `r${this.realms.length}`, parent, region: 0, nat: full, lan: LAN_MODEL });
    return this.realms.length - 1;
  }

  pair(a: number, b: number, model: Partial<LinkModel>, oneWay = false): void {
    this.pairs.push({ a, b, model: this.model(model), oneWay });
  }

  build(): Plan {
    return {
      name: "world",
      seed: "1",
      hash: "",
      durationUs: 0,
      warmupUs: 0,
      crypto: "modelled",
      nodes: this.nodes,
      realms: this.realms,
      models: this.models,
      regions: this.regions,
      pairs: this.pairs,
      defaultModel: DEFAULT_MODEL,
      actions: this.actions,
      expect: [],
      isStrict: false,
      mutate: undefined,
    };
  }
}

export class NetworkWorld {
  readonly plan: Plan;
  readonly network: Network;
  readonly arrivals: Arrival[] = [];
  nowUs = 0;
  private readonly flying: Flying[] = [];
  private serial = 0;

  constructor(plan: WorldPlan, seed = "weather") {
    this.plan = plan.build();
    this.network = new Network(this.plan, seed);
  }

  endpoint(node: number, i = 0): number {
    return endpointOf(this.plan.nodes[node]!.interfaces[i]!.address, PORT);
  }

  /** Sends now; what arrives bears `tag`. */
  send(node: number, to: number, { tag = 0, length = 100, i = 0, peer = -1 } = {}): void {
    const out = (dueUs: number, _island: number, from: number, at: number, _at: number, bytes: number, bit: number) => {
      this.flying.push({
        dueUs,
        serial: this.serial,
        from,
        to: at,
        length: bytes,
        fromNode: node,
        tag,
        corruptBit: bit,
      });
      this.serial += 1;
    };
    this.network.send(this.nowUs, node, i, to, length, out, peer);
  }

  /** Lets time pass; what falls due arrives, and is answered. */
  run(forUs = 1_000_000): Arrival[] {
    const untilUs = this.nowUs + forUs;
    const before = this.arrivals.length;
    for (;;) {
      this.flying.sort((a, b) => a.dueUs - b.dueUs || a.serial - b.serial);
      const next = this.flying[0];
      if (next === undefined || next.dueUs > untilUs) break;
      this.flying.shift();
      this.nowUs = next.dueUs;
      const node = this.network.receive(next.dueUs, next.from, next.to, next.length, next.fromNode);
      if (node < 0) continue;
      const { delivery } = this.network;
      const bit = delivery.corruptBit >= 0 ? delivery.corruptBit : next.corruptBit;
      for (const atUs of delivery.copyUs < 0 ? [delivery.dueUs] : [delivery.dueUs, delivery.copyUs]) {
        this.arrivals.push({
          atUs,
          node,
          interface: delivery.interface,
          from: delivery.from,
          tag: next.tag,
          length: next.length,
          corruptBit: bit,
        });
      }
    }
    this.nowUs = untilUs;
    return this.arrivals.slice(before);
  }

  act(action: Action extends infer A ? (A extends Action ? Omit<A, "atUs"> : never) : never): void {
    this.network.handleAction(this.nowUs, { atUs: this.nowUs, ...action } as Action);
  }

  /** Sends and waits: who got it, seeing whom. */
  ask(node: number, to: number, options: { length?: number; i?: number; peer?: number } = {}): Arrival[] {
    this.send(node, to, options);
    return this.run();
  }
}
