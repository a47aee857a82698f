/**
 * Everything that comes out of a stack, as one row of bytes that is hashed and forgotten.
 *
 *   1 transmit  path value | length 4 | bytes
 *   2 deliver   stream value | length 4 | bytes
 *   3 event     value
 *   4 persist   value
 *   5 datagram  flow value | length 4 | bytes
 *   6 answer    what the input returned, value | the next deadline, value: ends each input
 *
 * SHA-256 over all of it says whether two runs are the same; a CRC-32 for each input says where they part.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Sink } from "../../core/stack/ports.js";
import { messageOf } from "../failure.js";
import { Scribe } from "./scribe.js";
import { encodeValue } from "./value.js";

const OutputKind = { transmit: 1, deliver: 2, event: 3, persist: 4, datagram: 5, answer: 6 } as const;

/** Hashed at once when there is so much: a call of the hash costs more than a packet. */
const BATCH_BYTES = 64 * 1024;

export class Transcript {
  /** Outputs so far; answers are not counted. */
  outputs = 0;
  /** False: outputs pass unheard. */
  isListening = true;
  private readonly hash = createHash("sha256");
  private readonly out = new Scribe(Buffer.allocUnsafeSlow(BATCH_BYTES * 2));
  /** Where in `out` the input under way begins, and the CRC-32 of what is gone from there already. */
  private inputAt = 0;
  private crc = 0;
  /** An output that is no plain data. Thrown by `endInput`, never into the middle of a stack's call. */
  private fault: unknown;

  /** A sink that passes everything on to `next` and writes it down. */
  listen(next: Sink): Sink {
    return {
      transmit: (path, bytes, at, length) => {
        next.transmit(path, bytes, at, length);
        this.addBytes(OutputKind.transmit, path, bytes, at, length);
      },
      deliver: (stream, bytes, at, length) => {
        next.deliver(stream, bytes, at, length);
        this.addBytes(OutputKind.deliver, stream, bytes, at, length);
      },
      deliverDatagram: (flow, bytes, at, length) => {
        next.deliverDatagram(flow, bytes, at, length);
        this.addBytes(OutputKind.datagram, flow, bytes, at, length);
      },
      event: (event) => {
        next.event(event);
        this.addValue(OutputKind.event, event);
      },
      persist: (record) => {
        next.persist(record);
        this.addValue(OutputKind.persist, record);
      },
    };
  }

  /** The input has returned. Answers the CRC-32 of all that it caused. */
  endInput(answer: unknown, deadlineUs: number): number {
    if (this.fault !== undefined) throw this.fault;
    const { out } = this;
    out.u8(OutputKind.answer);
    encodeValue(out, answer);
    encodeValue(out, deadlineUs);
    const crc = crc32(out.written.subarray(this.inputAt), this.crc);
    this.inputAt = out.length;
    this.crc = 0;
    this.drainIfFull();
    return crc;
  }

  /** SHA-256 over everything up to the last input that returned. To be asked between inputs. */
  sha256(): Buffer {
    this.drain();
    return this.hash.copy().digest();
  }

  private addBytes(kind: number, place: number, bytes: Uint8Array, at: number, length: number): void {
    if (!this.isListening) return;
    const { out } = this;
    this.outputs += 1;
    out.u8(kind);
    encodeValue(out, place);
    out.u32(length);
    out.bytes(at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length));
    this.drainIfFull();
  }

  private addValue(kind: number, value: unknown): void {
    if (!this.isListening) return;
    this.outputs += 1;
    try {
      this.out.u8(kind);
      encodeValue(this.out, value);
    } catch (error) {
      this.fault ??= error;
    }
    this.drainIfFull();
  }

  private drainIfFull(): void {
    if (this.out.length >= BATCH_BYTES) this.drain();
  }

  private drain(): void {
    const { written } = this.out;
    this.crc = crc32(written.subarray(this.inputAt), this.crc);
    this.hash.update(written);
    this.out.restart();
    this.inputAt = 0;
  }
}

/** What stands for the answer of an input that threw. */
export function thrown(error: unknown): { readonly threw: string } {
  return { threw: messageOf(error) };
}
