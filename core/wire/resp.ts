import type { Reader, Writer } from "./cursor.js";
import { BISCUIT_BYTES, EPHEMERAL_BYTES, KEM_PUBLIC_BYTES, OPENING_BYTES, PacketType, TAG_BYTES } from "./flight.js";
import { decodeParams, encodeParams, PARAMS_BYTES, type Params } from "./params.js";

/**
 * RESP: the second flight. Its seal can only be made by the holder of the static key, so its tag authenticates the
 * responder and the ephemeral key inside. As large as the INIT it answers, never larger.
 *
 *   offset  size  field
 *        0     1  type       0x03
 *        1     1  version    1
 *        2     1  suite      1
 *        3     1  flags      zero
 *        4     4  index      the initiator's (idx_I)
 *        8    32  ephemeral  responder's X25519, fresh for each RESP (X_R)
 *       40     n  sealed     RESP body, zero padding, tag 16; n = size - 40
 *
 * The body, inside the seal:
 *
 *        0     4  index      the number under which the responder will know the session (idx_R), never 0
 *        4   133  biscuit    the responder's state, sealed to itself (biscuit.ts)
 *      137   800  publicKey  ephemeral ML-KEM-512 key (ek_e)
 *      937     7  params     params.ts
 *      944     1  family     address the responder sees: 0 none, 4 IPv4, 6 IPv6
 *      945    16  address    IPv4 in the first four bytes, the rest zero
 *      961     2  port       of that address
 *      963     -  padding    zero
 */
export interface Resp {
  readonly version: number;
  readonly suite: number;
  readonly flags: number;
  readonly index: number;
  readonly ephemeral: Uint8Array;
  /** Ciphertext of the body and its tag. */
  readonly sealed: Uint8Array;
}

/** The UDP address from which the responder saw INIT come; family 0 end to end, where there is none. */
export interface ObservedAddress {
  readonly family: 0 | 4 | 6;
  readonly address: Uint8Array;
  readonly port: number;
}

export interface RespBody {
  readonly index: number;
  readonly biscuit: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly params: Params;
  readonly observed: ObservedAddress;
}

const ADDRESS_BYTES = 16;
const OBSERVED_BYTES = 1 + ADDRESS_BYTES + 2;

export const RESP_HEAD_BYTES = OPENING_BYTES + 4 + EPHEMERAL_BYTES;
export const RESP_BODY_BYTES = 4 + BISCUIT_BYTES + KEM_PUBLIC_BYTES + PARAMS_BYTES + OBSERVED_BYTES;
export const RESP_UNPADDED_BYTES = RESP_HEAD_BYTES + RESP_BODY_BYTES + TAG_BYTES;
/** Offset of the biscuit inside the body. */
export const RESP_BISCUIT_OFFSET = 4;

/** End to end there is no address to see. */
export const OBSERVED_NOTHING: ObservedAddress = { family: 0, address: new Uint8Array(ADDRESS_BYTES), port: 0 };

/** The part in clear before the seal. */
export function encodeRespHead(out: Writer, head: Omit<Resp, "sealed">): void {
  out.u8(PacketType.resp).u8(head.version).u8(head.suite).u8(head.flags).u32(head.index).raw(head.ephemeral);
}

export function encodeResp(out: Writer, resp: Resp): void {
  encodeRespHead(out, resp);
  out.raw(resp.sealed);
}

/** Takes all that remains in the reader as one RESP. Byte fields are views of the input. */
export function decodeResp(input: Reader): Resp | undefined {
  const sealedBytes = input.remaining - RESP_HEAD_BYTES;
  const type = input.u8();
  const resp = {
    version: input.u8(),
    suite: input.u8(),
    flags: input.u8(),
    index: input.u32(),
    ephemeral: input.raw(EPHEMERAL_BYTES),
    sealed: input.raw(sealedBytes),
  };
  if (!input.ok || type !== PacketType.resp || sealedBytes < RESP_BODY_BYTES + TAG_BYTES) return undefined;
  return resp;
}

/** Fills the writer to its end with zeros behind the body. */
export function encodeRespBody(out: Writer, body: RespBody): void {
  out.u32(body.index).raw(body.biscuit).raw(body.publicKey);
  encodeParams(out, body.params);
  out.u8(body.observed.family).raw(body.observed.address).u16(body.observed.port).zeros(out.room);
}

/** Undefined when the index is 0, the family unknown or the padding not zero. Byte fields are views of the input. */
export function decodeRespBody(input: Reader): RespBody | undefined {
  const index = input.u32();
  const biscuit = input.raw(BISCUIT_BYTES);
  const publicKey = input.raw(KEM_PUBLIC_BYTES);
  const params = decodeParams(input);
  const family = input.u8();
  const address = input.raw(ADDRESS_BYTES);
  const port = input.u16();
  if (!input.ok || params === undefined || index === 0 || !input.zeros(input.remaining)) return undefined;
  if (family !== 0 && family !== 4 && family !== 6) return undefined;
  return { index, biscuit, publicKey, params, observed: { family, address, port } };
}
