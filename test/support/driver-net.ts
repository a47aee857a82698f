/** Real drivers and stacks in one process, their datagrams carried from one to the other in memory: no sockets, no loss. */
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../../core/crypto/suite.js";
import { systemClock } from "../../node/clock.js";
import { createNativeSuite } from "../../node/crypto/native-suite.js";
import { type DatagramPort, Driver } from "../../node/driver.js";
import { systemEntropy } from "../../node/entropy.js";
import { createLog, type LogFields } from "../../node/log.js";

const NETWORK = "driver-net";
const suite = createNativeSuite();

/** A port in memory: its address is its number, and so is the path to it. */
class MemoryPort implements DatagramPort {
  onDatagram: DatagramPort["onDatagram"] = () => undefined;
  /** Datagrams sent so far. */
  sent = 0;
  isCut = false;
  private readonly net: MemoryPort[];
  private readonly self: number;

  constructor(net: MemoryPort[]) {
    this.net = net;
    this.self = net.length;
    net.push(this);
  }

  send(path: number, bytes: Uint8Array, at: number, length: number): void {
    this.sent += 1;
    const copy = new Uint8Array(bytes.subarray(at, at + length)); // no Buffer: UdpPort takes that away
    const peer = this.net[path];
    setImmediate(() => {
      if (peer !== undefined && !peer.isCut && !this.isCut) peer.onDatagram(this.self, copy, length);
    });
  }

  pathOf(address: string): number {
    return address === "unknown" ? -1 : Number(address);
  }

  crowdOf(path: number): number {
    return 1000 + path;
  }

  endpointOf(path: number): string {
    return `memory:${path}`;
  }
}

export interface DriverNode {
  readonly driver: Driver;
  readonly nac: Uint8Array;
  readonly nacHash: Uint8Array;
  readonly port: MemoryPort;
  readonly address: string;
  readonly epochs: number[];
  readonly events: string[];
}

/** Daemons in a row, each linked to the one before; all are closed by `close`. */
export function startLine(count: number): { nodes: DriverNode[]; close: () => Promise<void> } {
  const net: MemoryPort[] = [];
  const nodes = Array.from({ length: count }, () => createNode(net));
  for (const node of nodes) node.driver.start();
  for (let i = 1; i < count; i += 1) nodes[i]!.driver.addPeer(nodes[i - 1]!.address, 1, undefined);
  return {
    nodes,
    close: async () => {
      await Promise.all(nodes.map((node) => node.driver.close()));
    },
  };
}

function createNode(net: MemoryPort[]): DriverNode {
  const address = String(net.length);
  const port = new MemoryPort(net);
  const service = identityFromSeeds(
    suite,
    networkIdOf(suite, NETWORK),
    systemEntropy(KEM_SEED_BYTES),
    systemEntropy(SIGNATURE_SEED_BYTES),
  );
  const epochs: number[] = [];
  const events: string[] = [];
  const log = createLog({ level: "debug", unsafe: true, write: (line) => void events.push(eventOf(line)) });
  const driver = new Driver({
    stackConfig: {
      networkName: NETWORK,
      service,
      linkKeys: suite.kemKeys(systemEntropy(KEM_SEED_BYTES)),
      storedEpoch: 0,
      wallClockSeconds: systemClock.wallSeconds(),
    },
    suite,
    udp: port,
    entropy: systemEntropy,
    clock: systemClock,
    log,
    persistEpoch: (_nac, epoch) => void epochs.push(epoch),
  });
  return { driver, nac: service.nac, nacHash: service.nacHash, port, address, epochs, events };
}

function eventOf(line: string): string {
  return (JSON.parse(line) as LogFields & { event: string }).event;
}
