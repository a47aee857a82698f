/**
 * A queue before a line of limited rate, first in first out, tail drop: all there is to know is when the line is free.
 * Kept in nanoseconds, since a packet on a fast line takes less than a microsecond.
 *
 * Answers when the last bit has left, microseconds rounded up, or -1 when `length` bytes find no room in the queue. An
 * idle line takes any datagram.
 */
export function queueThrough(
  freeNs: Float64Array,
  line: number,
  atUs: number,
  length: number,
  bitsPerSecond: number,
  queueBytes: number,
): number {
  const nowNs = atUs * 1000;
  const startNs = Math.max(nowNs, freeNs[line]!);
  const waitingBytes = Math.floor((((startNs - nowNs) / 1000) * bitsPerSecond) / 8_000_000);
  if (waitingBytes > 0 && waitingBytes + length > queueBytes) return -1;
  const endNs = startNs + Math.ceil((length * 8_000_000_000) / bitsPerSecond);
  freeNs[line] = endNs;
  return Math.ceil(endNs / 1000);
}
