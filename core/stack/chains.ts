import { ascii } from "../address/text.js";
import { HashChains } from "../chain/hash-chains.js";
import { sameBytes } from "../collections/bytes.js";
import type { Identity } from "../crypto/identity.js";
import type { StackConfig, StackPorts } from "./ports.js";

const SECRET = ascii("mq/chain-secret/1");

/**
 * The hash chains of a node whose configuration has a seed for them; undefined without. What the chains of the service and former NACs follow
 * from is part of their keys, so that a restart needs the epoch's number alone; of a client NAC, which no restart outlives, it follows from
 * the seed.
 *
 *   secret = H("mq/chain-secret/1" | NAC 16 | ML-KEM secret key | ML-DSA secret key), or H("mq/chain-secret/1" | NAC 16 | seed 32)
 */
export function nodeChains(ports: StackPorts, networkId: Uint8Array, config: StackConfig): HashChains | undefined {
  const { suite, dictionary } = ports;
  const { chainSeed, service, former = [] } = config;
  if (chainSeed === undefined) return undefined;
  const identities: readonly Identity[] = [service, ...former.map(({ identity }) => identity)];
  return new HashChains({
    suite,
    dictionary,
    networkId,
    secretOf: (destination) => {
      const nac = dictionary.bytesOf(destination);
      const own = identities.find((identity) => sameBytes(identity.nac, nac));
      if (own === undefined) return suite.hash(SECRET, nac, chainSeed);
      return suite.hash(SECRET, nac, own.kem.secretKey, own.signature.secretKey);
    },
  });
}
