/**
 * The protocol in numbers: everything that two implementations must agree on, made from fixed seeds and written down as
 * test/core/frozen-vectors.json. A change of any of them is another protocol.
 */

import { printNac } from "../../core/address/nac.js";
import { printLongName, printName } from "../../core/address/name.js";
import {
  identityFromSeeds,
  linkKeyHashOf,
  networkIdOf,
  networkLabelOf,
  SUITE_FLOOR,
} from "../../core/crypto/identity.js";
import { encodeIdentityPem, encodeLinkKeyPem } from "../../core/crypto/pem.js";
import type { CryptoSuite, Entropy, KemKeys } from "../../core/crypto/suite.js";
import { drawIndex, type SessionContext } from "../../core/session/context.js";
import { mac2Of } from "../../core/session/cookies.js";
import { Initiator } from "../../core/session/initiator.js";
import { Responder } from "../../core/session/responder.js";
import type { Session } from "../../core/session/session.js";
import { SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import { END_PACKET_BYTES } from "../../core/wire/network-header.js";
import { RECORD_COUNTER_BYTES, RECORD_COUNTER_OFFSET, RECORD_HEADER_BYTES } from "../../core/wire/record.js";
import { OBSERVED_NOTHING } from "../../core/wire/resp.js";
import { opened, sealed } from "./handshake-pair.js";
import { hear, rekeyFrame } from "./rekey-pair.js";

const NETWORK = "frozen";
const PATH_TAG = new Uint8Array(8).fill(7);

export function frozenVectors(suite: CryptoSuite) {
  return {
    about:
      "Mariana's Qubit, protocol version 1, crypto suite 1. Bytes in hexadecimal. test/support/frozen-vectors.ts says how they come.",
    names: names(suite),
    link: conversation(suite, LINK_DATAGRAM_BYTES, undefined),
    endToEnd: conversation(suite, END_PACKET_BYTES, identityOf(suite, 0x51).nac),
  };
}

/** `first, first + 1 ..`: a seed that nobody takes for a secret. */
function counting(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

function identityOf(suite: CryptoSuite, first: number) {
  return identityFromSeeds(suite, networkIdOf(suite, NETWORK), counting(64, first), counting(32, first + 64));
}

function names(suite: CryptoSuite) {
  const networkId = networkIdOf(suite, NETWORK);
  const identity = identityOf(suite, 0);
  const linkSeed = counting(64, 0x90);
  const linkKey = suite.kemKeys(linkSeed);
  return {
    network: NETWORK,
    networkId: hex(networkId),
    networkLabel: hex(networkLabelOf(networkId)),
    kemSeed: hex(counting(64, 0)),
    signatureSeed: hex(counting(32, 64)),
    kemPublicKey: hex(identity.kem.publicKey),
    signaturePublicKey: hex(identity.signature.publicKey),
    nacHash: hex(identity.nacHash),
    nac: printNac(identity.nac),
    shortName: printName(identity.nac),
    longName: printLongName(identity.nacHash),
    linkSeed: hex(linkSeed),
    linkKeyHash: hex(linkKeyHashOf(suite, networkId, SUITE_FLOOR, linkKey.publicKey)),
    privateKeyPem: encodeIdentityPem(counting(64, 0), counting(32, 64)).split("\n"),
    linkKeyPem: encodeLinkKeyPem(linkSeed).split("\n"),
  };
}

/** A handshake, then packets, a key update and a KEM round of the session that it made. */
function conversation(suite: CryptoSuite, flightBytes: number, returnNac: Uint8Array | undefined) {
  const initiatorSide = new Scribe(suite, 1);
  const responderSide = new Scribe(suite, 2);
  const keys: KemKeys = suite.kemKeys(counting(64, 0x30));
  const initiator = new Initiator(initiatorSide.context, {
    peerPublicKey: keys.publicKey,
    returnNac,
    params: { creditKiB: 4096, streamsMax: 1024, flags: 0 },
    flightBytes,
    localIndex: drawIndex(initiatorSide.context.entropy),
  });
  const responder = new Responder(responderSide.context, {
    keys,
    params: { creditKiB: 2048, streamsMax: 64, flags: 0 },
  });

  const init = initiator.start(0)!;
  const answer = responder.handleInit(1000, init, 0, flightBytes, PATH_TAG, OBSERVED_NOTHING, () =>
    drawIndex(responderSide.context.entropy),
  );
  if (typeof answer === "string") throw new Error(`INIT was refused: ${answer}`);
  const resp = answer.flight;
  const conf = initiator.handleResp(2000, resp, 0, flightBytes)!;
  const accepted = responder.handleConf(3000, conf, 0, flightBytes, PATH_TAG, () => true);
  if (typeof accepted === "string" || !("session" in accepted)) throw new Error("CONF was refused");
  const [near, far] = [initiator.session!, accepted.session];
  const cookie = counting(16, 0xc0);

  const handshake = {
    staticSeed: hex(counting(64, 0x30)),
    returnNac: returnNac === undefined ? null : printNac(returnNac),
    pathTag: hex(PATH_TAG),
    init: hex(init),
    mac2: { cookie: hex(cookie), mac2: hex(mac2Of(suite, cookie, init, 0, flightBytes)) },
    resp: hex(resp),
    conf: hex(conf),
    drawnByInitiator: initiatorSide.takeDrawn(),
    drawnByResponder: responderSide.takeDrawn(),
    derived: initiatorSide.takeDerived(),
    binding: hex(near.binding),
  };
  responderSide.takeDerived();

  const record = (from: Session, to: Session, text: string, nowUs: number) => {
    const bytes = sealed(from, new TextEncoder().encode(text));
    if (typeof opened(to, bytes, nowUs) === "number") throw new Error(`"${text}" was not understood`);
    return { text, record: hex(bytes), counter: hex(initiatorSide.counterOf(bytes, from.initiator)) };
  };
  const session = {
    keyUpdatePackets: 2,
    first: record(near, far, "first, under update 0", 4000),
    second: record(near, far, "second, the last under update 0", 4000),
    updated: record(near, far, "third, under update 1", 4000),
    back: record(far, near, "the other way, still under update 0", 4000),
    derived: initiatorSide.takeDerived(),
  };

  const nowUs = 121 * SECOND_US;
  const due = record(far, near, "two minutes later", nowUs);
  const offer = rekeyFrame(near, nowUs)!;
  if (!hear(far, offer)) throw new Error("the offer was refused");
  const rekeyAnswer = rekeyFrame(far, nowUs)!;
  if (!hear(near, rekeyAnswer)) throw new Error("the answer was refused");
  const kemRound = {
    due,
    offer: hex(offer.subarray(1)),
    answer: hex(rekeyAnswer.subarray(1)),
    drawnByInitiator: initiatorSide.takeDrawn(),
    drawnByResponder: responderSide.takeDrawn(),
    there: record(near, far, "under round 1", nowUs),
    back: record(far, near, "under round 1 as well", nowUs),
    derived: initiatorSide.takeDerived(),
  };
  return { flightBytes, handshake, session, kemRound };
}

/** A suite and an entropy that write down what they gave. */
class Scribe {
  readonly context: SessionContext;
  private readonly suite: CryptoSuite;
  private readonly masks: Uint8Array[] = [];
  private drawn: string[] = [];
  private derived: (readonly [string, string])[] = [];

  constructor(suite: CryptoSuite, side: number) {
    let count = 0;
    const entropy: Entropy = (length) => {
      count += 1;
      const bytes = suite.expand(new Uint8Array(32).fill(side), Uint8Array.of(count), length);
      this.drawn.push(hex(bytes));
      return bytes;
    };
    const told: CryptoSuite = {
      ...suite,
      extract: (salt, key) => this.note("Extract", suite.extract(salt, key)),
      expand: (key, info, length) => this.note(labelOf(info), suite.expand(key, info, length)),
      headerMask: (key) => {
        this.masks.push(key.slice());
        return suite.headerMask(key);
      },
    };
    this.suite = suite;
    this.context = { suite: told, entropy, networkId: networkIdOf(suite, NETWORK), limits: { keyUpdatePackets: 2 } };
  }

  takeDrawn(): string[] {
    return this.drawn.splice(0);
  }

  takeDerived(): (readonly [string, string])[] {
    return this.derived.splice(0);
  }

  /** The counter of a record as it was before it was masked: to the responder by the first mask key, else by the second. */
  counterOf(record: Uint8Array, toResponder: boolean): Uint8Array {
    const mask = new Uint8Array(16);
    this.suite.headerMask(this.masks[toResponder ? 0 : 1]!).mask(record, RECORD_HEADER_BYTES, mask);
    const masked = record.subarray(RECORD_COUNTER_OFFSET, RECORD_COUNTER_OFFSET + RECORD_COUNTER_BYTES);
    return masked.map((byte, i) => byte ^ mask[i]!);
  }

  private note(name: string, bytes: Uint8Array): Uint8Array {
    this.derived.push([name, hex(bytes)]);
    return bytes;
  }
}

const LABELS = [
  ...["mq1 init", "mq1 resp", "mq1 conf", "mq1 traffic", "mq1 binding", "mq1 salt"],
  ...["mq1 to responder", "mq1 to initiator", "mq1 packet", "mq1 update"],
];

function labelOf(info: Uint8Array): string {
  const text = Buffer.from(info).toString("latin1");
  const label = LABELS.find((one) => text.startsWith(one));
  if (label === undefined) throw new Error(`no label: ${text}`);
  return label;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
