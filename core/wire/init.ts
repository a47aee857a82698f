import { NAC_BYTES } from "../address/nac.js";
import type { Reader, Writer } from "./cursor.js";
import { EPHEMERAL_BYTES, KEM_CIPHERTEXT_BYTES, NETWORK_LABEL_BYTES, PacketType, TAG_BYTES } from "./flight.js";
import { decodeParams, encodeParams, PARAMS_BYTES, type Params } from "./params.js";

/**
 * INIT: the first flight. It proves nothing about its sender, and only the holder of the static key can read it.
 *
 *   offset  size  field
 *        0     1  type          0x02
 *        1     1  version       1
 *        2     1  suite         1
 *        3     1  flags         zero
 *        4     4  networkLabel  first bytes of the network id
 *        8   768  ciphertext    ML-KEM-512 to the responder's static key (ct_s)
 *      776    32  ephemeral     initiator's X25519 (X_I)
 *      808     n  sealed        INIT body, zero padding, tag 16; n = size - 840
 *   end-32    16  mac1          shows that the sender knows the static key's hash; junk fails here
 *   end-16    16  mac2          shows that the sender got a cookie (cookie.ts); zero without one
 *
 * The body, inside the seal:
 *
 *        0     4  index       the number under which the initiator knows the session (idx_I), never 0
 *        4    16  returnNac   where RESP goes; zero on links, which answer on the path
 *       20     7  params      params.ts
 *       27     2  suites      bit n: suite n is understood
 *       29    24  reserved    zero from us, ignored from others; kept for proof of work
 *       53     -  padding     zero
 */
export interface Init {
  readonly version: number;
  readonly suite: number;
  readonly flags: number;
  readonly networkLabel: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly ephemeral: Uint8Array;
  /** Ciphertext of the body and its tag. */
  readonly sealed: Uint8Array;
  readonly mac1: Uint8Array;
  readonly mac2: Uint8Array;
}

export interface InitBody {
  readonly index: number;
  readonly returnNac: Uint8Array;
  readonly params: Params;
  readonly suites: number;
}

export const MAC_BYTES = 16;
const RESERVED_BYTES = 24;

export const INIT_HEADER_BYTES = 8;
export const INIT_HEAD_BYTES = INIT_HEADER_BYTES + KEM_CIPHERTEXT_BYTES + EPHEMERAL_BYTES;
export const INIT_BODY_BYTES = 4 + NAC_BYTES + PARAMS_BYTES + 2 + RESERVED_BYTES;
/** mac1 and mac2. */
export const INIT_TAIL_BYTES = 2 * MAC_BYTES;
export const INIT_UNPADDED_BYTES = INIT_HEAD_BYTES + INIT_BODY_BYTES + TAG_BYTES + INIT_TAIL_BYTES;

/** Offset of the network label; the responder compares it before it decodes anything. */
export const INIT_LABEL_OFFSET = 4;

/** The part in clear before the seal. */
export function encodeInitHead(
  out: Writer,
  head: Pick<Init, "version" | "suite" | "flags" | "networkLabel" | "ciphertext" | "ephemeral">,
): void {
  out.u8(PacketType.init).u8(head.version).u8(head.suite).u8(head.flags).raw(head.networkLabel);
  out.raw(head.ciphertext).raw(head.ephemeral);
}

export function encodeInit(out: Writer, init: Init): void {
  encodeInitHead(out, init);
  out.raw(init.sealed).raw(init.mac1).raw(init.mac2);
}

/** Takes all that remains in the reader as one INIT. All byte fields are views of the input. */
export function decodeInit(input: Reader): Init | undefined {
  const sealedBytes = input.remaining - INIT_HEAD_BYTES - INIT_TAIL_BYTES;
  const type = input.u8();
  const init = {
    version: input.u8(),
    suite: input.u8(),
    flags: input.u8(),
    networkLabel: input.raw(NETWORK_LABEL_BYTES),
    ciphertext: input.raw(KEM_CIPHERTEXT_BYTES),
    ephemeral: input.raw(EPHEMERAL_BYTES),
    sealed: input.raw(sealedBytes),
    mac1: input.raw(MAC_BYTES),
    mac2: input.raw(MAC_BYTES),
  };
  if (!input.ok || type !== PacketType.init || sealedBytes < INIT_BODY_BYTES + TAG_BYTES) return undefined;
  return init;
}

/** Fills the writer to its end with zeros behind the body. */
export function encodeInitBody(out: Writer, body: InitBody): void {
  out.u32(body.index).raw(body.returnNac);
  encodeParams(out, body.params);
  out.u16(body.suites).zeros(RESERVED_BYTES).zeros(out.room);
}

/** Undefined when the index is 0 or the padding is not zero. `returnNac` is a view of the input. */
export function decodeInitBody(input: Reader): InitBody | undefined {
  const index = input.u32();
  const returnNac = input.raw(NAC_BYTES);
  const params = decodeParams(input);
  const suites = input.u16();
  input.skip(RESERVED_BYTES);
  if (!input.ok || params === undefined || index === 0 || !input.zeros(input.remaining)) return undefined;
  return { index, returnNac, params, suites };
}
