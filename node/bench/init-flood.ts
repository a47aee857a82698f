/** What one junk INIT, with a mac1 that is wrong, costs a whole stack with the native suite: microseconds of processor. */
import { NacDictionary } from "../../core/address/dictionary.js";
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { identityFromSeeds, networkIdOf } from "../../core/crypto/identity.js";
import { KEM_SEED_BYTES, SIGNATURE_SEED_BYTES } from "../../core/crypto/suite.js";
import { drawIndex } from "../../core/session/context.js";
import { Initiator } from "../../core/session/initiator.js";
import { Stack } from "../../core/stack/stack.js";
import { traceNothing } from "../../core/trace/trace.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { createNativeSuite } from "../crypto/native-suite.js";
import { systemEntropy, systemRandom32 } from "../entropy.js";

const WARM_UP = 20_000;
const MEASURED = 100_000;
const PATHS = 4096;
const NETWORK = "bench";
const PARAMS = { creditKiB: 0, streamsMax: 0, flags: 0 };
/** Behind the label, so that nothing but mac1 tells. */
const FIRST_CHANGED = 8;

export function junkInitMicroseconds(): number {
  const suite = createNativeSuite();
  const networkId = networkIdOf(suite, NETWORK);
  const linkKeys = suite.kemKeys(systemEntropy(KEM_SEED_BYTES));
  let answers = 0;
  const sink = {
    transmit: () => {
      answers += 1;
    },
    event: () => undefined,
    deliver: () => undefined,
    deliverDatagram: () => undefined,
    persist: () => undefined,
  };
  const service = identityFromSeeds(
    suite,
    networkId,
    systemEntropy(KEM_SEED_BYTES),
    systemEntropy(SIGNATURE_SEED_BYTES),
  );
  const stack = new Stack(
    1,
    { networkName: NETWORK, service, linkKeys, storedEpoch: 0, wallClockSeconds: 1 },
    {
      suite,
      entropy: systemEntropy,
      random32: systemRandom32,
      sink,
      trace: traceNothing,
      allocate: heapAllocator,
      dictionary: new NacDictionary(),
    },
  );
  stack.start(1);
  const context = { suite, entropy: systemEntropy, networkId };
  const localIndex = drawIndex(systemEntropy);
  const config = { peerPublicKey: linkKeys.publicKey, params: PARAMS, flightBytes: LINK_DATAGRAM_BYTES, localIndex };
  const init = new Initiator(context, config).start(1);
  if (init === undefined) throw new Error("the initiator refused a key of our own");

  // The path and the byte that is wrong change with each; the time does not: no timer is to be measured.
  const flood = (count: number) => {
    for (let i = 0; i < count; i += 1) {
      const at = FIRST_CHANGED + (i % (LINK_DATAGRAM_BYTES - FIRST_CHANGED - 16));
      init[at]! ^= 1;
      stack.handleDatagram(2, i % PATHS, init, 0, init.length);
      init[at]! ^= 1;
    }
  };
  flood(WARM_UP);
  const before = process.cpuUsage();
  flood(MEASURED);
  const { user, system } = process.cpuUsage(before);
  if (answers > 0 || stack.status().handshakes.mac !== WARM_UP + MEASURED)
    throw new Error("the junk was not refused as junk");
  return (user + system) / MEASURED;
}
