import type { Reader, Writer } from "./cursor.js";
import { OPENING_BYTES, PacketType, TAG_BYTES } from "./flight.js";

/**
 * COOKIE: "too many INITs at once. Send yours again, with this inside its mac2: then I know that you receive what is sent
 * to your address." Links only; it is a twenty-fifth of the INIT that it answers.
 *
 *   offset  size  field
 *        0     1  type     0x05
 *        1     1  version  1
 *        2     1  suite    1
 *        3     1  flags    zero
 *        4    12  nonce    random
 *       16    32  sealed   cookie 16, tag 16; associated data: mac1 of the INIT
 */
export interface Cookie {
  readonly version: number;
  readonly suite: number;
  readonly flags: number;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/** What stands inside the seal. */
export const COOKIE_BYTES = 16;
export const COOKIE_NONCE_BYTES = 12;
export const COOKIE_SEALED_OFFSET = OPENING_BYTES + COOKIE_NONCE_BYTES;
export const COOKIE_PACKET_BYTES = COOKIE_SEALED_OFFSET + COOKIE_BYTES + TAG_BYTES;

export function encodeCookie(out: Writer, cookie: Cookie): void {
  out.u8(PacketType.cookie).u8(cookie.version).u8(cookie.suite).u8(cookie.flags);
  out.raw(cookie.nonce).raw(cookie.sealed);
}

/** Undefined for anything that is not exactly one COOKIE. Byte fields are views of the input. */
export function decodeCookie(input: Reader): Cookie | undefined {
  const type = input.u8();
  const cookie = {
    version: input.u8(),
    suite: input.u8(),
    flags: input.u8(),
    nonce: input.raw(COOKIE_NONCE_BYTES),
    sealed: input.raw(COOKIE_BYTES + TAG_BYTES),
  };
  return input.ok && type === PacketType.cookie && input.remaining === 0 ? cookie : undefined;
}
