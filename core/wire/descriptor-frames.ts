import { FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * DESCRIPTOR_REQUEST 0x0d: part u8. Asks the called end for one part of its signed descriptor.
 *
 * DESCRIPTOR_PART 0x0e, the answer:
 *
 *   offset  size  field
 *        0     1  type    0x0e
 *        1     1  part    0 to 4
 *        2     4  epoch   of the descriptor: parts of two epochs do not fit together
 *        6   914  bytes [914 * part, 914 * part + 914) of the descriptor; its last part ends with a zero
 *
 * Both in unreliable cells: who misses a part asks again. Encoders write the type byte, decoders read what follows it.
 */
export const DESCRIPTOR_PARTS = 5;
export const DESCRIPTOR_PART_BYTES = 914;
/** All of a DESCRIPTOR_PART. */
export const DESCRIPTOR_PART_FRAME_BYTES = 6 + DESCRIPTOR_PART_BYTES;

export interface DescriptorPart {
  readonly part: number;
  readonly epoch: number;
  /** 914 bytes, a view into what was read. */
  readonly bytes: Uint8Array;
}

export function encodeDescriptorRequest(out: Writer, part: number): void {
  out.u8(FrameType.descriptorRequest).u8(part);
}

/** The part that is asked for; undefined when there is no such part. */
export function decodeDescriptorRequest(input: Reader): number | undefined {
  const part = input.u8();
  return input.ok && part < DESCRIPTOR_PARTS ? part : undefined;
}

/** @param descriptor  all of it; of the last part what is missing are zeros */
export function encodeDescriptorPart(out: Writer, part: number, epoch: number, descriptor: Uint8Array): void {
  const start = part * DESCRIPTOR_PART_BYTES;
  const bytes = descriptor.subarray(start, start + DESCRIPTOR_PART_BYTES);
  out.u8(FrameType.descriptorPart).u8(part).u32(epoch).raw(bytes);
  out.zeros(DESCRIPTOR_PART_BYTES - bytes.length);
}

export function decodeDescriptorPart(input: Reader): DescriptorPart | undefined {
  const part = { part: input.u8(), epoch: input.u32(), bytes: input.raw(DESCRIPTOR_PART_BYTES) };
  return input.ok && part.part < DESCRIPTOR_PARTS ? part : undefined;
}
