/** Hash chains in numbers: what two implementations must agree on, from fixed secrets; written down as test/core/chain-vectors.json. */
import { NacDictionary } from "../../core/address/dictionary.js";
import { HashChains } from "../../core/chain/hash-chains.js";
import { Chain, Walker } from "../../core/chain/step.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { EPOCH_PROOF_BYTES, LIFE_PROOF_BYTES, TAG_BYTES } from "../../core/routing/elements.js";
import { ELEMENT_BYTES } from "../../core/wire/routes.js";

const NAC = Uint8Array.from({ length: 16 }, (_, i) => i);
const EPOCH = 0x01020304;
const START_SLOT = 356_000_016;
const SLOTS = 256;

export function chainVectors(suite: CryptoSuite) {
  const dictionary = new NacDictionary();
  const nac = dictionary.intern(NAC);
  const secretOf = () => new Uint8Array(32).fill(0x42);
  const chains = new HashChains({ suite, dictionary, networkId: new Uint8Array(32), secretOf, epochSlots: SLOTS });
  chains.originate(nac, EPOCH, START_SLOT);
  while (chains.work(100_000));

  const step = (chain: number, position: number) => {
    const walker = new Walker(suite);
    walker.enter(chain, dictionary, nac, EPOCH, 0x11223344, 0x55667788);
    walker.load(new Uint8Array(ELEMENT_BYTES).fill(0xee), 0);
    walker.walk(position, 1);
    const out = new Uint8Array(ELEMENT_BYTES);
    walker.store(out, 0);
    return hex(out);
  };
  const written = (length: number, write: (into: Uint8Array) => boolean) => {
    const bytes = new Uint8Array(length);
    if (!write(bytes)) throw new Error("nothing was written");
    return hex(bytes);
  };
  const metric = (generation: number, m: number) =>
    written(ELEMENT_BYTES, (into) => chains.writeMetric(nac, EPOCH, generation, m, into, 0));
  const life = (slot: number) => written(LIFE_PROOF_BYTES, (into) => chains.writeLife(nac, EPOCH, slot, into, 0));
  return {
    about: "Hash chains of protocol version 1. Bytes in hexadecimal. test/support/chain-vectors.ts says how they come.",
    nac: hex(NAC),
    epoch: EPOCH,
    startSlot: START_SLOT,
    slots: SLOTS,
    secret: hex(secretOf()),
    steps: [Chain.metric, Chain.life, Chain.tag, Chain.key].map((chain) => ({
      chain,
      from: "ee".repeat(ELEMENT_BYTES),
      tag: "1122334455667788",
      atZero: step(chain, 0),
      atMillion: step(chain, 1_000_000),
    })),
    tag: written(TAG_BYTES, (into) => chains.writeTag(nac, EPOCH, into, 0)),
    metric: [
      { generation: START_SLOT, metric: 63, element: metric(START_SLOT, 63) },
      { generation: START_SLOT, metric: 0, element: metric(START_SLOT, 0) },
      { generation: START_SLOT + 100, metric: 7, element: metric(START_SLOT + 100, 7) },
      { generation: START_SLOT + SLOTS - 1, metric: 0, element: metric(START_SLOT + SLOTS - 1, 0) },
    ],
    life: [
      { slot: START_SLOT, proof: life(START_SLOT) },
      { slot: START_SLOT + SLOTS - 1, proof: life(START_SLOT + SLOTS - 1) },
    ],
    epochProof: written(EPOCH_PROOF_BYTES, (into) => chains.proveEpoch(nac, EPOCH, into, 0)),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
