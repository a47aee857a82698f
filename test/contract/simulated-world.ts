import type { Sink, StackPorts } from "../../core/stack/ports.js";
import type { Stack } from "../../core/stack/stack.js";
import { NEVER } from "../../core/time/instant.js";
import { censusBuffers, censusOver } from "../../sim/engine/census.js";
import type { Host } from "../../sim/engine/host.js";
import { Shard } from "../../sim/engine/shard.js";
import { endpointOf, portOf } from "../../sim/network/datagram.js";
import { NAT_PROFILES, type NatProfile } from "../../sim/network/nat-profiles.js";
import { Network } from "../../sim/network/network.js";
import { PATHS_MAX } from "../../sim/network/paths.js";
import { instruments } from "../../sim/oracle/instruments.js";
import { PORT } from "../../sim/plan/plan.js";
import { modelledSuite } from "../../sim/suite/modelled-suite.js";
import { WorldPlan } from "../support/network-world.js";
import type { Port, PortWorld, Remote } from "./port.js";

const NODES = 4;

/** What the engine takes a simulated node for: its host with all that carries datagrams, and no protocol behind it. */
class SimulatedPort implements Port {
  readonly arrivals: Port["arrivals"] = [];
  readonly host: Host;
  /** The engine's own, as the stack had it. */
  private readonly sink: Sink;

  constructor(host: Host) {
    this.host = host;
    this.sink = (host.stack as unknown as { ports: StackPorts }).ports.sink;
    const ear: Pick<Stack, "start" | "handleDatagram" | "nextDeadlineUs" | "pathsInUse"> = {
      start: () => NEVER,
      handleDatagram: (_nowUs, path, bytes, at, length) => {
        this.arrivals.push({ path, bytes: bytes.slice(at, at + length) });
        return NEVER;
      },
      nextDeadlineUs: NEVER,
      pathsInUse: [],
    };
    host.stack = ear as Stack;
  }

  set isPathInUse(isInUse: (path: number) => boolean) {
    this.host.paths.isInUse = isInUse;
  }

  get pathsFull(): number {
    return this.host.paths.full;
  }

  pathTo(remote: Remote): number {
    return this.host.paths.pathOf(0, endpointOf(Number(remote.host), remote.port));
  }

  send(path: number, bytes: Uint8Array, at: number, length: number): void {
    this.sink.transmit(path, bytes, at, length);
  }
}

/**
 * The simulator itself, one shard of it, whose nodes have ports in place of stacks: hosts, paths, ways of datagrams,
 * calendar and network are those of every run. Nodes are in the internet, or each in a house of its own.
 */
export class SimulatedWorld implements PortWorld {
  readonly pathsMax = PATHS_MAX;
  private readonly shard: Shard;
  private readonly addresses: number[];
  private readonly ports: SimulatedPort[] = [];
  private readonly isBehindNat: boolean;
  private opened = 0;
  /** Where the shard is in virtual time. */
  private nowUs = 0;

  constructor(nat?: NatProfile) {
    const plan = new WorldPlan();
    // A little jitter, so that order is not kept.
    plan.models[0] = { ...plan.models[0]!, jitterUs: 5_000 };
    for (let i = 0; i < NODES; i += 1) plan.node([nat === undefined ? 0 : plan.realm(nat)]);
    plan.node(); // has an address in the internet, by which nodes learn how others see them
    for (let node = 0; node < NODES; node += 1) plan.actions.push({ atUs: 0, do: "start", node });
    const built = { ...plan.build(), durationUs: Number.POSITIVE_INFINITY };
    const nodes = built.nodes.length;
    this.isBehindNat = nat !== undefined;
    this.addresses = built.nodes.map(({ interfaces }) => interfaces[0]!.address);
    this.shard = new Shard({
      plan: built,
      shard: 0,
      shards: 1,
      census: censusOver(
        nodes,
        censusBuffers(nodes, 1, (bytes) => new ArrayBuffer(bytes)),
      ),
      network: new Network(built, "contract"),
      suite: modelledSuite,
      shuffle: undefined,
      record: undefined,
      instruments: (view) => {
        const { observer, hooks } = instruments(view);
        hooks.handleCreated = (_nowUs, host) => this.ports.push(new SimulatedPort(host));
        return { observer, hooks };
      },
      post: () => {
        throw new Error("there is one shard");
      },
    });
    this.run();
  }

  async open(): Promise<Port> {
    const port = this.ports[this.opened];
    if (port === undefined) throw new RangeError(`SimulatedWorld: no more than ${NODES} ports`);
    this.opened += 1;
    return port;
  }

  async remoteOf(port: Port): Promise<Remote> {
    if (!(port instanceof SimulatedPort)) throw new TypeError("a port of another world");
    const { node } = port.host;
    if (!this.isBehindNat) return { host: String(this.addresses[node]), port: PORT };
    let seen = -1;
    this.shard.network.send(this.nowUs, node, 0, endpointOf(this.addresses[NODES]!, PORT), 1, (_, _island, from) => {
      seen = from;
    });
    return { host: String(Math.floor(seen / 65_536)), port: portOf(seen) };
  }

  nobody(n: number): Remote {
    return { host: String(1_000_000 + n), port: PORT };
  }

  async settle(): Promise<void> {
    this.run();
  }

  async close(): Promise<void> {}

  /** Until nothing is due any more. */
  private run(): void {
    const { shard } = this;
    for (let next = shard.nextWindow(); next !== Number.POSITIVE_INFINITY; next = shard.nextWindow()) {
      shard.runWindow(next, Number.POSITIVE_INFINITY);
      this.nowUs = shard.calendar.startOf(next + 1);
    }
  }
}

/** Open to all who know the port: the contract has no hole to punch. */
export const OPEN_HOUSE: NatProfile = { ...NAT_PROFILES.home, filtering: "endpoint" };
