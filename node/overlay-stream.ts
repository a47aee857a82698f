/**
 * An overlay stream as a node Duplex. Memory is bounded in both directions by the protocol's own credit:
 *
 * - in: the peer may send what its credit allows, and credit grows only by what the reader has really taken;
 * - out: the stack takes what its send buffer holds; the rest waits here, and node's own backpressure holds the writer.
 *
 * Events beside a Duplex's: "accepted", when the far end took the stream. Errors are StreamErrors.
 */
import { Duplex } from "node:stream";
import { StreamCode, StreamError } from "./stream-error.js";

/** What a stream asks of the stack. `stream` is the stack's handle. */
export interface StreamCommands {
  accept(stream: number): void;
  /** Bytes taken, copied; fewer than given when the send buffer is full: `handleWritable` follows. */
  write(stream: number, bytes: Uint8Array): number;
  finish(stream: number): void;
  reset(stream: number, code: number): void;
  /** The reader took `bytes`. May be gathered and told to the stack later in the same turn. */
  consume(stream: number, bytes: number): void;
  /** Nothing that the stack says of this stream is wanted any more. */
  release(stream: number): void;
}

/** Enough to keep a pipe busy, small beside the credit (1 MiB). */
const HIGH_WATER_BYTES = 64 * 1024;

/** Bytes that wait for the reader are gathered into chunks of so many: each chunk has its cost, and it may pin a larger buffer. */
const GATHER_BYTES = 16 * 1024;
/** From this size on a chunk is worth its cost. */
const CHUNK_BYTES = 8 * 1024;
const GATHER_BYTES_MIN = 1024;
const NOTHING = Buffer.alloc(0);

interface PendingWrite {
  readonly bytes: Uint8Array;
  readonly callback: (error?: Error | null) => void;
}

export class OverlayStream extends Duplex {
  readonly handle: number;
  private readonly commands: StreamCommands;
  private taken = false;
  /** True once the stack has a place for the stream; until then it takes neither bytes nor an end. */
  private placed: boolean;
  private finishing: (() => void) | undefined;
  private pending: PendingWrite | undefined;
  private unwanted = false;
  private gone = false;
  private receivedBytes = 0;
  private returnedBytes = 0;
  /** What came after the chunks that the reader has not taken: `gathered[0, gatheredBytes)`. */
  private gathered = NOTHING;
  private gatheredBytes = 0;
  /** The reader asked for more than there was, and waits. */
  private isAwaited = false;

  constructor(commands: StreamCommands, handle: number, direction: "incoming" | "outgoing") {
    super({ readableHighWaterMark: HIGH_WATER_BYTES, writableHighWaterMark: HIGH_WATER_BYTES, allowHalfOpen: true });
    this.commands = commands;
    this.handle = handle;
    this.placed = direction === "incoming";
  }

  /** True once the far end took the stream, or we took theirs. */
  get accepted(): boolean {
    return this.taken;
  }

  /** Takes a stream that came in. */
  accept(): void {
    if (this.taken || this.destroyed) return;
    this.taken = true;
    this.commands.accept(this.handle);
  }

  /** Turns away a stream that came in. `code` is a StreamCode. */
  refuse(code: number): void {
    if (this.destroyed) return;
    this.on("error", () => undefined); // whoever refuses needs no report of it
    this.destroy(new StreamError(code));
  }

  handleAccepted(): void {
    if (this.taken || this.destroyed) return;
    this.taken = true;
    this.handleWritable();
    this.emit("accepted");
  }

  /** `bytes` now belong to the stream. */
  handleData(bytes: Buffer): void {
    if (this.destroyed) return;
    this.receivedBytes += bytes.length;
    if (this.isAwaited || (this.readableLength === 0 && this.gatheredBytes === 0)) {
      this.isAwaited = false;
      this.pushGathered();
      this.push(bytes);
    } else this.gather(bytes);
    this.returnCredit();
  }

  handleFinished(): void {
    if (this.destroyed) return;
    this.pushGathered();
    this.push(null);
  }

  /** Room for more; the first time it means that the stream has its place in a session. */
  handleWritable(): void {
    this.placed = true;
    const { pending, finishing } = this;
    this.pending = undefined;
    this.finishing = undefined;
    if (pending !== undefined) this.offer(pending.bytes, pending.callback);
    finishing?.();
  }

  /** The peer reads no more: what is still written goes nowhere, what it sends is still read. */
  handleStopped(): void {
    this.unwanted = true;
    this.handleWritable();
  }

  handleReset(code: number): void {
    this.gone = true;
    this.destroy(new StreamError(code));
  }

  /** Every way of reading ends here, so this is where credit is given back. */
  override read(size?: number): unknown {
    if (size !== undefined && size > this.readableLength) this.pushGathered();
    const chunk: unknown = super.read(size);
    if (size !== 0 && chunk === null) this.isAwaited = true;
    if (this.readableLength === 0 && !this.destroyed) this.pushGathered();
    this.returnCredit();
    return chunk;
  }

  override _read(): void {
    this.returnCredit();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.offer(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    const finish = (): void => {
      if (!this.unwanted && !this.gone) this.commands.finish(this.handle);
      callback();
    };
    if (this.placed) finish();
    else this.finishing = finish;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { pending, finishing } = this;
    this.pending = undefined;
    this.finishing = undefined;
    this.gathered = NOTHING;
    this.gatheredBytes = 0;
    if (!this.gone) {
      this.give(this.receivedBytes - this.returnedBytes);
      if (!this.readableEnded || !this.writableFinished) this.commands.reset(this.handle, codeOf(error));
    }
    this.gone = true;
    this.commands.release(this.handle);
    finishing?.();
    pending?.callback(error ?? new StreamError(StreamCode.cancelled));
    callback(error);
  }

  // What node:http asks of a socket and a stream has no use for.

  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  private offer(bytes: Uint8Array, callback: (error?: Error | null) => void): void {
    const count = this.unwanted ? bytes.length : this.commands.write(this.handle, bytes);
    if (count >= bytes.length) callback();
    else this.pending = { bytes: bytes.subarray(count), callback };
  }

  /** Copies what is small, so that bytes nobody reads cost what they are, however small the pieces in which they came. */
  private gather(bytes: Buffer): void {
    if (this.gatheredBytes + bytes.length > GATHER_BYTES || bytes.length >= CHUNK_BYTES) this.pushGathered();
    if (bytes.length >= CHUNK_BYTES) {
      this.push(bytes);
      return;
    }
    const needed = this.gatheredBytes + bytes.length;
    if (needed > this.gathered.length) {
      let size = GATHER_BYTES_MIN;
      while (size < needed) size *= 2;
      const larger = Buffer.allocUnsafeSlow(size);
      larger.set(this.gathered.subarray(0, this.gatheredBytes));
      this.gathered = larger;
    }
    this.gathered.set(bytes, this.gatheredBytes);
    this.gatheredBytes = needed;
  }

  private pushGathered(): void {
    if (this.gatheredBytes === 0) return;
    const bytes = this.gathered.subarray(0, this.gatheredBytes);
    this.gathered = NOTHING;
    this.gatheredBytes = 0;
    this.push(bytes);
  }

  private returnCredit(): void {
    if (this.gone) return;
    this.give(this.receivedBytes - this.readableLength - this.gatheredBytes - this.returnedBytes);
  }

  private give(bytes: number): void {
    if (bytes <= 0) return;
    this.returnedBytes += bytes;
    this.commands.consume(this.handle, bytes);
  }
}

function codeOf(error: Error | null): number {
  return error instanceof StreamError ? error.code : StreamCode.cancelled;
}
