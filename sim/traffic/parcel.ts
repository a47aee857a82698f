/**
 * What simulated applications send each other: bytes that anyone can check.
 *
 *   offset  size  field
 *        0     4  flow     number of the flow among those of its sender
 *        4     4  length   bytes of pattern that follow, or, in a question, that the answer shall have
 *        8     1  counted  1 when the sender counted it as offered
 *        9     3  zero
 *       12     -  pattern  of the flow, from its beginning; none in a question
 *
 * An answer is pattern only. Byte i of a flow's pattern is a hash of (flow, i), so lost, changed, repeated and swapped
 * bytes all show.
 */
export const HEADER_BYTES = 12;

export interface Header {
  readonly flow: number;
  readonly length: number;
  readonly isCounted: boolean;
}

export function writeHeader(into: Uint8Array, { flow, length, isCounted }: Header): void {
  new DataView(into.buffer, into.byteOffset).setUint32(0, flow);
  new DataView(into.buffer, into.byteOffset).setUint32(4, length);
  into.fill(0, 8, HEADER_BYTES);
  into[8] = isCounted ? 1 : 0;
}

/** `bytes` holds a whole header. */
export function readHeader(bytes: Uint8Array, at: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  return { flow: view.getUint32(0), length: view.getUint32(4), isCounted: view.getUint8(8) === 1 };
}

export function fillPattern(into: Uint8Array, at: number, length: number, flow: number, offset: number): void {
  for (let i = 0; i < length; i += 1) into[at + i] = patternAt(flow, offset + i);
}

/** How many of the bytes are those of the pattern from `offset` on. */
export function countIntact(bytes: Uint8Array, at: number, length: number, flow: number, offset: number): number {
  let intact = 0;
  for (let i = 0; i < length; i += 1) if (bytes[at + i] === patternAt(flow, offset + i)) intact += 1;
  return intact;
}

function patternAt(flow: number, offset: number): number {
  const mixed = Math.imul(offset ^ Math.imul(flow, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 24;
}
