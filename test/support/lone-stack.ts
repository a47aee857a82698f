import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import type { CryptoSuite, KemKeys } from "../../core/crypto/suite.js";
import type { SessionContext } from "../../core/session/context.js";
import { Stack } from "../../core/stack/stack.js";
import { SECOND_US } from "../../core/time/instant.js";
import { traceNothing } from "../../core/trace/trace.js";
import { type Random, randomFrom } from "./random.js";

/** One real Stack among strangers: what goes in and comes out is counted by path, and what came out last is kept. */
export class LoneStack {
  nowUs = SECOND_US;
  readonly stack: Stack;
  readonly linkKeys: KemKeys;
  readonly random: Random;
  /** What strangers need for flights of their own. */
  readonly context: SessionContext;
  readonly bytesIn = new Map<number, number>();
  readonly bytesOut = new Map<number, number>();
  /** Datagrams that came out and were not taken yet. */
  readonly out: { readonly path: number; readonly bytes: Uint8Array }[] = [];

  constructor(suite: CryptoSuite, seed = "lone") {
    this.random = randomFrom(seed);
    const { random } = this;
    const networkId = networkIdOf(suite, "world");
    this.linkKeys = suite.kemKeys(random.bytes(64));
    this.context = { suite, entropy: (length) => random.bytes(length), networkId };
    this.stack = new Stack(
      this.nowUs,
      {
        networkName: "world",
        service: identityFromSeeds(suite, networkId, random.bytes(64), random.bytes(32)),
        linkKeys: this.linkKeys,
        storedEpoch: 0,
        wallClockSeconds: 1_800_000_000,
      },
      {
        suite,
        entropy: this.context.entropy,
        random32: () => random.u32(),
        sink: {
          transmit: (path, bytes, at, length) => {
            this.bytesOut.set(path, this.sentTo(path) + length);
            this.out.push({ path, bytes: bytes.slice(at, at + length) });
          },
          event: () => undefined,
          deliver: () => undefined,
          deliverDatagram: () => undefined,
          persist: () => undefined,
        },
        trace: traceNothing,
        allocate: heapAllocator,
        dictionary: new NacDictionary(),
      },
    );
    this.stack.start(this.nowUs);
  }

  sentTo(path: number): number {
    return this.bytesOut.get(path) ?? 0;
  }

  /** Answers what came out by it. */
  receive(path: number, bytes: Uint8Array): Uint8Array[] {
    this.bytesIn.set(path, (this.bytesIn.get(path) ?? 0) + bytes.length);
    const before = this.out.length;
    this.stack.handleDatagram(this.nowUs, path, bytes.slice(), 0, bytes.length);
    return this.out.slice(before).map((one) => one.bytes);
  }

  /** Time goes by; every timer on the way rings. */
  wait(forUs: number): void {
    const endUs = this.nowUs + forUs;
    while (this.stack.nextDeadlineUs <= endUs) {
      this.nowUs = Math.max(this.nowUs, this.stack.nextDeadlineUs);
      this.stack.handleTimer(this.nowUs);
    }
    this.nowUs = endUs;
  }
}
