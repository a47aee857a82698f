import type { Reader, Writer } from "./cursor.js";
import { BISCUIT_BYTES, KEM_CIPHERTEXT_BYTES, OPENING_BYTES, PacketType, TAG_BYTES } from "./flight.js";
import { decodeParams, encodeParams, PARAMS_BYTES, type Params } from "./params.js";

/**
 * CONF: the third flight. It shows that the sender read RESP, and brings the responder the state that it did not keep.
 *
 *   offset  size  field
 *        0     1  type        0x04
 *        1     1  version     1
 *        2     1  suite       1
 *        3     1  flags       zero
 *        4     4  index       the responder's (idx_R)
 *        8   133  biscuit     as RESP brought it
 *      141   768  ciphertext  ML-KEM-512 to the ephemeral key (ct_e)
 *      909     n  sealed      CONF body, zero padding, tag 16; n = size - 909
 *
 * The body, inside the seal:
 *
 *        0     7  params       params.ts
 *        7     2  earlyLength  bytes of early data, at most 96; 0 in this version
 *        9     -  early        earlyLength bytes
 *        -     -  padding      zero
 */
export interface Conf {
  readonly version: number;
  readonly suite: number;
  readonly flags: number;
  readonly index: number;
  readonly biscuit: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** Ciphertext of the body and its tag. */
  readonly sealed: Uint8Array;
}

export interface ConfBody {
  readonly params: Params;
  readonly early: Uint8Array;
}

export const EARLY_MAX_BYTES = 96;

export const CONF_HEAD_BYTES = OPENING_BYTES + 4 + BISCUIT_BYTES + KEM_CIPHERTEXT_BYTES;
const BODY_LEAST_BYTES = PARAMS_BYTES + 2;
/** With the most early data. */
export const CONF_UNPADDED_BYTES = CONF_HEAD_BYTES + BODY_LEAST_BYTES + EARLY_MAX_BYTES + TAG_BYTES;

/** The part in clear before the seal. */
export function encodeConfHead(out: Writer, head: Omit<Conf, "sealed">): void {
  out.u8(PacketType.conf).u8(head.version).u8(head.suite).u8(head.flags).u32(head.index);
  out.raw(head.biscuit).raw(head.ciphertext);
}

export function encodeConf(out: Writer, conf: Conf): void {
  encodeConfHead(out, conf);
  out.raw(conf.sealed);
}

/** Takes all that remains in the reader as one CONF. Byte fields are views of the input. */
export function decodeConf(input: Reader): Conf | undefined {
  const sealedBytes = input.remaining - CONF_HEAD_BYTES;
  const type = input.u8();
  const conf = {
    version: input.u8(),
    suite: input.u8(),
    flags: input.u8(),
    index: input.u32(),
    biscuit: input.raw(BISCUIT_BYTES),
    ciphertext: input.raw(KEM_CIPHERTEXT_BYTES),
    sealed: input.raw(sealedBytes),
  };
  if (!input.ok || type !== PacketType.conf || sealedBytes < BODY_LEAST_BYTES + TAG_BYTES) return undefined;
  return conf;
}

/** Fills the writer to its end with zeros behind the body. Throws RangeError for more than 96 bytes of early data. */
export function encodeConfBody(out: Writer, body: ConfBody): void {
  if (body.early.length > EARLY_MAX_BYTES) throw new RangeError(`encodeConfBody: early.length is ${body.early.length}`);
  encodeParams(out, body.params);
  out.u16(body.early.length).raw(body.early).zeros(out.room);
}

/** Undefined when there is too much early data or the padding is not zero. `early` is a view of the input. */
export function decodeConfBody(input: Reader): ConfBody | undefined {
  const params = decodeParams(input);
  const earlyLength = input.u16();
  if (earlyLength > EARLY_MAX_BYTES) return undefined;
  const early = input.raw(earlyLength);
  if (!input.ok || params === undefined || !input.zeros(input.remaining)) return undefined;
  return { params, early };
}
