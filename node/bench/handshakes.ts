/** How many whole MQ1 handshakes one core does, both ends in this process, with the native suite and real entropy. */
import { networkIdOf } from "../../core/crypto/identity.js";
import { KEM_SEED_BYTES, type KemKeys } from "../../core/crypto/suite.js";
import { drawIndex, type SessionContext } from "../../core/session/context.js";
import { Initiator } from "../../core/session/initiator.js";
import { Responder } from "../../core/session/responder.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { OBSERVED_NOTHING } from "../../core/wire/resp.js";
import { createNativeSuite } from "../crypto/native-suite.js";
import { systemEntropy } from "../entropy.js";

const WARM_UP = 50;
const MEASURED_MS = 3_000;
const PARAMS = { creditKiB: 1024, streamsMax: 64, flags: 0 };
const PATH_TAG = new Uint8Array(8);

export function handshakesPerSecond(): number {
  const suite = createNativeSuite();
  const context: SessionContext = { suite, entropy: systemEntropy, networkId: networkIdOf(suite, "bench") };
  const keys = suite.kemKeys(systemEntropy(KEM_SEED_BYTES));
  const responder = new Responder(context, { keys, params: PARAMS });
  for (let number = 0; number < WARM_UP; number++) shakeHands(context, keys, responder);
  const startedAt = performance.now();
  let count = 0;
  for (; performance.now() - startedAt < MEASURED_MS; count++) shakeHands(context, keys, responder);
  return (count * 1000) / (performance.now() - startedAt);
}

/** INIT, RESP, CONF, and both ends hold a session. Throws when they do not: then the figure would mean nothing. */
function shakeHands(context: SessionContext, keys: KemKeys, responder: Responder): void {
  const nowUs = Math.floor(performance.now() * 1000);
  responder.handleTimeout(nowUs);
  const localIndex = drawIndex(context.entropy);
  const config = { peerPublicKey: keys.publicKey, params: PARAMS, flightBytes: LINK_DATAGRAM_BYTES, localIndex };
  const initiator = new Initiator(context, config);
  const init = initiator.start(nowUs);
  if (init === undefined) throw new Error("the initiator refused a key of our own");
  const allocate = () => drawIndex(context.entropy);
  const answer = responder.handleInit(nowUs, init, 0, init.length, PATH_TAG, OBSERVED_NOTHING, allocate);
  if (typeof answer === "string") throw new Error(`INIT was refused: ${answer}`);
  const conf = initiator.handleResp(nowUs, answer.flight, 0, answer.flight.length);
  if (conf === undefined) throw new Error(`RESP was refused: ${initiator.lastFault}`);
  const outcome = responder.handleConf(nowUs, conf, 0, conf.length, PATH_TAG, () => true);
  if (typeof outcome === "string") throw new Error(`CONF was refused: ${outcome}`);
  if (!("session" in outcome) || initiator.session === undefined) throw new Error("no session came about");
}
