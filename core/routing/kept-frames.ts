/** Spare frames of one node. Beyond: given to the garbage collector. */
const SPARES_MAX = 32;
/** What a record has room for; a longer frame gets its own size. */
const FRAME_BYTES = 1_200;

/** A control message that may have to be sent again: a copy, `bytes[0, length)`. */
export class KeptFrame {
  bytes: Uint8Array;
  length = 0;
  /** When a copy left last. */
  atUs = 0;
  /** When it left first. */
  firstUs = 0;
  /** The neighbour lists it as missing. */
  isMissing = false;

  constructor(room: number) {
    this.bytes = new Uint8Array(room);
  }
}

/** Frames that were acknowledged, for the next to be kept: making one costs more than filling it. */
export class KeptFrames {
  private readonly spares: KeptFrame[] = [];

  keep(nowUs: number, bytes: Uint8Array, start: number, end: number): KeptFrame {
    const length = end - start;
    let frame = this.spares.pop() ?? new KeptFrame(FRAME_BYTES);
    if (frame.bytes.length < length) frame = new KeptFrame(length);
    frame.bytes.set(bytes.subarray(start, end));
    frame.length = length;
    frame.atUs = nowUs;
    frame.firstUs = nowUs;
    frame.isMissing = false;
    return frame;
  }

  giveBack(frame: KeptFrame): void {
    if (this.spares.length < SPARES_MAX) this.spares.push(frame);
  }

  /** Now and then: half of the spares go, so that a quiet node has none. */
  trim(): void {
    if (this.spares.length > 0) this.spares.length >>= 1;
  }
}
