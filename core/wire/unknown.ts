import type { Reader, Writer } from "./cursor.js";
import { PacketType, PROTOCOL_VERSION } from "./flight.js";

/**
 * UNKNOWN: "I have no session of this number". Anybody can send it, so it may start a fresh handshake and may never
 * end a session.
 *
 *   offset  size  field
 *        0     1  type     0x08
 *        1     1  version  1
 *        2     2  zero
 *        4     4  index    as the RECORD named it
 */
export interface Unknown {
  readonly index: number;
}

export const UNKNOWN_BYTES = 8;

export function encodeUnknown(out: Writer, unknown: Unknown): void {
  out.u8(PacketType.unknown).u8(PROTOCOL_VERSION).zeros(2).u32(unknown.index);
}

export function decodeUnknown(input: Reader): Unknown | undefined {
  const type = input.u8();
  const version = input.u8();
  if (type !== PacketType.unknown || version !== PROTOCOL_VERSION || !input.zeros(2)) return undefined;
  const index = input.u32();
  return input.ok && index !== 0 ? { index } : undefined;
}
