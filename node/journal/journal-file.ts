import { close, closeSync, ftruncateSync, lstatSync, openSync, statfs, unlinkSync, writeSync, writev } from "node:fs";
import { promisify } from "node:util";
import { fileFailure } from "../config/file-failure.js";
import { ExitCode, Failure, messageOf, quote, systemCode } from "../failure.js";
import { FILE_HEADER_BYTES, fileHeader } from "./format.js";

/** Blocks handed over and not yet written. A disk that falls so far behind ends the journal. */
const PENDING_BYTES_MAX = 32 * 1024 * 1024;
/** Left free on the disk: the node's own files, and others', need room more than a journal does. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** Free space is asked for after so many bytes, and whenever `checkSpace` is called. */
const SPACE_CHECK_BYTES = 8 * 1024 * 1024;
const SPARES_MAX = 8;
/** Of one write. */
const BATCH_BLOCKS_MAX = 32;
/** A disk that hangs holds up no stop for longer. */
const DRAIN_MS = 5_000;

interface Pending {
  readonly block: Buffer;
  /** Its place in the file. Each write names it, so one that is repeated at the exit does no harm. */
  readonly at: number;
}

/** Appends blocks to a file of its own, one after the other, in the background; whoever appends never waits. */
export class JournalFile {
  readonly path: string;
  /** Nothing more is written, and why. Called once at most, never within `append`. */
  onFault: (reason: string) => void = () => undefined;

  private readonly fd: number;
  private readonly reserveBytes: number;
  private readonly queue: Pending[] = [];
  private readonly spares: Buffer[] = [];
  private pendingBytes = 0;
  private endAt = FILE_HEADER_BYTES;
  /** Everything up to `writtenAt` is in the file, and all blocks up to `wholeAt`. */
  private writtenAt = FILE_HEADER_BYTES;
  private wholeAt = FILE_HEADER_BYTES;
  private spaceCheckedAt = 0;
  private isWriting = false;
  private isOpen = true;
  private whenIdle: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  private constructor(path: string, fd: number, reserveBytes: number) {
    this.path = path;
    this.fd = fd;
    this.reserveBytes = reserveBytes;
  }

  /**
   * Makes the file, mode 0600; `reserveBytes` of the disk stay free. Throws a Failure when anything is there already, or it cannot be
   * made.
   */
  static create(path: string, reserveBytes = RESERVE_BYTES): JournalFile {
    try {
      const fd = openSync(path, "wx", 0o600);
      writeSync(fd, fileHeader());
      return new JournalFile(path, fd, reserveBytes);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw fileFailure("written", path, error);
      const isFile = lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
      const fix = isFile ? `name another file, or remove this one:  rm ${quote(path)}` : "name another file";
      throw new Failure("journal.exists", ExitCode.config, `${path} is there already; no journal overwrites it`, fix);
    }
  }

  /** A buffer that is not needed any more, `length` long, or a new one. */
  buffer(length: number): Buffer {
    const spare = this.spares.pop();
    return spare?.length === length ? spare : Buffer.allocUnsafeSlow(length);
  }

  /** Takes `block` over. False when too much waits already: then it is not taken. */
  append(block: Buffer): boolean {
    if (!this.isOpen) return true; // onFault has been called
    if (this.pendingBytes + block.length > PENDING_BYTES_MAX) return false;
    this.queue.push({ block, at: this.endAt });
    this.endAt += block.length;
    this.pendingBytes += block.length;
    this.writeNext();
    return true;
  }

  checkSpace(): void {
    if (!this.isOpen) return;
    this.spaceCheckedAt = this.endAt;
    statfs(this.path, (error, stats) => {
      if (error !== null) return; // no reason to stop: a full disk will say so itself
      if (stats.bavail * stats.bsize < this.reserveBytes) this.fail("the disk is almost full");
    });
  }

  /** Fulfilled when everything is written and the file is closed, when that failed, or when it takes too long. */
  close(): Promise<void> {
    this.closing ??= this.drain();
    return this.closing;
  }

  /** Writes what waits before it returns: the process is about to end. */
  closeNow(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    try {
      for (const { block, at } of this.queue) writeSync(this.fd, block, 0, block.length, at);
    } catch {
      // A full disk: what is whole stays.
    }
    closeSync(this.fd);
  }

  /** Takes the file away: nothing was recorded that anybody wants. */
  async remove(): Promise<void> {
    await this.close();
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody was faster.
    }
  }

  private async drain(): Promise<void> {
    if (this.queue.length > 0) {
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve;
        setTimeout(resolve, DRAIN_MS).unref();
      });
    }
    if (!this.isOpen) return;
    this.isOpen = false;
    if (this.queue.length === 0) await promisify(close)(this.fd).catch(() => undefined);
  }

  /** Whatever waits goes in one call, and what comes meanwhile in the next. */
  private writeNext(): void {
    if (this.isWriting || this.queue.length === 0) return;
    this.isWriting = true;
    if (this.endAt - this.spaceCheckedAt > SPACE_CHECK_BYTES) this.checkSpace();
    const batch = this.queue.slice(0, BATCH_BLOCKS_MAX).map(({ block }) => block);
    batch[0] = batch[0]!.subarray(this.writtenAt - this.queue[0]!.at);
    writev(this.fd, batch, this.writtenAt, (error, count) => {
      this.isWriting = false;
      if (!this.isOpen) this.cut();
      else if (error !== null) this.fail(messageOf(error));
      else this.handleWritten(count);
    });
  }

  private handleWritten(count: number): void {
    this.writtenAt += count;
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      const { block, at } = next;
      if (at + block.length > this.writtenAt) break;
      this.queue.shift();
      this.pendingBytes -= block.length;
      this.wholeAt = at + block.length;
      if (this.spares.length < SPARES_MAX) this.spares.push(Buffer.from(block.buffer));
    }
    if (this.queue.length > 0) this.writeNext();
    else this.whenIdle?.();
  }

  private fail(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.queue.length = 0;
    this.pendingBytes = 0;
    if (!this.isWriting) this.cut(); // else when the write under way is over
    this.whenIdle?.();
    this.onFault(reason);
  }

  /** Closes the file behind the last whole block. */
  private cut(): void {
    try {
      ftruncateSync(this.fd, this.wholeAt);
    } catch {
      // Then the last block is a part of one, and the reader says so.
    }
    closeSync(this.fd);
  }
}
