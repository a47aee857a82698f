import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CELL_BODY, CELL_FRAMES_BYTES, decodeCellHeader, encodeCellHeader, SEQ_MAX } from "../../core/wire/cell.js";
import { decodeMaxSession, decodeMaxStream, encodeMaxSession, encodeMaxStream } from "../../core/wire/credit-frames.js";
import { Reader, Writer } from "../../core/wire/cursor.js";
import {
  DESCRIPTOR_PART_FRAME_BYTES,
  DESCRIPTOR_PARTS,
  decodeDescriptorPart,
  decodeDescriptorRequest,
  encodeDescriptorPart,
  encodeDescriptorRequest,
} from "../../core/wire/descriptor-frames.js";
import { decodeFeedback, encodeFeedback, FEEDBACK_RANGES_MAX, Feedback } from "../../core/wire/feedback-frame.js";
import { decodeClose, decodePing, encodeClose, encodePing, encodePong } from "../../core/wire/session-frames.js";
import {
  decodeAccept,
  decodeOpen,
  decodeReset,
  decodeStop,
  encodeAccept,
  encodeOpen,
  encodeReset,
  encodeStop,
} from "../../core/wire/stream-control-frames.js";
import { decodeStreamFrame, encodeStreamHeader, isStreamType, StreamFrame } from "../../core/wire/stream-frame.js";

const u16 = fc.integer({ min: 0, max: 0xffff });
const u24 = fc.integer({ min: 0, max: 0xff_ffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u48 = fc.integer({ min: 0, max: 0xffff_ffff_ffff });

/** Writes with `encode`, skips the type byte, reads with `decode`; nothing may be left over. */
function roundTrip<T, R>(encode: (out: Writer, value: T) => void, decode: (input: Reader) => R, value: T): R {
  const out = new Writer(new Uint8Array(64));
  encode(out, value);
  const input = new Reader(out.bytes, 1, out.offset);
  const result = decode(input);
  expect(input.remaining).toBe(0);
  return result;
}

describe("cells and frames", () => {
  test("every frame reads back as it was written", () => {
    fc.assert(
      fc.property(u24, u48, u16, u32, (id, offset, code, ping) => {
        expect(roundTrip(encodePing, decodePing, ping)).toBe(ping);
        expect(roundTrip(encodePong, decodePing, ping)).toBe(ping);
        expect(roundTrip(encodeClose, decodeClose, code)).toBe(code);
        expect(roundTrip(encodeMaxSession, decodeMaxSession, offset)).toBe(offset);
        expect(roundTrip(encodeMaxStream, decodeMaxStream, { id, limit: offset })).toEqual({ id, limit: offset });
        expect(roundTrip(encodeOpen, decodeOpen, { id, port: code })).toEqual({ id, port: code });
        expect(roundTrip(encodeAccept, decodeAccept, id)).toBe(id);
        const reset = { id, code, finalOffset: offset };
        expect(roundTrip(encodeReset, decodeReset, reset)).toEqual(reset);
        expect(roundTrip(encodeStop, decodeStop, { id, code })).toEqual({ id, code });
      }),
    );
  });

  test("a cell header reads back, and a seq where none belongs is refused", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), fc.integer({ min: 1, max: SEQ_MAX }), (isReliable, isPush, seq) => {
        const header = { isReliable, isPush, seq: isReliable ? seq : 0 };
        const out = new Writer(new Uint8Array(5));
        encodeCellHeader(out, header);
        expect(decodeCellHeader(new Reader(out.bytes))).toEqual(header);
        encodeCellHeader(new Writer(out.bytes), { ...header, seq: isReliable ? 0 : seq });
        expect(decodeCellHeader(new Reader(out.bytes))).toBeUndefined();
      }),
    );
  });

  test("stream data reads back, and a full body carries no length", () => {
    fc.assert(
      fc.property(u24, u48, fc.boolean(), fc.constantFrom(0, 1, 500, 1000, CELL_BODY), (id, offset, isFin, length) => {
        const out = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
        encodeStreamHeader(out, id, offset, length, isFin);
        if (length === CELL_BODY) expect(out.room).toBe(CELL_BODY);
        const at = out.offset;
        out.zeros(length);
        const input = new Reader(out.bytes, 0, out.offset);
        const type = input.u8();
        expect(isStreamType(type)).toBe(true);
        const frame = new StreamFrame();
        // A frame that neither carries a byte nor ends the stream says nothing and is refused.
        expect(decodeStreamFrame(input, type, frame)).toBe(length > 0 || isFin);
        expect({ ...frame }).toEqual({ id, offset, isFin, at, length });
        expect(input.remaining).toBe(0);
      }),
    );
  });

  test("feedback reads back with every range, and 150 ranges fit into a cell", () => {
    const gaps = fc.array(fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 0xffff })), {
      maxLength: FEEDBACK_RANGES_MAX,
    });
    fc.assert(
      fc.property(u24, u48, u32, u48, gaps, (floor, newestPacket, echoDelayUs, receivedTotal, list) => {
        const feedback = Object.assign(new Feedback(), { floor, newestPacket, echoDelayUs, receivedTotal });
        let at = floor - 1;
        for (const [gap, length] of list) {
          feedback.ranges[feedback.rangeCount * 2] = at + gap;
          feedback.ranges[feedback.rangeCount * 2 + 1] = length;
          feedback.rangeCount += 1;
          at += gap + length;
        }
        const out = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
        encodeFeedback(out, feedback);
        const read = new Feedback();
        expect(decodeFeedback(new Reader(out.bytes, 1, out.offset), read)).toBe(true);
        expect(read).toEqual(feedback);
      }),
    );
  });

  test("descriptors travel in five parts, which fit into cells and together again", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4_569, maxLength: 4_569 }), u32, (descriptor, epoch) => {
        const whole: number[] = [];
        for (let part = 0; part < DESCRIPTOR_PARTS; part += 1) {
          const out = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
          encodeDescriptorPart(out, part, epoch, descriptor);
          expect(out.offset).toBe(DESCRIPTOR_PART_FRAME_BYTES);
          const read = decodeDescriptorPart(new Reader(out.bytes, 1, out.offset));
          expect(read).toMatchObject({ part, epoch });
          whole.push(...read!.bytes);
          expect(decodeDescriptorPart(new Reader(out.bytes, 1, out.offset - 1))).toBeUndefined();
        }
        expect(Uint8Array.from(whole.slice(0, 4_569))).toEqual(descriptor);
        expect(whole.slice(4_569)).toEqual([0]);
      }),
      { numRuns: 20 },
    );
    fc.assert(
      fc.property(fc.nat(255), (part) => {
        const out = new Writer(new Uint8Array(2));
        encodeDescriptorRequest(out, part);
        expect(decodeDescriptorRequest(new Reader(out.bytes, 1, 2))).toBe(part < DESCRIPTOR_PARTS ? part : undefined);
      }),
    );
  });

  test("feedback with ranges that overlap, touch or lie below the floor is refused", () => {
    const refused = (floor: number, pairs: number[]): boolean => {
      const feedback = Object.assign(new Feedback(), { floor, rangeCount: pairs.length / 2 });
      feedback.ranges.set(pairs);
      const out = new Writer(new Uint8Array(CELL_FRAMES_BYTES));
      encodeFeedback(out, feedback);
      return !decodeFeedback(new Reader(out.bytes, 1, out.offset), new Feedback());
    };
    expect(refused(5, [5, 2, 9, 1])).toBe(false);
    expect(refused(5, [4, 2])).toBe(true);
    expect(refused(5, [5, 2, 6, 1])).toBe(true);
    expect(refused(5, [5, 2, 7, 1])).toBe(true);
    expect(refused(5, [5, 0])).toBe(true);
    expect(refused(5, [9, 1, 6, 1])).toBe(true);
  });

  test("any bytes are read or refused without a throw, and never beyond their end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), u24, (bytes, type) => {
        const decoders = [
          decodeDescriptorRequest,
          decodeDescriptorPart,
          decodeCellHeader,
          decodePing,
          decodeClose,
          decodeMaxSession,
          decodeMaxStream,
          decodeOpen,
        ];
        for (const decode of [...decoders, decodeAccept, decodeReset, decodeStop]) {
          const input = new Reader(bytes);
          decode(input as Reader);
          expect(input.offset).toBeLessThanOrEqual(bytes.length);
        }
        decodeFeedback(new Reader(bytes), new Feedback());
        const frame = new StreamFrame();
        if (decodeStreamFrame(new Reader(bytes), type & 3, frame)) {
          expect(frame.at + frame.length).toBeLessThanOrEqual(bytes.length);
        }
      }),
    );
  });
});
