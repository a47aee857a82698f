/** Nodes that own and check hash chains, without anything else of a node around them. */
import { NacDictionary } from "../../core/address/dictionary.js";
import { HashChains } from "../../core/chain/hash-chains.js";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { LIFE_PROOF_BYTES, TAG_BYTES, type Verdict } from "../../core/routing/elements.js";
import { ELEMENT_BYTES } from "../../core/wire/routes.js";

export const NETWORK = new Uint8Array(32).fill(9);
/** 256 slots: as short as an epoch may be and still have several checkpoints. */
export const SLOTS = 256;

export interface ChainNode {
  readonly chains: HashChains;
  readonly dictionary: NacDictionary;
}

/** Nothing secret: of each NAC, 32 times its first byte. */
export function chainNode(suite: CryptoSuite = nobleSuite, epochSlots = SLOTS): ChainNode {
  const dictionary = new NacDictionary();
  const secretOf = (destination: number) => new Uint8Array(32).fill(dictionary.bytesOf(destination)[0]!);
  const networkId = NETWORK;
  return {
    dictionary,
    chains: new HashChains({ suite, dictionary, networkId, secretOf, epochSlots, firstSlots: epochSlots }),
  };
}

export function nacOf(first: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => first + i);
}

/** A node with ready chains of the NAC. */
export function originOf(nac: Uint8Array, epoch: number, startSlot: number, suite?: CryptoSuite, slots?: number) {
  const node = chainNode(suite, slots);
  const number = node.dictionary.intern(nac);
  node.chains.originate(number, epoch, startSlot);
  finish(node.chains);
  return { ...node, number };
}
export type Origin = ReturnType<typeof originOf>;

export function finish(chains: HashChains): void {
  for (let i = 0; i < 100_000; i += 1) if (!chains.work(10_000)) return;
  throw new Error("the chains are never finished");
}

/** Element and tag, as a route states them that names its epoch first. Throws where nothing can be written. */
export function tagged(
  from: ChainNode,
  nac: Uint8Array,
  epoch: number,
  generation: number,
  metric: number,
): Uint8Array {
  const bytes = new Uint8Array(ELEMENT_BYTES + TAG_BYTES);
  const number = from.dictionary.find(nac);
  if (!from.chains.writeMetric(number, epoch, generation, metric, bytes, 0)) throw new Error("no element");
  if (!from.chains.writeTag(number, epoch, bytes, ELEMENT_BYTES)) throw new Error("no tag");
  return bytes;
}

export function lifeOf(from: ChainNode, nac: Uint8Array, epoch: number, slot: number): Uint8Array {
  const bytes = new Uint8Array(LIFE_PROOF_BYTES);
  if (!from.chains.writeLife(from.dictionary.find(nac), epoch, slot, bytes, 0)) throw new Error("no life");
  return bytes;
}

/** What `node` says to such a route on a link. */
export function hear(
  node: ChainNode,
  nac: Uint8Array,
  epoch: number,
  generation: number,
  metric: number,
  bytes: Uint8Array,
  { link = 1, nowUs = 0, isTagged = true } = {},
): Verdict {
  let number = node.dictionary.find(nac);
  if (number < 0) number = node.dictionary.intern(nac);
  return node.chains.checkMetric(nowUs, link, number, epoch, generation, metric, bytes, 0, isTagged);
}
