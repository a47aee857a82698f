import { NacDictionary } from "../../core/address/dictionary.js";
import { type Identity, identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import type { CryptoSuite, KemKeys } from "../../core/crypto/suite.js";
import type { Plan } from "../plan/plan.js";
import { Stream } from "../random/stream.js";

export const NETWORK_NAME = "simulation";

/** Who is who: keys and NACs of all nodes of the plan, the same in every shard, and held for ever. */
export class Roster {
  readonly dictionary: NacDictionary;
  private readonly plan: Plan;
  private readonly suite: CryptoSuite;
  private readonly networkId: Uint8Array;
  private readonly nodeByNumber: Int32Array;
  private readonly numberByNode: Int32Array;

  /** @param shuffle  interns the NACs in an order drawn from it, in which nothing may show */
  constructor(plan: Plan, suite: CryptoSuite, shuffle: string | undefined) {
    const nodes = plan.nodes.length;
    this.plan = plan;
    this.suite = suite;
    this.networkId = networkIdOf(suite, NETWORK_NAME);
    this.dictionary = new NacDictionary(powerOfTwo(nodes * 2));
    this.nodeByNumber = new Int32Array(nodes);
    this.numberByNode = new Int32Array(nodes);
    const order = plan.nodes.map((_, node) => node);
    for (const node of shuffle === undefined ? order : new Stream(shuffle, "interning").sample(order, nodes)) {
      const number = this.dictionary.intern(this.identityOf(node).nac);
      this.nodeByNumber[number] = node;
      this.numberByNode[node] = number;
    }
  }

  identityOf(node: number): Identity {
    const stream = new Stream(this.plan.seed, "identity", this.plan.nodes[node]!.name);
    const kemSeed = bytesFrom(stream, 64);
    return identityFromSeeds(this.suite, this.networkId, kemSeed, bytesFrom(stream, 32));
  }

  linkKeysOf(node: number): KemKeys {
    return this.suite.kemKeys(bytesFrom(new Stream(this.plan.seed, "link", this.plan.nodes[node]!.name), 64));
  }

  nacOf(node: number): Uint8Array {
    return this.dictionary.bytesOf(this.numberByNode[node]!);
  }

  /** The node whose service NAC it is; -1 for another NAC. */
  nodeOf(nac: Uint8Array): number {
    return this.nodeOfNumber(this.dictionary.find(nac));
  }

  /** By number of the dictionary; -1 for another NAC. */
  nodeOfNumber(number: number): number {
    return number < 0 || number >= this.nodeByNumber.length ? -1 : this.nodeByNumber[number]!;
  }
}

export function bytesFrom(stream: Stream, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) out[i] = stream.below(256);
  return out;
}

function powerOfTwo(least: number): number {
  let power = 64;
  while (power < least) power *= 2;
  return power;
}
