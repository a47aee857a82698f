/**
 * A journal file: everything that went into a stack, in order, and a running hash over everything that came out.
 *
 *   file    magic 8 | version 4 | block | block | ...
 *   block   length 4 | number 4 | CRC-32 of the body 4 | CRC-32 of these twelve bytes 4 | body
 *   body    record | record | ...
 *
 *   record
 *    1 begin       value {suite, nowUs, config}: the stack is made; the first record, and only there
 *    2 input       which 1 (inputs.ts) | count 1 | so many values: its arguments
 *    3 entropy     length 4 | bytes: drawn during the input before it
 *    4 random      4: one draw of random32, likewise
 *    5 result      outputs 4 | CRC-32 over them 4: the input returned
 *    6 refused     length 4 | text: during the input before it an epoch could not be persisted; the shell threw this
 *    7 checkpoint  inputs 8 | outputs 8 | SHA-256 over all outputs so far 32; ends each block
 *    8 end         the daemon stopped; only the checkpoint of its block follows
 *
 * Numbers are little-endian; those of 8 bytes are below 2^53. Values are in value.ts, the outputs in transcript.ts. A block
 * ends between two inputs, save when the process dies within one, and is written as a whole; of a file that was cut off
 * all but the last block is good.
 */
import { crc32 } from "node:zlib";

/** As PNG's: not text, and a copy that turns line ends around is noticed. */
export const MAGIC = Uint8Array.of(0x89, 0x4d, 0x51, 0x4a, 0x0d, 0x0a, 0x1a, 0x0a);
export const VERSION = 1;
export const FILE_HEADER_BYTES = MAGIC.length + 4;
export const BLOCK_HEADER_BYTES = 16;
/** An input is no longer than a write into a send buffer, so no block comes near this. */
export const BLOCK_BYTES_MAX = 64 * 1024 * 1024;

export const RecordKind = {
  begin: 1,
  input: 2,
  entropy: 3,
  random: 4,
  result: 5,
  refused: 6,
  checkpoint: 7,
  end: 8,
} as const;

export function fileHeader(): Buffer {
  const out = Buffer.alloc(FILE_HEADER_BYTES);
  out.set(MAGIC);
  out.writeUInt32LE(VERSION, MAGIC.length);
  return out;
}

/** Fills the header at the start of `block`, whose body is there already. */
export function sealBlock(block: Buffer, number: number): void {
  block.writeUInt32LE(block.length - BLOCK_HEADER_BYTES, 0);
  block.writeUInt32LE(number >>> 0, 4);
  block.writeUInt32LE(crc32(block.subarray(BLOCK_HEADER_BYTES)), 8);
  block.writeUInt32LE(crc32(block.subarray(0, 12)), 12);
}
