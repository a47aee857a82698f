/**
 * The descriptor of an epoch: the identity itself signs what the chains end in. It settles disputes, and speaks for an origin that
 * lost count of its epochs. Nobody needs it to join: a caller asks for it inside a session (stack/descriptor-fetch.ts).
 *
 *   offset  size  field
 *        0     1  suiteFloor
 *        1     4  epoch        also its ordinal number: the chains' secrets follow from it
 *        5     4  startSlot
 *        9     4  issuedSlot   when it was signed, for people
 *       13     8  tag
 *       21    16  metricEnd
 *       37   800  kemPublicKey
 *      837  1312  signaturePublicKey
 *     2149  2420  signature    ML-DSA-44 over "mq/descriptor/1" | network id 32 | NAC 16 | bytes 0 to 36
 *
 * The NAC follows from both keys (crypto/identity.ts), so nobody can sign for another's.
 */
import { nacFromHash } from "../address/nac.js";
import { ascii } from "../address/text.js";
import { sameBytes } from "../collections/bytes.js";
import { type Identity, nacHashOf, SUITE_FLOOR } from "../crypto/identity.js";
import { type CryptoSuite, KEM_PUBLIC_BYTES, SIGNATURE_BYTES, SIGNATURE_PUBLIC_BYTES } from "../crypto/suite.js";
import { TAG_BYTES } from "../routing/elements.js";
import { Reader, Writer } from "../wire/cursor.js";
import { END_BYTES } from "./epoch-proof.js";

const HEAD_BYTES = 13 + TAG_BYTES + END_BYTES;
export const DESCRIPTOR_BYTES = HEAD_BYTES + KEM_PUBLIC_BYTES + SIGNATURE_PUBLIC_BYTES + SIGNATURE_BYTES;
const DOMAIN = ascii("mq/descriptor/1");

/** What is signed of an epoch. */
export interface EpochStatement {
  readonly epoch: number;
  readonly startSlot: number;
  readonly issuedSlot: number;
  /** 8 bytes. */
  readonly tag: Uint8Array;
  /** 16 bytes. */
  readonly metricEnd: Uint8Array;
}

export interface Descriptor extends EpochStatement {
  readonly suiteFloor: number;
  readonly kemPublicKey: Uint8Array;
  readonly signaturePublicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** stranger: the keys are not those of the NAC; unsigned: they did not sign this. */
export type DescriptorVerdict = "sound" | "stranger" | "unsigned";

/** 4,569 bytes. Signing takes 5 ms typical, 30 ms worst: never on the packet path. */
export function signDescriptor(
  suite: CryptoSuite,
  networkId: Uint8Array,
  identity: Identity,
  statement: EpochStatement,
): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_BYTES);
  const out = new Writer(bytes);
  out.u8(SUITE_FLOOR).u32(statement.epoch).u32(statement.startSlot).u32(statement.issuedSlot);
  out.raw(statement.tag).raw(statement.metricEnd);
  const message = messageOf(networkId, identity.nac, bytes.subarray(0, HEAD_BYTES));
  out.raw(identity.kem.publicKey).raw(identity.signature.publicKey);
  out.raw(suite.sign(message, identity.signature.secretKey));
  return bytes;
}

/** Undefined when the bytes are not a descriptor; a stranger's bytes never throw. Views into `bytes`. */
export function decodeDescriptor(bytes: Uint8Array): Descriptor | undefined {
  const input = new Reader(bytes);
  const descriptor = {
    suiteFloor: input.u8(),
    epoch: input.u32(),
    startSlot: input.u32(),
    issuedSlot: input.u32(),
    tag: input.raw(TAG_BYTES),
    metricEnd: input.raw(END_BYTES),
    kemPublicKey: input.raw(KEM_PUBLIC_BYTES),
    signaturePublicKey: input.raw(SIGNATURE_PUBLIC_BYTES),
    signature: input.raw(SIGNATURE_BYTES),
  };
  return input.ok && input.remaining === 0 ? descriptor : undefined;
}

/** The keys first, which is a few hashes; then the signature, some 2 ms. */
export function checkDescriptor(
  suite: CryptoSuite,
  networkId: Uint8Array,
  nac: Uint8Array,
  descriptor: Descriptor,
): DescriptorVerdict {
  const { suiteFloor, kemPublicKey, signaturePublicKey, signature } = descriptor;
  const hash = nacHashOf(suite, networkId, suiteFloor, kemPublicKey, suite.hash(signaturePublicKey));
  if (!sameBytes(nacFromHash(hash), nac)) return "stranger";
  const head = new Uint8Array(HEAD_BYTES);
  const out = new Writer(head).u8(suiteFloor).u32(descriptor.epoch).u32(descriptor.startSlot);
  out.u32(descriptor.issuedSlot).raw(descriptor.tag).raw(descriptor.metricEnd);
  return suite.verify(signature, messageOf(networkId, nac, head), signaturePublicKey) ? "sound" : "unsigned";
}

function messageOf(networkId: Uint8Array, nac: Uint8Array, head: Uint8Array): Uint8Array {
  const message = new Uint8Array(DOMAIN.length + networkId.length + nac.length + HEAD_BYTES);
  new Writer(message).raw(DOMAIN).raw(networkId).raw(nac).raw(head);
  return message;
}
