import { endpointOf, portOf } from "../../sim/network/datagram.js";
import { NAT_PROFILES, type NatProfile } from "../../sim/network/nat-profiles.js";
import { Network } from "../../sim/network/network.js";
import { PATHS_MAX, Paths } from "../../sim/network/paths.js";
import { PORT } from "../../sim/plan/plan.js";
import { WorldPlan } from "../support/network-world.js";
import type { Port, PortWorld, Remote } from "./port.js";

const NODES = 4;

interface Flying {
  readonly dueUs: number;
  readonly from: number;
  readonly to: number;
  readonly fromNode: number;
  readonly bytes: Uint8Array;
}

class SimulatedPort implements Port {
  readonly arrivals: Port["arrivals"] = [];
  readonly paths = new Paths();
  readonly node: number;
  private readonly world: SimulatedWorld;

  constructor(world: SimulatedWorld, node: number) {
    this.world = world;
    this.node = node;
  }

  set isPathInUse(isInUse: (path: number) => boolean) {
    this.paths.isInUse = isInUse;
  }

  get pathsFull(): number {
    return this.paths.full;
  }

  pathTo(remote: Remote): number {
    return this.paths.pathOf(0, endpointOf(Number(remote.host), remote.port));
  }

  send(path: number, bytes: Uint8Array, at: number, length: number): void {
    this.world.send(this.node, this.paths.endpointOf(path), bytes.slice(at, at + length));
    this.paths.answer(path);
  }
}

/** Nodes of the simulated network, in the internet or each in a house of its own. */
export class SimulatedWorld implements PortWorld {
  readonly pathsMax = PATHS_MAX;
  private readonly network: Network;
  private readonly addresses: number[];
  private readonly ports: SimulatedPort[] = [];
  private readonly flying: Flying[] = [];
  private readonly isBehindNat: boolean;
  private nowUs = 0;

  constructor(nat?: NatProfile) {
    const plan = new WorldPlan();
    // A little jitter, so that order is not kept.
    plan.models[0] = { ...plan.models[0]!, jitterUs: 5_000 };
    for (let i = 0; i < NODES; i += 1) plan.node([nat === undefined ? 0 : plan.realm(nat)]);
    plan.node(); // a reflector in the internet, by which nodes learn how others see them
    const built = plan.build();
    this.isBehindNat = nat !== undefined;
    this.addresses = built.nodes.map(({ interfaces }) => interfaces[0]!.address);
    this.network = new Network(built, "contract");
  }

  async open(): Promise<Port> {
    const port = new SimulatedPort(this, this.ports.length);
    if (port.node >= NODES) throw new RangeError(`SimulatedWorld: no more than ${NODES} ports`);
    this.ports.push(port);
    return port;
  }

  async remoteOf(port: Port): Promise<Remote> {
    if (!(port instanceof SimulatedPort)) throw new TypeError("a port of another world");
    if (!this.isBehindNat) return { host: String(this.addresses[port.node]), port: PORT };
    let seen = -1;
    this.network.send(this.nowUs, port.node, 0, endpointOf(this.addresses[NODES]!, PORT), 1, (_, _island, from) => {
      seen = from;
    });
    return { host: String(Math.floor(seen / 65_536)), port: portOf(seen) };
  }

  nobody(n: number): Remote {
    return { host: String(1_000_000 + n), port: PORT };
  }

  async settle(): Promise<void> {
    for (;;) {
      this.flying.sort((a, b) => a.dueUs - b.dueUs);
      const next = this.flying.shift();
      if (next === undefined) return;
      this.nowUs = next.dueUs;
      const node = this.network.receive(next.dueUs, next.from, next.to, next.bytes.length, next.fromNode);
      const port = this.ports[node];
      if (port === undefined) continue;
      const path = port.paths.pathOf(this.network.delivery.interface, this.network.delivery.from);
      if (path >= 0) port.arrivals.push({ path, bytes: next.bytes });
    }
  }

  async close(): Promise<void> {}

  send(fromNode: number, endpoint: number, bytes: Uint8Array): void {
    this.network.send(this.nowUs, fromNode, 0, endpoint, bytes.length, (dueUs, _island, from, to) => {
      this.flying.push({ dueUs, from, to, fromNode, bytes });
    });
  }
}

/** Open to all who know the port: the contract has no hole to punch. */
export const OPEN_HOUSE: NatProfile = { ...NAT_PROFILES.home, filtering: "endpoint" };
