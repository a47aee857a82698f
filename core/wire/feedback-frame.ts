import { FrameType } from "./cell.js";
import type { Reader, Writer } from "./cursor.js";

/**
 * FEEDBACK: everything the sender needs to know, whole each time, so that a lost one costs only time.
 *
 *   offset  size  field
 *        0     1  type           0x04
 *        1     4  floor          every reliable cell below this seq has arrived
 *        5     6  newestPacket   largest packet number received
 *       11     4  echoDelayUs    time since that packet arrived, microseconds
 *       15     6  receivedTotal  cells opened in all, of either kind
 *       21     1  rangeCount     at most 150
 *       22   6*n  ranges         start u32, length u16: what is missing, oldest first
 */
export class Feedback {
  floor = 0;
  newestPacket = 0;
  echoDelayUs = 0;
  receivedTotal = 0;
  rangeCount = 0;
  /** Pairs (start, length); the first 2 * rangeCount are valid. */
  readonly ranges = new Uint32Array(2 * FEEDBACK_RANGES_MAX);

  copy(from: Feedback): void {
    this.floor = from.floor;
    this.newestPacket = from.newestPacket;
    this.echoDelayUs = from.echoDelayUs;
    this.receivedTotal = from.receivedTotal;
    this.rangeCount = from.rangeCount;
    this.ranges.set(from.ranges.subarray(0, 2 * from.rangeCount));
  }
}

export const FEEDBACK_RANGES_MAX = 150;
const RANGE_LENGTH_MAX = 0xffff;

/** Writes the type byte too. A range longer than 65 535 is cut: the rest is named by a later FEEDBACK. */
export function encodeFeedback(out: Writer, feedback: Feedback): void {
  out.u8(FrameType.feedback).u32(feedback.floor).u48(feedback.newestPacket).u32(feedback.echoDelayUs);
  out.u48(feedback.receivedTotal).u8(feedback.rangeCount);
  for (let i = 0; i < feedback.rangeCount; i += 1) {
    out.u32(feedback.ranges[i * 2]!).u16(Math.min(feedback.ranges[i * 2 + 1]!, RANGE_LENGTH_MAX));
  }
}

/** Reads what follows the type byte into a reused object. False when malformed: ranges must ascend and not touch. */
export function decodeFeedback(input: Reader, into: Feedback): boolean {
  into.floor = input.u32();
  into.newestPacket = input.u48();
  into.echoDelayUs = input.u32();
  into.receivedTotal = input.u48();
  into.rangeCount = input.u8();
  if (!input.ok || into.rangeCount > FEEDBACK_RANGES_MAX) return false;
  let previousEnd = into.floor - 1;
  for (let i = 0; i < into.rangeCount; i += 1) {
    const start = input.u32();
    const length = input.u16();
    if (!input.ok || length === 0 || start <= previousEnd) return false;
    into.ranges[i * 2] = start;
    into.ranges[i * 2 + 1] = length;
    previousEnd = start + length;
  }
  return true;
}
