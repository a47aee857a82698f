/**
 * One neighbour of a daemon under test: the core's own stack with real crypto on a UDP port of 127.0.0.1. What it knows of the
 * network is played from a recording; frames, short ids, digests and the control stream are all its own.
 */
import { NacDictionary } from "../../core/address/dictionary.js";
import { printNac } from "../../core/address/nac.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { identityFromSeeds, linkKeyHashOf, networkIdOf, SUITE_FLOOR } from "../../core/crypto/identity.js";
import { type CryptoSuite, KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../../core/crypto/suite.js";
import { Stack } from "../../core/stack/stack.js";
import { NEVER } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { systemClock } from "../clock.js";
import { systemEntropy, systemRandom32 } from "../entropy.js";
import type { Log } from "../log.js";
import { UdpPort } from "../udp.js";
import type { FeedChains } from "./feed-chains.js";
import { msOfSlot } from "./feed-origins.js";
import { FeedTeller, type Telling } from "./feed-teller.js";

/** An input of the stack that changes nothing lets out what was told. */
const IDLE = { queueDelayUs: 0, busy: 0 };

export class Feeder {
  /** `HOST:PORT#LINKKEYHASH`, as a daemon takes it for `--peer`. */
  readonly peer: string;
  /** UDP payload that left. */
  sentBytes = 0;
  private readonly nac: Uint8Array;
  private readonly teller: FeedTeller;
  private readonly chains: FeedChains;
  private readonly stack: Stack;
  private readonly udp: UdpPort;
  private timer: NodeJS.Timeout | undefined;

  private constructor(args: {
    suite: CryptoSuite;
    network: string;
    nodes: number;
    udp: UdpPort;
    chains: FeedChains;
  }) {
    const { suite, network, udp } = args;
    const networkId = networkIdOf(suite, network);
    const linkKeys = suite.kemKeys(systemEntropy(KEM_SEED_BYTES));
    const hash = linkKeyHashOf(suite, networkId, SUITE_FLOOR, linkKeys.publicKey);
    const [local] = udp.endpoints;
    this.peer = `${local!.host}:${local!.port}#${Buffer.from(hash).toString("hex")}`;
    this.udp = udp;
    const seeds = [systemEntropy(KEM_SEED_BYTES), systemEntropy(SIGNATURE_SEED_BYTES)] as const;
    const service = identityFromSeeds(suite, networkId, ...seeds);
    this.nac = service.nac;
    this.chains = args.chains;
    const dictionary = new NacDictionary(64, [systemRandom32(), systemRandom32()]);
    const nowUs = systemClock.nowUs();
    this.stack = new Stack(
      nowUs,
      {
        networkName: network,
        service,
        linkKeys,
        storedEpoch: 0,
        wallClockSeconds: systemClock.wallSeconds(),
      },
      {
        suite,
        entropy: systemEntropy,
        random32: systemRandom32,
        trace: traceNothing,
        allocate: heapAllocator,
        dictionary,
        elements: args.chains.elementsFor(dictionary),
        sink: {
          transmit: (path, bytes, at, length) => {
            this.sentBytes += length;
            udp.send(path, bytes, at, length);
          },
          event: () => undefined,
          deliver: () => undefined,
          deliverDatagram: () => undefined,
          persist: () => undefined,
        },
      },
    );
    this.teller = new FeedTeller(this.stack, args.nodes);
    this.input((stack, now) => stack.start(now));
    this.teller.begin(nowUs);
    udp.isPathInUse = (path) => this.stack.pathsInUse.includes(path);
    udp.onDatagram = (path, bytes, length) =>
      this.input((stack, now) => stack.handleDatagram(now, path, bytes, 0, length, udp.crowdOf(path)));
  }

  static async open(args: {
    suite: CryptoSuite;
    network: string;
    /** Of the network that it plays. */
    nodes: number;
    log: Log;
    /** Of all origins, one for all feeders. */
    chains: FeedChains;
  }): Promise<Feeder> {
    const udp = await UdpPort.open([{ host: "127.0.0.1", port: 0 }], args.log);
    return new Feeder({ ...args, udp });
  }

  /** Daemons that are linked with it. */
  get neighbours(): number {
    return this.stack.status().neighbours;
  }

  get routes(): number {
    return this.stack.status().routes;
  }

  /** As printed: its own, and those that it has a route to. */
  nacs(): string[] {
    return [this.nac, ...this.stack.routes().map(({ nac }) => nac)].map((nac) => printNac(nac));
  }

  /** The stack's table changes so; whoever listens is told as the core tells it. */
  tell(tellings: readonly Telling[]): void {
    for (const { nac, epoch } of tellings) this.chains.make(nac, epoch);
    this.input((stack, now) => {
      stack.handleTimer(now); // what was due before comes before
      this.teller.tell(now, tellings);
      this.teller.answer(now);
      this.teller.prove(now, msOfSlot(Date.now()));
      return stack.handleLoad(now, IDLE);
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    this.udp.onDatagram = () => undefined;
    this.stack.shutdown(systemClock.nowUs());
    await new Promise((resolve) => setImmediate(resolve)); // the farewell leaves
    await this.udp.close();
  }

  private input(call: (stack: Stack, nowUs: number) => number): void {
    const nowUs = systemClock.nowUs();
    this.teller.setNow(nowUs);
    const dueUs = call(this.stack, nowUs);
    clearTimeout(this.timer);
    if (dueUs === NEVER) return;
    const waitMs = Math.max(1, Math.ceil((dueUs - systemClock.nowUs()) / 1000));
    this.timer = setTimeout(() => this.input((stack, now) => stack.handleTimer(now)), waitMs);
  }
}
