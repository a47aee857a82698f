import type { Aead, CryptoSuite } from "../../core/crypto/suite.js";
import { RECORD_HEADER_BYTES } from "../../core/wire/record.js";

/**
 * A suite that throws as soon as anybody who uses it seals twice under the same key and nonce: the one thing that AES-GCM
 * does not survive. Remembers every pair exactly, over all ciphers made of the same key.
 */
export class NonceGuard {
  readonly suite: CryptoSuite;
  /** Seals of any kind. */
  seals = 0;
  /** By key, by the first eight bytes of the nonce: its last four. */
  private readonly used = new Map<string, Map<string, Set<number>>>();
  private readonly recordKeys = new Set<string>();

  constructor(suite: CryptoSuite) {
    this.suite = { ...suite, aead: (key) => this.guard(hex(key), suite.aead(key)) };
  }

  /** Keys that sealed a record, of either direction. */
  get keysOfRecords(): number {
    return this.recordKeys.size;
  }

  private guard(key: string, aead: Aead): Aead {
    return {
      open: (nonce, associated, data, at, length) => aead.open(nonce, associated, data, at, length),
      seal: (nonce, associated, out, at, length) => {
        this.note(key, nonce);
        if (associated.length === RECORD_HEADER_BYTES) this.recordKeys.add(key);
        aead.seal(nonce, associated, out, at, length);
      },
    };
  }

  private note(key: string, nonce: Uint8Array): void {
    this.seals += 1;
    const head = hex(nonce.subarray(0, 8));
    const tail = new DataView(nonce.buffer, nonce.byteOffset).getUint32(8);
    const heads = this.used.get(key) ?? new Map<string, Set<number>>();
    const tails = heads.get(head) ?? new Set<number>();
    if (tails.has(tail)) throw new Error(`sealed twice under key ${key} and nonce ${hex(nonce)}`);
    tails.add(tail);
    heads.set(head, tails);
    this.used.set(key, heads);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
