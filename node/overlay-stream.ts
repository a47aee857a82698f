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
    this.push(bytes);
    this.returnCredit();
  }

  handleFinished(): void {
    if (!this.destroyed) this.push(null);
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
    const chunk: unknown = super.read(size);
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

  private returnCredit(): void {
    if (!this.gone) this.give(this.receivedBytes - this.readableLength - this.returnedBytes);
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
