import type { Reader, Writer } from "./cursor.js";

/**
 * CELL: the plaintext of one end-to-end RECORD. Every cell is as long as every other, so that size tells nothing.
 *
 *   offset  size  field
 *        0     1  kind    bit 0 RELIABLE, bit 1 PUSH (last of a burst: report at once), others zero
 *        1     4  seq     number of a reliable cell, from 1; zero in an unreliable cell
 *        5  1118  frames, then zeros
 *
 * A lost reliable cell is sent again with the same seq and the same frames, under a new packet number. FEEDBACK, PING,
 * PONG, CLOSE, REKEY_OFFER, REKEY_ANSWER, DESCRIPTOR_REQUEST, DESCRIPTOR_PART and DATAGRAM travel in unreliable cells
 * only, all other frames in reliable cells only.
 */
export interface CellHeader {
  readonly isReliable: boolean;
  readonly isPush: boolean;
  readonly seq: number;
}

export const CELL_BYTES = 1123;
export const CELL_HEADER_BYTES = 5;
/** User data of a full STREAM frame: what also fits through five onion layers (DESIGN.md section 7). */
export const CELL_BODY = 1002;
/** Frame bytes a cell may use: a STREAM header and CELL_BODY. The rest stays free for onion layers. */
export const CELL_FRAMES_BYTES = 1012;
/** The last seq: a session that reaches it sends nothing new. */
export const SEQ_MAX = 0xffff_fffe;

export const FrameType = {
  pad: 0x00,
  ping: 0x01,
  pong: 0x02,
  close: 0x03,
  feedback: 0x04,
  maxSession: 0x05,
  maxStream: 0x06,
  open: 0x07,
  accept: 0x08,
  reset: 0x09,
  stop: 0x0a,
  rekeyOffer: 0x0b,
  rekeyAnswer: 0x0c,
  descriptorRequest: 0x0d,
  descriptorPart: 0x0e,
  /** 0x10 .. 0x13: bit 0 FIN, bit 1 LEN. */
  stream: 0x10,
  datagram: 0x20,
} as const;

/** True for the frames that a reliable cell must not hold. */
export function isUnreliableType(type: number): boolean {
  switch (type) {
    case FrameType.ping:
    case FrameType.pong:
    case FrameType.close:
    case FrameType.feedback:
    case FrameType.rekeyOffer:
    case FrameType.rekeyAnswer:
    case FrameType.descriptorRequest:
    case FrameType.descriptorPart:
    case FrameType.datagram:
      return true;
    default:
      return false;
  }
}

/** Why a stream or a session ended, as it stands in RESET, STOP and CLOSE. */
export const EndCode = {
  noError: 0,
  refused: 1,
  targetDown: 2,
  cancelled: 3,
  protocol: 4,
  timeout: 5,
  overload: 6,
  sessionLost: 7,
} as const;

const RELIABLE = 1;
const PUSH = 2;

export function encodeCellHeader(out: Writer, header: CellHeader): void {
  out.u8((header.isReliable ? RELIABLE : 0) | (header.isPush ? PUSH : 0)).u32(header.seq);
}

/** Undefined when the bytes are no cell header of this version. */
export function decodeCellHeader(input: Reader): CellHeader | undefined {
  const kind = input.u8();
  const seq = input.u32();
  if (!input.ok || (kind & ~(RELIABLE | PUSH)) !== 0) return undefined;
  const isReliable = (kind & RELIABLE) !== 0;
  if (isReliable ? seq === 0 || seq > SEQ_MAX : seq !== 0) return undefined;
  return { isReliable, isPush: (kind & PUSH) !== 0, seq };
}
