import { closeSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { fileFailure } from "../config/file-failure.js";
import { ExitCode, Failure } from "../failure.js";
import { BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, FILE_HEADER_BYTES, MAGIC, VERSION } from "./format.js";
import type { ValueSource } from "./value.js";

const NOT_ONE = "name a file that  mariana up --journal FILE  has written";

/**
 * Reads a journal from its beginning to its end, a block at a time, however long it is. Whatever is wrong with the file
 * is thrown as a Failure that names the place. A last block that is not whole is no fault: the file ends before it.
 */
export class JournalReader implements ValueSource {
  /** The last block was written in part only. */
  isTorn = false;
  private readonly path: string;
  private readonly fd: number;
  /** The block under way, where its body stands in the file, and how much of it is read. */
  private body = Buffer.alloc(0);
  private bodyAt = FILE_HEADER_BYTES;
  private used = 0;
  private blocks = 0;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  static open(path: string): JournalReader {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      throw fileFailure("read", path, error);
    }
    const reader = new JournalReader(path, fd);
    try {
      reader.readFileHeader();
      return reader;
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Where in the file the next byte stands. */
  get at(): number {
    return this.bodyAt + this.used;
  }

  /** The kind of the next record, not yet taken; undefined at the end. */
  peek(): number | undefined {
    while (this.used === this.body.length) {
      if (!this.readBlock()) return undefined;
    }
    return this.body[this.used];
  }

  u8(): number {
    return this.body[this.take(1)]!;
  }

  u32(): number {
    return this.body.readUInt32LE(this.take(4));
  }

  u53(): number {
    const at = this.take(8);
    return this.body.readUInt32LE(at) + this.body.readUInt32LE(at + 4) * 0x1_0000_0000;
  }

  f64(): number {
    return this.body.readDoubleLE(this.take(8));
  }

  bytes(length: number): Uint8Array {
    const at = this.take(length);
    return new Uint8Array(this.body.subarray(at, at + length));
  }

  text(): string {
    const length = this.u32();
    const at = this.take(length);
    return this.body.toString("utf8", at, at + length);
  }

  fault(what: string): Failure {
    return this.damaged(this.at, what);
  }

  private take(count: number): number {
    const at = this.used;
    if (at + count > this.body.length) throw this.fault("a record that is longer than its block");
    this.used += count;
    return at;
  }

  private readFileHeader(): void {
    const header = Buffer.alloc(FILE_HEADER_BYTES);
    const count = this.read(header);
    const not = (why: string) => new Failure("journal.invalid", ExitCode.config, `${this.path} ${why}`, NOT_ONE);
    if (count === 0) throw not("is no journal: it is empty");
    const isOne = Buffer.compare(header.subarray(0, Math.min(count, MAGIC.length)), MAGIC.subarray(0, count)) === 0;
    if (!isOne) throw not("is no journal");
    if (count < header.length) throw not("was cut off in its first bytes: there is nothing to replay");
    const version = header.readUInt32LE(MAGIC.length);
    if (version === VERSION) return;
    const fix = "replay it with the version of this program that recorded it";
    const what = `${this.path} is a journal of version ${version}; this program reads version ${VERSION}`;
    throw new Failure("journal.invalid", ExitCode.config, what, fix);
  }

  /** False at the end of the file. */
  private readBlock(): boolean {
    if (this.isTorn) return false;
    const at = this.bodyAt + this.body.length;
    const header = Buffer.alloc(BLOCK_HEADER_BYTES);
    const count = this.read(header);
    if (count < header.length) {
      this.isTorn = count > 0;
      return false;
    }
    if (crc32(header.subarray(0, 12)) !== header.readUInt32LE(12)) throw this.damaged(at, "the header of a block");
    const length = header.readUInt32LE(0);
    if (length > BLOCK_BYTES_MAX) throw this.damaged(at, `a block of ${length} B`);
    if (header.readUInt32LE(4) !== this.blocks >>> 0) throw this.damaged(at, `block ${this.blocks} is missing`);
    const body = Buffer.allocUnsafeSlow(length);
    if (this.read(body) < length) {
      this.isTorn = true;
      return false;
    }
    if (crc32(body) !== header.readUInt32LE(8)) throw this.damaged(at, `block ${this.blocks} fails its checksum`);
    this.body = body;
    this.bodyAt = at + BLOCK_HEADER_BYTES;
    this.used = 0;
    this.blocks += 1;
    return true;
  }

  /** As much as there is, up to all of `into`. */
  private read(into: Buffer): number {
    let count = 0;
    try {
      while (count < into.length) {
        const more = readSync(this.fd, into, count, into.length - count, null);
        if (more === 0) break;
        count += more;
      }
    } catch (error) {
      throw fileFailure("read", this.path, error);
    }
    return count;
  }

  private damaged(at: number, what: string): Failure {
    const fix = "nothing can mend it; take another copy, if there is one";
    return new Failure("journal.invalid", ExitCode.config, `${this.path} is damaged at byte ${at}: ${what}`, fix);
  }
}
