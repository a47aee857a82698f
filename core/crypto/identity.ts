/**
 * Who a node is: its keys, and the addresses that follow from them. Nobody can claim another's NAC, because a NAC is a
 * hash over its owner's public keys and the network's name.
 */
import { nacFromHash } from "../address/nac.js";
import { ascii, utf8 } from "../address/text.js";
import type { CryptoSuite, KemKeys, SignatureKeys } from "./suite.js";

export const DEFAULT_NETWORK = "mariana";
export const NETWORK_LABEL_BYTES = 4;

/** The weakest suite an identity accepts; part of its NAC, so that nobody can talk its peers down. */
export const SUITE_FLOOR = 1;

const NETWORK_DOMAIN = ascii("mq/network/1");
const NAC_DOMAIN = ascii("mq/nac/1");
const LINK_DOMAIN = ascii("mq/link/1");
const NAC_RESERVED = new Uint8Array(32);

export interface Identity {
  readonly kem: KemKeys;
  readonly signature: SignatureKeys;
  /** 32 bytes: what the long name carries. */
  readonly nacHash: Uint8Array;
  /** 16 bytes. */
  readonly nac: Uint8Array;
}

/** The identity behind `privatekey.pem`. `kemSeed` is 64 bytes, `signatureSeed` 32. */
export function identityFromSeeds(
  suite: CryptoSuite,
  networkId: Uint8Array,
  kemSeed: Uint8Array,
  signatureSeed: Uint8Array,
): Identity {
  const kem = suite.kemKeys(kemSeed);
  const signature = suite.signatureKeys(signatureSeed);
  const nacHash = nacHashOf(suite, networkId, SUITE_FLOOR, kem.publicKey, suite.hash(signature.publicKey));
  return { kem, signature, nacHash, nac: nacFromHash(nacHash) };
}

/** 32 bytes that keep demos, tests and the real network apart. */
export function networkIdOf(suite: CryptoSuite, name: string): Uint8Array {
  return suite.hash(NETWORK_DOMAIN, utf8(name));
}

/** The 4 bytes of a network id that handshake flights show in clear. */
export function networkLabelOf(networkId: Uint8Array): Uint8Array {
  return new Uint8Array(networkId.subarray(0, NETWORK_LABEL_BYTES));
}

/**
 * H("mq/nac/1" | network id 32 | suite floor 1 | H(kem public key) 32 | H(signature public key) 32 | 32 zero bytes).
 *
 * Takes the hash of the signature key, as KEYRESP carries it: who only wants to talk needs no 1,312 bytes more.
 */
export function nacHashOf(
  suite: CryptoSuite,
  networkId: Uint8Array,
  suiteFloor: number,
  kemPublicKey: Uint8Array,
  signaturePublicHash: Uint8Array,
): Uint8Array {
  const floor = Uint8Array.of(suiteFloor);
  return suite.hash(NAC_DOMAIN, networkId, floor, suite.hash(kemPublicKey), signaturePublicHash, NAC_RESERVED);
}

/** H("mq/link/1" | network id 32 | suite floor 1 | kem public key 800): the pin of a peer address, shown as 64 hex digits. */
export function linkKeyHashOf(
  suite: CryptoSuite,
  networkId: Uint8Array,
  suiteFloor: number,
  kemPublicKey: Uint8Array,
): Uint8Array {
  return suite.hash(LINK_DOMAIN, networkId, Uint8Array.of(suiteFloor), kemPublicKey);
}
